bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=d=6 -c:v libx264 \
		-preset ultrafast -g 25 -c:a aac -y in.flv
	ffmpeg -v error -i in.flv -vf scale=160:90 -c:v libx264 -preset ultrafast -g 25 -c:a aac \
		-b:a 32k -y low.flv
	flv-ladder source=in.flv 90p=low.flv >ladder.flv
}

setup() {
	IN=$BATS_FILE_TMPDIR
	cd "$BATS_TEST_TMPDIR" || return 1
}

# The media of FILE's first picture track, as an independent reader sees it.
picture() {
	ffmpeg -v error -i "$1" -map 0:v:0 -f md5 -
}

@test "each reader gets the same bytes" {
	mkfifo f
	cat f >fifo.flv 3>&- &
	lv-tee --to block:fifo:f --to 'drop:exec:cat >exec.flv' --to detach:fd:7 \
		<"$IN/in.flv" >out.flv 7> >(cat >fd.flv) 3>&-
	wait $!
	for f in fifo exec out; do cmp "$f.flv" "$IN/in.flv"; done
	eventually 10 cmp -s fd.flv "$IN/in.flv"
}

@test "a rung alone becomes plain FLV" {
	lv-tee --to 'block,rung=90p:exec:cat >low.flv' --stdout block,rung=source \
		<"$IN/ladder.flv" >source.flv 3>&-
	[ "$(picture low.flv)" = "$(picture "$IN/low.flv")" ]
	[ "$(picture source.flv)" = "$(picture "$IN/in.flv")" ]
	[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 low.flv)" = $'h264\naac' ]
}

@test "a rung that is not there is a warning" {
	run -0 --separate-stderr lv-tee --stdout block,rung=8k <"$IN/in.flv" 3>&-
	[ "$stderr" = 'lv-tee: warning: the stream has no rung "8k"' ]
}

@test "the death of a block reader ends it with 75" {
	run -75 --separate-stderr lv-tee --to 'block:exec:head -c 1000 >/dev/null' --stdout none \
		< <(cat "$IN/in.flv"; sleep 20) 3>&-
	[[ $stderr == "lv-tee: exec:head -c 1000 >/dev/null has "* ]]
}

@test "a block command that fails at the end is told with 75" {
	run -75 --separate-stderr lv-tee --to 'block:exec:cat >/dev/null; exit 3' --stdout none \
		<"$IN/in.flv" 3>&-
	[ "$stderr" = "lv-tee: warning: exec:cat >/dev/null; exit 3 exited with status 3" ]
}

@test "a stuck or dead drop reader never delays the others" {
	mkfifo stuck
	sleep 60 <stuck 3>&- &
	local sleeper=$!
	ffmpeg -v error -stream_loop 3 -readrate 8 -i "$IN/in.flv" -c copy -f flv - 2>/dev/null |
		lv-tee --queue-kb 64 --queue-ms 300 --events events --to drop:fifo:stuck \
			--to 'drop:exec:exit 1' --to detach:exec:true >out.flv 2>err 3>&- &
	wait $!
	kill "$sleeper"
	[ "$(ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets \
		-of csv=p=0 out.flv)" = 600 ]
	wait_event events 10 '.event=="reader.detached" and .reader=="exec:exit 1"'
	wait_event events 10 '.event=="reader.attached" and .reader=="exec:exit 1" and .again'
}

@test "a slow drop reader goes on at a key frame, and is told what it lost" {
	mkfifo slow go
	# Takes a little, waits for leave, then takes the rest.
	{ head -c 20000; read -r _ <go; cat; } <slow >slow.flv 3>&- &
	local reader=$!
	{
		cat "$IN/in.flv"
		wait_event events 20 '.event=="reader.attached" and .reader=="fifo:slow"' >&2
		read -rt 1 <> <(:) || : # longer than the queue may be: the time is what is tested
		echo >go
	} | lv-tee --queue-kb 64 --queue-ms 300 --events events --to drop:fifo:slow --stdout none 3>&-
	wait "$reader"
	wait_event events 10 '.event=="media.dropped" and .reader=="fifo:slow" and .frames > 10'
	# What is there is whole FLV that decodes without a complaint about a missing reference.
	run -0 ffmpeg -v error -i slow.flv -f null -
	[ -z "$output" ]
}

@test "a FIFO's reader that comes back gets headers and a key frame" {
	mkfifo f
	ffmpeg -v error -readrate 2 -stream_loop 20 -i "$IN/in.flv" -c copy -f flv - 2>/dev/null 3>&- |
		lv-tee --events events --to detach:fifo:f --stdout none 2>err 3>&- &
	local tee=$!
	head -c 30000 f >first.flv
	wait_event events 10 '.event=="reader.detached"'
	head -c 60000 f >second.flv
	kill "$tee"
	wait "$tee" || :
	[ "$(head -c 3 second.flv)" = FLV ]
	[ "$(ffprobe -v error -select_streams v -show_entries packet=flags -of csv=p=0 \
		-read_intervals %+#1 second.flv 2>/dev/null | head -c 1)" = K ]
	ffprobe -v error -show_entries stream=codec_name second.flv 2>/dev/null | grep -q aac
}

