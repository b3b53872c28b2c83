# Publishers into rtmp-accept: ffmpeg, GStreamer and librtmp send, ffmpeg and ffprobe judge what
# the program got.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	export CLIP=$BATS_FILE_TMPDIR/clip.flv
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -t 4 -c:v libx264 \
		-preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac "$CLIP"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	lv-auth --keys keys add alice >alice
	lv-auth --keys keys add bob >bob
}

teardown() {
	[ -z "${door:-}" ] || kill "$door" 2>/dev/null || :
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# open_door OPTION... -- PROGRAM...: its address for publishers in $url.
open_door() {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events \
		--drain-s 0 "$@" 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	url=rtmp://127.0.0.1:$port/live
}

publish() { # KEY OPTION...: the clip, as fast as it goes
	ffmpeg -nostdin -v error "${@:2}" -i "$CLIP" -c copy -f flv "$url/$(cat "$1")"
}

# The frames of a file, without the container's opinions.
frames() {
	ffmpeg -nostdin -v error -copyts -i "$1" -map 0:v -map 0:a -c copy -f framecrc - | grep -v '^#' |
		awk -F, '{ print $1 "," $5 "," $6 }' | sort
}

@test "not a frame of ffmpeg's is lost or changed on the way to the program" {
	open_door --grace-ms 200 -- sh -c 'cat >"$LV_STREAM.flv"'
	publish alice
	wait_event events 10 '.event=="broadcast.ended"'
	frames "$CLIP" >want
	frames alice.flv >got
	[ -s want ]
	diff want got
	run -0 lv-remux --format mpegts <alice.flv
}

@test "pictures keep their composition times and their distance to the sound" {
	open_door --grace-ms 200 -- sh -c 'cat >out.flv'
	publish alice
	wait_event events 10 '.event=="broadcast.ended"'
	times() {
		ffprobe -v error -select_streams "$2" -show_entries packet=pts,dts -of csv=p=0 "$1" |
			grep '[0-9]' | awk -F, -v d="$3" '{ print $1 - d "," $2 - d }'
	}
	first() { ffprobe -v error -select_streams v -show_entries packet=dts -of csv=p=0 "$1" | head -n 1; }
	local kind
	for kind in v a; do
		times "$CLIP" $kind "$(first "$CLIP")" >want
		times out.flv $kind "$(first out.flv)" >got
		[ "$(wc -l <want)" -gt 100 ]
		diff want got
	done
}

@test "GStreamer's rtmp2sink and librtmp publish" {
	open_door --grace-ms 100 -- sh -c 'cat >"$LV_BROADCAST.flv"'
	local sink n=0 file
	for sink in "rtmp2sink location=$url/$(cat alice)" "rtmpsink location=$url/$(cat alice)"; do
		timeout 40 gst-launch-1.0 -q filesrc location="$CLIP" ! flvdemux name=d flvmux name=m streamable=true ! \
			$sink d.video ! queue ! h264parse ! m. d.audio ! queue ! aacparse ! m.
		n=$((n + 1))
		eventually 15 ended "$n"
	done
	for file in *.flv; do
		[ "$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$file")" -ge 119 ]
	done
}
no_socket_in() { ! compgen -G "$1/*.sock" >/dev/null; }
ended() { [ "$(grep -c '"broadcast.ended"' events)" -ge "$1" ]; }

@test "nginx-rtmp pushes what it takes on to us" {
	command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
	[ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || skip "no ngx_rtmp_module"
	open_door --grace-ms 200 -- sh -c 'cat >out.flv'
	local there
	there=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >nginx.conf <<-END
		load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
		daemon off; master_process off; pid nginx.pid; error_log stderr;
		events { }
		rtmp { server { listen 127.0.0.1:$there; application live { live on; push $url/$(cat alice); } } }
	END
	nginx -p "$PWD" -c "$PWD/nginx.conf" 2>nginx.err 3>&- &
	local nginx=$!
	eventually 10 ffmpeg -nostdin -v error -re -i "$CLIP" -c copy -f flv "rtmp://127.0.0.1:$there/live/x"
	wait_event events 10 '.event=="broadcast.ended"'
	kill "$nginx"
	# nginx begins with the key frame that comes after it has connected
	[ "$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 out.flv)" -ge 60 ]
}

@test "a wrong key is refused with a reason, and the program never starts" {
	open_door -- sh -c 'echo started >started'
	echo nobody >wrong
	run ! publish wrong
	[[ $output == *"Server error: unknown key"* ]]
	wait_event events 5 '.event=="publish.refused" and .reason=="unknown key"'
	[ ! -e started ]
	run ! grep -rq "$(cat alice)" events err
}

@test "a second publisher is refused while the first goes on" {
	open_door --grace-ms 200 -- sh -c 'cat >out.flv'
	publish alice -re 3>&- &
	local first=$!
	wait_event events 10 '.event=="publish.started"'
	run ! publish alice
	[[ $output == *"already publishing"* ]]
	wait "$first"
	wait_event events 10 '.event=="broadcast.ended"'
	diff <(frames "$CLIP") <(frames out.flv)
}

# took_over: two publishers, one broadcast, one program, and the first was told.
took_over() {
	wait_event events 15 '.event=="broadcast.ended"'
	[ "$(grep -c '"publish.started"' events)" = 2 ]
	[ "$(grep -c '"publish.ended"' events)" = 2 ]
	[ "$(grep -c '"broadcast.started"' events)" = 1 ]
	[ "$(jq -r 'select(.event=="publish.started").broadcast' events | sort -u | wc -l)" = 1 ]
	[ "$(jq -r 'select(.event=="publish.ended").reason' events | head -n 1)" = "another publisher took over" ]
	[ "$(find . -name '*.flv' | wc -l)" = 1 ]
}

@test "a publisher that has fallen silent gives way to the next with its key" {
	open_door --grace-ms 20000 --silence-ms 60000 -- sh -c 'cat >"$$.flv"'
	publish alice -re 3>&- &
	local first=$!
	wait_event events 10 '.event=="publish.started"'
	pkill -STOP -P "$first" || kill -STOP "$first"
	eventually 15 publish alice
	pkill -KILL -P "$first" || kill -KILL "$first"
	took_over
}

@test "--duplicate takeover: the newest publisher has the stream" {
	open_door --duplicate takeover --grace-ms 20000 -- sh -c 'cat >"$$.flv"'
	publish alice -re 3>&- &
	local first=$!
	wait_event events 10 '.event=="publish.started"'
	echo nobody >wrong
	run ! publish wrong
	run ! grep -q '"publish.ended"' events
	publish alice
	wait "$first" || :
	took_over
}

@test "a publisher that is lost and comes back goes on in the same broadcast, same program" {
	open_door --grace-ms 20000 -- sh -c 'cat >"$$.flv"'
	publish alice -re 3>&- &
	local first=$!
	wait_event events 10 '.event=="publish.started"'
	kill -9 "$first"
	wait_event events 10 '.event=="publish.ended"'
	publish alice
	wait_event events 15 '.event=="broadcast.ended"'
	[ "$(jq -r 'select(.event=="publish.started").broadcast' events | sort -u | wc -l)" = 1 ]
	[ "$(grep -c '"publish.started"' events)" = 2 ]
	[ "$(grep -c '"publish.ended"' events)" = 2 ]
	[ "$(grep -c '"broadcast.started"' events)" = 1 ]
	[ "$(grep -c '"broadcast.ended"' events)" = 1 ]
	[ "$(find . -name '*.flv' | wc -l)" = 1 ]
}

@test "a program that dies is started again with headers and a key frame; another stream hears nothing" {
	open_door --grace-ms 200 -- sh -c 'echo $$ >>"$LV_STREAM.pids"; exec cat >"$LV_STREAM.$$.flv"'
	publish alice -re 3>&- &
	publish bob -re 3>&- &
	wait_event events 10 '.event=="publish.started" and .stream=="bob"'
	eventually 10 test -s alice.pids
	kill -9 "$(cat alice.pids)"
	wait_event events 10 '.event=="pipeline.restarted" and .stream=="alice"'
	eventually 20 ended 2
	[ "$(wc -l <alice.pids)" = 2 ]
	[ "$(wc -l <bob.pids)" = 1 ]
	run -0 --separate-stderr ffmpeg -nostdin -v error -i "alice.$(tail -n 1 alice.pids).flv" -f null -
	[ -z "$stderr" ]
}

@test "a program that exits with 0 closes the publisher with the reason" {
	open_door -- sh -c 'head -c 1000 >/dev/null'
	run ! publish alice -re
	wait_event events 10 '.event=="broadcast.ended" and .reason=="the program ended"'
}

@test "--codecs: others are refused in words that the encoder shows, and end their broadcast" {
	open_door --codecs h264,AAC -- sh -c 'cat >"$LV_STREAM.flv"'
	run ! ffmpeg -nostdin -v error -re -i "$CLIP" -c:v copy -c:a libmp3lame -f flv "$url/$(cat alice)"
	[[ $output == *".mp3 is not taken here, but avc1, mp4a"* ]]
	wait_event events 10 '.event=="codec.refused" and .stream=="alice" and .codec==".mp3" and .allowed=="avc1, mp4a"'
	wait_event events 10 '.event=="publish.ended" and .stream=="alice" and (.reason | startswith(".mp3 is not taken"))'
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=10:d=1 -c:v libvpx-vp9 -deadline realtime vp9.mp4
	"$ROOT/tests/lib/eflv" vp9.mp4 >vp9.flv
	rtmp-load -v vp9.flv "$port" live "$(cat bob)" >/dev/null 2>said
	grep -q "Denied: vp09 is not taken here, but avc1, mp4a" said
	wait_event events 15 '.event=="broadcast.ended" and .stream=="bob"' # nothing that could be waited for
	publish bob
	wait_event events 10 '.event=="publish.ended" and .stream=="bob" and .frames==120'
}

@test "the coprocess hears which listener it was" {
	rtmp-accept --listen 127.0.0.1:0 --listen '[::1]:0' --run-dir "$PWD/run" --events events --drain-s 0 \
		--auth "jq --unbuffered -c 'select(.ask) | {id, allow: false, reason: (\"by \" + .listener)}'" -- cat 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready" and .addr=="::1"' | jq .port)
	url=rtmp://[::1]:$port/live
	run ! publish alice
	[[ $output == *"by [::1]:$port"* ]]
}

@test "where many publish, their messages are read together, and none is lost" {
	local i pid before after
	for i in {1..70}; do lv-auth --keys keys add "s$i"; done >many
	open_door --grace-ms 200 -- sh -c 'exec cat >"$LV_STREAM.flv"'
	rtmp-load -t 5 -k many -r 2000 "$CLIP" "$port" live >load 3>&- &
	wait_event events 20 '.event=="publish.started" and .stream=="s70"'
	pid=$(pgrep -P "$door" rtmp-session | head -n 1)
	eventually 10 is_merging "$pid"
	wait "$!"
	jq -e '.began == 70 and .lost == 0' load
	eventually 20 all_ended 70
	for i in 1 35 70; do
		before=$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "s$i.flv")
		after=$(jq -s "[.[] | select(.event == \"publish.ended\" and .stream == \"s$i\").frames] | add" events)
		[ "$before" = "$after" ]
	done
}
# 78 messages a second come: far fewer wakes.
is_merging() {
	local before after
	before=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$1/status")
	read -rt 1 <> <(:) || :
	after=$(sed -n 's/^voluntary_ctxt_switches:\t//p' "/proc/$1/status")
	((after - before < 40))
}
all_ended() { [ "$(jq -s '[.[] | select(.event == "broadcast.ended")] | length' events)" = "$1" ]; }

@test "a program that closes its input and goes on costs its keeper no time" {
	local keeper ticks
	open_door -- sh -c 'exec <&-; exec sleep 60'
	publish alice -re 3>&- &
	wait_event events 10 '.event=="publish.started"'
	keeper=$(pgrep -P "$door" -f 'rtmp-keeper alice')
	wait "$!"
	read -r ticks _ <"/proc/$keeper/schedstat"
	((ticks < 1000000000)) || { echo "$((ticks / 1000000)) ms in 4 s"; false; }
}

@test "a session and a keeper that are killed cost their stream a moment, and no other" {
	open_door --grace-ms 20000 -- sh -c 'exec cat >>"$LV_STREAM.flv"'
	publish bob -re 3>&- &
	local bob=$!
	publish alice -re 3>&- &
	wait_event events 10 '.event=="publish.started" and .stream=="alice"'
	kill -9 "$(pgrep -P "$door" -f 'rtmp-keeper alice')"
	wait_event events 10 '.event=="keeper.restarted" and .stream=="alice"'
	wait_event events 10 '.event=="publish.ended" and .stream=="alice"'
	publish alice
	wait_event events 15 '.event=="broadcast.ended" and .stream=="alice"'
	[ "$(jq -r 'select(.stream=="alice" and .broadcast).broadcast' events | sort -u | wc -l)" = 1 ]
	wait "$bob"
	wait_event events 10 '.event=="publish.ended" and .stream=="bob" and .frames==120'
}

@test "who is allowed in when the server stops already is told so, and does not keep it" {
	mkfifo gate
	cat >slow <<-'END'
		lv-auth --keys keys | while read -r line; do
			echo "$line" >>held
			read -r _ <gate
			echo "$line"
		done
	END
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'sh slow' --events events --drain-s 0 -- \
		sh -c 'exec cat >"$LV_STREAM.flv"' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	url=rtmp://127.0.0.1:$port/live
	publish alice -re -stream_loop 20 >out 2>&1 3>&- &
	eventually 10 grep -q '"allow":true' held
	kill "$door"
	wait_event events 10 '.event=="server.draining"'
	echo >gate
	eventually 10 gone "$door"
	wait_event events 5 '.event=="publish.refused" and .reason=="the server is stopping"'
	[ ! -e alice.flv ]
}

@test "a keeper that is killed while a newcomer waits for it leaves room for him, and for the next" {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'sh -c "lv-auth --keys keys | tee answers"' \
		--events events --drain-s 0 --duplicate takeover --grace-ms 20000 -- sh -c 'exec cat >>"$LV_STREAM.flv"' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	url=rtmp://127.0.0.1:$port/live
	publish alice -re -stream_loop 5 3>&- &
	wait_event events 10 '.event=="publish.started"'
	local keeper second
	keeper=$(pgrep -P "$door" -f 'rtmp-keeper alice')
	kill -STOP "$keeper"
	publish alice -re -stream_loop 5 3>&- &
	second=$!
	eventually 10 grep -q '"busy":true' answers
	kill -9 "$keeper"
	started() { [ "$(jq -s '[.[] | select(.event == "publish.started")] | length' events)" = "$1" ]; }
	eventually 10 started 2
	publish alice # and takes over from him
	! wait "$second" || false
	[ -z "$(jq -r 'select(.event=="publish.refused").reason' events)" ]
}

@test "a door that is killed leaves broadcasts running, and the next one adopts them" {
	open_door --grace-ms 2000 -- sh -c 'exec cat >"$LV_STREAM.flv"'
	publish alice -re 3>&- &
	local first=$! old=$door keeper second
	wait_event events 10 '.event=="publish.started"'
	keeper=$(pgrep -P "$old" -f 'rtmp-keeper alice')
	kill -9 "$old"
	rm events
	kill -STOP "$keeper" # a newcomer is not judged before it has said whom it keeps
	open_door --grace-ms 2000 -- sh -c 'exec cat >"$LV_STREAM.flv"'
	publish alice >second 2>&1 3>&- &
	second=$!
	eventually 5 pgrep -P "$door" -f rtmp-session
	kill -CONT "$keeper"
	! wait "$second" || false
	grep -q "already publishing" second
	wait "$first"
	eventually 15 no_socket_in run
	diff <(frames "$CLIP") <(frames alice.flv)
}

@test "a door that stood still until its keeper had no room left hears who came and left" {
	[ -n "${LONG:-}" ] || skip "in tests/run --long"
	open_door --grace-ms 500 --health-ms 500 -- sh -c 'cat >/dev/null'
	publish alice -re -stream_loop 100 3>&- &
	local first=$!
	wait_event events 10 '.event=="publish.started"'
	kill -STOP "$door"
	read -rt 100 <> <(:) || :
	pkill -KILL -P "$first" || kill -KILL "$first"
	wait_event events 10 '.event=="publish.ended"'
	read -rt 3 <> <(:) || : # and the broadcast ends
	kill -CONT "$door"
	wait_event events 10 '.event=="broadcast.ended"'
	publish alice -t 1
}

# Of each session and each broadcast one beginning, then one end, and no other.
in_pairs() {
	jq -rs 'map(select(.event | test("^(publish|broadcast)[.](started|ended)$"))) |
		group_by(if .session then .session else .broadcast end)[] | map(.event | sub(".*[.]"; "")) | join(" ")' \
		events >pairs
	[ -s pairs ]
	! grep -vx "started ended" pairs
}

@test "a door and a keeper that are killed together: the next door goes on with the broadcast, each event once" {
	local keeper first
	open_door --grace-ms 20000 -- sh -c 'exec cat >>"$LV_STREAM.flv"'
	publish alice -re -stream_loop 5 3>&- &
	first=$!
	wait_event events 10 '.event=="publish.started"'
	pkill -STOP -P "$first"
	wait_event events 10 '.event=="problem.began"'
	keeper=$(pgrep -P "$door" -f 'rtmp-keeper alice')
	kill -9 "$door" "$keeper"
	eventually 5 gone "$keeper"
	mv events first
	open_door --grace-ms 20000 -- sh -c 'exec cat >>"$LV_STREAM.flv"'
	wait_event events 10 '.event=="publish.ended" and .reason=="the keeper died"'
	wait_event events 10 '.event=="problem.ended" and .problem=="stalled"'
	pkill -KILL -P "$first"
	publish alice
	wait_event events 15 '.event=="broadcast.ended"'
	cat events >>first && mv first events
	in_pairs
	[ "$(jq -r 'select(.broadcast).broadcast' events | sort -u | wc -l)" = 1 ]
	[ "$(wc -l <pairs)" = 3 ]
	! compgen -G "run/*.note"
}

@test "a broadcast that ends while lv-auth is away, or the door, is over when it is back" {
	auth_runs() { curl -s -m 5 --unix-socket metrics http://lv/metrics | grep -q "^lv_ingest_auth_up 1"; }
	cat >auth <<-END
		[ ! -e away ] && exec lv-auth --keys keys
	END
	open_door --grace-ms 200 --metrics "unix:$PWD/metrics" --auth 'sh auth' -- sh -c 'exec cat >/dev/null'
	publish alice -re -t 2 3>&- &
	wait_event events 10 '.event=="publish.started"'
	touch away
	pkill -KILL -P "$door" -x lv-auth
	wait "$!"
	eventually 10 all_ended 1
	rm away
	eventually 15 auth_runs
	publish alice -re -t 2 3>&- &
	eventually 10 eval '[ "$(grep -c publish.started events)" = 2 ]'
	kill -9 "$door"
	wait "$!"
	eventually 10 all_ended 2
	mv events first
	open_door --grace-ms 200 -- sh -c 'exec cat >/dev/null'
	publish alice -t 1
	eventually 10 all_ended 1
	cat events >>first && mv first events
	in_pairs
	[ "$(wc -l <pairs)" = 6 ]
}

@test "a keeper that dies before its first publisher: there was no broadcast, and the next one is whole" {
	mkdir -p other/bin other/libexec/lv
	cp "$BUILD/bin/rtmp-accept" other/bin/
	cp "$BUILD/libexec/lv/rtmp-session" other/libexec/lv/
	cat >other/libexec/lv/rtmp-keeper <<-END
		#!/bin/sh
		[ -e died ] && exec "$BUILD/libexec/lv/rtmp-keeper" "\$@"
		touch died
		kill -9 \$\$
	END
	chmod +x other/libexec/lv/rtmp-keeper
	PATH=$PWD/other/bin:$PATH
	open_door --grace-ms 200 -- sh -c 'exec cat >>"$LV_STREAM.flv"'
	run ! publish alice
	[[ $output == *"interrupted; try again"* ]]
	publish alice
	wait_event events 10 '.event=="broadcast.ended"'
	in_pairs
	diff <(frames "$CLIP") <(frames alice.flv)
}

@test "HTTP, TLS, silence and garbage on the port end with a reason" {
	open_door --publish-ms 1500 -- cat
	run curl -s -m 5 "http://127.0.0.1:$port/"
	wait_event events 5 '.event=="publish.refused" and .reason=="HTTP on an RTMP port"'
	run curl -sk -m 5 "https://127.0.0.1:$port/"
	wait_event events 5 '.event=="publish.refused" and .reason=="TLS on a plain RTMP port"'
	exec 9<>"/dev/tcp/127.0.0.1/$port"
	wait_event events 10 '.event=="publish.refused" and .reason=="nothing was sent"'
	exec 9<>"/dev/tcp/127.0.0.1/$port"
	head -c 4000 /dev/urandom | sed 's/^./\x03/' >&9
	exec 9>&-
	publish alice -t 1
}

@test "without its coprocess nobody is let in, and it is started again" {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'test -e good && exec lv-auth --keys keys' \
		--events events --drain-s 0 -- sh -c 'cat >out.flv' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	url=rtmp://127.0.0.1:$port/live
	run ! publish alice
	[[ $output == *"stream keys cannot be checked now"* ]]
	grep -q 'the coprocess .* exited with status 1' err
}

@test "a key that is revoked ends the broadcast" {
	open_door -- sh -c 'cat >/dev/null'
	publish alice -re -stream_loop 20 3>&- &
	wait_event events 10 '.event=="publish.started"'
	lv-auth --keys keys revoke alice
	wait_event events 10 '.event=="broadcast.ended" and .reason=="the key was revoked"'
}

@test "to play is answered with where to watch" {
	open_door --play-url 'http://tv.example/watch/%s' -- cat
	run ! ffprobe -v error "$url/alice"
	[[ $output == *"watch by HLS: http://tv.example/watch/alice"* ]]
}

@test "inetd: one connection, and descriptor 1 is left alone" {
	cat >front.sh <<-'END'
		exec rtmp-accept --inetd --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --grace-ms 100 \
			--events events -- sh -c 'cat >out.flv' 2>err
	END
	python3 - <<-'END' 3>&- &
		import socket, subprocess
		s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
		open("port.tmp", "w").write(str(s.getsockname()[1]))
		import os; os.rename("port.tmp", "port")
		c, _ = s.accept()
		open("status", "w").write(str(subprocess.call(["bash", "front.sh"], stdin=c)))
	END
	eventually 10 test -s port
	url=rtmp://127.0.0.1:$(cat port)/live
	publish alice
	eventually 20 test -s status
	[ "$(cat status)" = 0 ]
	diff <(frames "$CLIP") <(frames out.flv)
}

@test "ten thousand silent connections cost no processes and do not disturb who publishes; one that talks costs little" {
	(($(ulimit -Hn) >= 12000)) || skip "not with $(ulimit -Hn) open files"
	ulimit -n "$(ulimit -Hn)"
	open_door --max-connections 20000 --max-pending 20000 --publish-ms 60000 -- sh -c 'cat >/dev/null'
	rtmp-load -t 6 "$CLIP" "$port" live "$(cat alice)" >load 3>&- &
	local load=$!
	wait_event events 10 '.event=="publish.started"' >/dev/null
	PYTHONPATH=$ROOT/tests/lib PYTHONDONTWRITEBYTECODE=1 PORT=$port timeout 60 python3 - <<-'END' 3>&- &
		from rtmp import *
		silent = [socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))) for i in range(10000)]
		p = Peer()
		p.shake()
		p.send(command("connect", 1, {"app": "live"}))
		p.expect("_result")
		open("there", "w").close()
		while not os.path.exists("enough"):
		    time.sleep(0.05)
	END
	local crowd=$! pid kb
	eventually 30 test -e there
	[ "$(pgrep -c -P "$door")" -le 4 ] # two sessions, a keeper, lv-auth
	[[ $BUILD = *asan* ]] || for pid in $(pgrep -P "$door" rtmp-session); do
		kb=$(awk '/^Private_/ { s += $2 } END { print s }' "/proc/$pid/smaps_rollup")
		echo "a session: $kb KB"
		((kb <= 256))
	done
	wait "$load"
	cat load
	jq -e '.began == 1 and .lost == 0' load
	touch enough
	wait "$crowd"
	wait_event events 10 '.event=="publish.ended" and .frames>=180 and .reason=="unpublished"' >/dev/null
}

@test "two thousand silent connections keep nobody out for long, and are told why they go" {
	ulimit -n 4096
	open_door --publish-ms 1000 -- sh -c 'cat >/dev/null'
	local i fds=()
	for i in $(seq 2000); do
		{ exec {fd}<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null && fds+=("$fd")
	done
	wait_event events 10 '.event=="publish.refused" and .reason=="too many connections that do not publish"'
	eventually 10 publish alice -t 1
	for i in "${fds[@]}"; do exec {i}>&-; done
}
