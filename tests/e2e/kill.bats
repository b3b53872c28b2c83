# kill -9 of each process of one stream in turn: it goes on by the rule, and the other notices nothing.
# KILL_ROUNDS says how often each (1; tests/run --long: 20).
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	export LV_HOME=$PWD/site LV_LADDER=$PWD/ladder
	mkdir -p site/live site/archive
	printf '%s\n' source 90p=160x90@30:100k:64k:preset=ultrafast >ladder
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -t 20 -c:v libx264 \
		-preset ultrafast -g 60 -bf 2 -pix_fmt yuv420p -c:a aac clip.flv
	lv-auth --keys keys add alice >alice
	lv-auth --keys keys add bob >bob
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --drain-s 0 \
		-- "$ROOT/pipelines.sh" stream 2>err 3>&- &
	door=$!
	url=rtmp://127.0.0.1:$(wait_event events 10 '.event=="server.ready"' | jq .port)/live
}

teardown() {
	local pid
	for pid in "${publishers[@]}" "$door"; do
		kill "$pid" 2>/dev/null || :
	done
	for pid in "${publishers[@]}" "$door"; do
		eventually 20 gone "$pid" || kill -9 "$pid" || :
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# publish STREAM: for ever, as OBS does: it reconnects by itself.
publish() {
	(
		trap 'kill "$ffmpeg" 2>/dev/null; exit' TERM
		while :; do
			ffmpeg -nostdin -v quiet -re -stream_loop -1 -i clip.flv -c copy -f flv "$url/$(cat "$1")" &
			ffmpeg=$!
			wait "$ffmpeg" || read -rt 0.3 <> <(:) || :
		done
	) 3>&- &
	publishers+=("$!")
}

ours() { below "$door" "$1"; }

written() { # STREAM: how many segments of its source
	jq -s "[.[] | select(.event == \"segment.written\" and .stream == \"$1\" and .track == \"source\")] | length" events
}

more_than() { [ "$(written alice)" -gt "$1" ]; }

descriptors() { find "/proc/$door/fd" -mindepth 1 | wc -l; }

@test "kill -9 of each process of a stream, one after the other" {
	local victim round before bobs began ms check fds pid
	fds=$(descriptors)
	publish bob
	wait_event events 20 '.event=="segment.written" and .stream=="bob" and .seq>=1' >/dev/null
	bobs=" $(for victim in rtmp-session rtmp-keeper bash lv-transcode lv-segment; do ours $victim; done | tr '\n' ' ')"
	publish alice
	wait_event events 20 '.event=="segment.written" and .stream=="alice" and .seq>=1' >/dev/null
	"$ROOT/examples/hls-check" --for 3600 site/live/bob/master.m3u8 >bob.json 2>bob.err 3>&- &
	check=$!
	"$ROOT/examples/hls-check" --for 3600 site/live/alice/master.m3u8 >alice.json 2>alice.err 3>&- &
	check+=" $!"
	for ((round = 0; round < ${KILL_ROUNDS:-1}; round++)); do
		for victim in lv-transcode lv-segment bash rtmp-session rtmp-keeper; do
			before=$(written alice)
			pid=$(for pid in $(ours "$victim"); do [[ $bobs == *" $pid "* ]] || echo "$pid"; done | head -n 1)
			[ -n "$pid" ] || { echo "no $victim of alice"; ps -ef --forest | tail -n 40; false; }
			began=${EPOCHREALTIME/./}
			kill -9 "$pid"
			# What was cut may be finished at once; the one after it is of what came since.
			eventually 15 more_than $((before + 1)) || { echo "nothing after the death of $victim"; tail err; false; }
			ms=$(((${EPOCHREALTIME/./} - began) / 1000))
			echo "$victim: $ms" >>took
			((ms < 9000)) # 1 s, the rest of a GOP and a target duration, twice; a loaded machine is no fault
		done
	done
	echo "# from each death to the second segment after it, ms: $(paste -sd' ' took | tail -c 400)" >&3
	[ "$bobs" = " $(for victim in rtmp-session rtmp-keeper bash lv-transcode lv-segment; do
		ours $victim; done | tr '\n' ' ' | tr ' ' '\n' | grep -xF "$(tr ' ' '\n' <<<"$bobs" | grep .)" | tr '\n' ' ')" ]
	for pid in "${publishers[@]}"; do kill "$pid"; done
	wait_event events 60 '.event=="broadcast.ended" and .stream=="alice"' >/dev/null
	wait_event events 60 '.event=="broadcast.ended" and .stream=="bob"' >/dev/null
	for pid in $check; do wait "$pid" || :; done
	[ ! -s bob.err ] || { cat bob.err; false; }
	! grep -q DISCONTINUITY$ site/live/bob/source/index.m3u8
	[ ! -s alice.err ] || { cat alice.err; false; }
	[ "$(jq -s '[.[] | select(.event == "broadcast.started")] | length' events)" = 2 ]
	eventually 10 none_left
	[ "$(descriptors)" -le "$fds" ]
}

none_left() {
	local victim
	for victim in rtmp-session rtmp-keeper bash lv-transcode lv-segment; do
		[ -z "$(ours $victim)" ] || return 1
	done
}