@test "a detach reader that takes nothing is let go" {
	mkfifo stuck
	sleep 60 <stuck 3>&- &
	local sleeper=$!
	ffmpeg -v error -readrate 4 -i "$IN/in.flv" -c copy -f flv - 2>/dev/null |
		lv-tee --queue-kb 64 --queue-ms 300 --events events --to detach:fifo:stuck \
			>out.flv 2>err 3>&-
	kill "$sleeper"
	wait_event events 1 '.event=="reader.detached" and .reason != "has gone"'
	# It still holds its FIFO, and must see the end of that before it gets a new beginning.
	[ "$(jq -s 'map(select(.event=="reader.attached" and .reader=="fifo:stuck")) | length' events)" = 1 ]
	[ "$(ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets \
		-of csv=p=0 out.flv)" = 150 ]
}

@test "a stuck block reader is named" {
	mkfifo f
	sleep 60 <f 3>&- &
	local sleeper=$!
	for _ in 1 2 3 4; do tail -c +14 "$IN/in.flv"; done >rest
	cat "$IN/in.flv" rest |
		lv-tee --stall-ms 300 --events events --to block:fifo:f --stdout none 2>err 3>&- &
	local tee=$!
	wait_event events 10 '.event=="reader.stalled" and .reader=="fifo:f"'
	kill "$sleeper"
	wait "$tee" && false || [ $? = 75 ]
	grep -q 'warning: fifo:f has taken nothing for 300 ms and holds up everything' err
}

@test "in a live pipeline a stuck block reader ends it with 75" {
	for _ in 1 2 3 4; do tail -c +14 "$IN/in.flv"; done >rest
	cat "$IN/in.flv" rest | LV_LIVE=1 run -75 lv-tee --stall-ms 300 --events events \
		--to 'block:exec:exec sleep 60' --stdout none 3>&-
	wait_event events 1 '.event=="output.stalled" and .stall_ms==300'
}

@test "no command hears of another's descriptor, nor outlives the end" {
	lv-tee --to 'block:exec:ls -l /proc/self/fd >list; cat >/dev/null' --to drop:fd:7 --stdout none \
		<"$IN/in.flv" 7> >(cat >fd.flv) 3>&-
	! grep -q ' 7 ->' list
	eventually 10 cmp -s fd.flv "$IN/in.flv"
}

@test "an inherited description stays as blocking as it was" {
	mkfifo f
	cat f >out.flv 3>&- &
	exec 7>f
	lv-tee --to block:fd:7 --stdout none <"$IN/in.flv" 3>&-
	(( ($(awk '/flags/ { print $2 }' /proc/$$/fdinfo/7) & 04000) == 0 ))
	exec 7>&-
	wait $!
	cmp out.flv "$IN/in.flv"
}

@test "bad options are refused with 64 and a reason" {
	local bad
	for bad in drop x:fd:3 drop:fd:2 drop:fd: drop:fd:99 drop:tcp:1 drop,ring=a:fd:3 none:fd:3 \
		drop,rung=:exec:true drop:exec:; do
		run -64 --separate-stderr lv-tee --to "$bad" </dev/null 3>&-
		[ -n "$stderr" ]
	done
	run -64 lv-tee --stdout none </dev/null
	run -64 lv-tee --stdout sideways </dev/null
	run -64 lv-tee --queue-ms 1 </dev/null
	run -64 lv-tee operand </dev/null
}

@test "a FIFO that is missing, or none, is refused with 73" {
	run -73 --separate-stderr lv-tee --to drop:fifo:/no/such </dev/null
	[[ $stderr == "lv-tee: cannot open /no/such (\"mkfifo /no/such\" makes it): No such file"* ]]
	touch file
	run -73 --separate-stderr lv-tee --to drop:fifo:file </dev/null
	[ "$stderr" = "lv-tee: cannot open file: it is not a FIFO" ]
}

@test "input that is not FLV, or ends too early, is 65; a full disk is 75" {
	run -65 --separate-stderr lv-tee <<<"hello, this is no media" 3>&-
	[ "$stderr" = "lv-tee: standard input is not FLV, or is damaged" ]
	head -c 30001 "$IN/in.flv" >cut.flv
	run -65 --separate-stderr lv-tee --to 'block:exec:cat >got.flv' --stdout none <cut.flv 3>&-
	[ "$stderr" = "lv-tee: standard input ends inside a tag" ]
	cmp -n "$(stat -c %s got.flv)" got.flv "$IN/in.flv"
	run -75 --separate-stderr bash -c 'lv-tee <"$1" >/dev/full' - "$IN/in.flv" 3>&-
	[ "$stderr" = "lv-tee: standard output cannot be written: No space left on device" ]
}

@test "help, manual and completions name the same options" {
	local options o
	options=$(lv-tee --help | grep -o -- '--[a-z-]*' | sort -u)
	for o in $options; do
		grep -q -- "Fl Fl ${o#--}\b" "$ROOT/man/lv-tee.1"
		grep -q -- "$o\b" "$ROOT/completions/bash/lv-tee"
		grep -q -- "$o\b" "$ROOT/completions/zsh/_lv-tee"
	done
	[ -z "$(mandoc -T lint -W warning "$ROOT/man/lv-tee.1")" ]
}

@test "an input that ends before its broadcast is 75" {
	flvmark 01jdaaaaaaaa 3 s1 end "$IN/in.flv" >end.flv
	flvmark 01jdaaaaaaaa 3 s1 open "$IN/in.flv" >open.flv
	lv-tee <end.flv >out
	run -75 --separate-stderr bash -c 'lv-tee <open.flv >out'
	[ "$stderr" = "lv-tee: the input ended, but not the broadcast" ]
}
