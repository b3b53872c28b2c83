# The platform from its one command: a picture and a tone publish themselves, a browser could watch.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	export LV_HOME=$BATS_TEST_TMPDIR/home LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_BIND=127.0.0.1
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" 2>/dev/null || :
	local dir=$BATS_TEST_TMPDIR
	while [ "$dir" != / ]; do # the user lv has to get there
		chmod a+x "$dir" 2>/dev/null || :
		dir=${dir%/*}
		[ -n "$dir" ] || break
		[ "$dir" != /tmp ] || break
	done
}

teardown() {
	"$ROOT/pipelines.sh" down || :
}

of_ours() { pgrep -f "$LV_HOME" >/dev/null; }
nothing_left() { ! of_ours; }

@test "demo: one command to a picture with sound, status says so, down leaves nothing" {
	local began=$EPOCHREALTIME
	"$ROOT/pipelines.sh" demo >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null 3>&- &
	local demo=$!
	eventually 60 grep -q '^Live' "$BATS_TEST_TMPDIR/said"
	echo "# from the command to the first segment: $(awk "BEGIN { print $EPOCHREALTIME - $began }") s" >&3
	local url
	url=$(sed -n 's/^Watch at *//p' "$BATS_TEST_TMPDIR/said")
	run -0 curl -sf "$url"
	[[ $output == *"<video"* ]]
	url=${url%/watch/*}
	run -0 timeout 30 ffprobe -v error -show_entries stream=codec_name -of csv=p=0 "$url/live/main/master.m3u8"
	[[ $output == *h264* && $output == *aac* ]]
	for rung in source 720p 480p; do
		eventually 10 curl -sf -o /dev/null "$url/live/main/$rung/index.m3u8"
	done
	eventually 15 curl -sf -o /dev/null "$url/live/main/poster.jpg"
	run -0 "$ROOT/pipelines.sh" status
	[[ $output == *'"stream":"main","live":true,'* ]]
	[ "$(grep -c '"up":true' <<<"$output")" = 5 ] # the door, its judge, chat, origin, and what the events tell
	run -75 "$ROOT/pipelines.sh" up
	[[ $output == *"already running"* ]]
	run -0 "$ROOT/pipelines.sh" down
	wait "$demo"
	eventually 10 nothing_left
	run -0 jq -s '[.[] | select(.event == "broadcast.ended")] | length' "$LV_HOME/events.ndjson"
	[ "$output" = 1 ]
	# What is left is a finished broadcast, playable from its archive.
	grep -q '#EXT-X-ENDLIST' "$LV_HOME"/live/main/*/index.m3u8
	run -0 timeout 30 ffprobe -v error "$LV_HOME"/archive/main/*/source/index.m3u8
	# And a recording has been made, of all of it but a slate, where a busy machine had one.
	run -0 jq -s 'any(.[]; .event == "slate.started") as $slate | map(select(.event == "vod.ready"))[0] |
		.dur_ms > 1000 and (.segments == .segments_used or $slate)' "$LV_HOME/events.ndjson"
	[ "$output" = true ]
	run -0 --separate-stderr timeout 60 ffmpeg -v warning -i "$(echo "$LV_HOME"/archive/main/*/recording.mp4)" -f null -
	[ -z "$stderr" ]
}

@test "a port that is taken, an option without its value: said, and nothing is left running" {
	local port
	python3 -c 'import signal, socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); signal.pause()' \
		>"$BATS_TEST_TMPDIR/port" 3>&- &
	local taker=$!
	eventually 20 test -s "$BATS_TEST_TMPDIR/port"
	port=$(cat "$BATS_TEST_TMPDIR/port")
	for what in RTMP CHAT HTTP; do
		run -69 env "LV_${what}_PORT=$port" "$ROOT/pipelines.sh" up
		[[ $output == *"cannot listen on 127.0.0.1:$port: Address already in use"* ]]
		[[ $output != *"Watch at"* ]]
		nothing_left
	done
	kill "$taker"
	run -64 "$ROOT/pipelines.sh" up --s3
	[[ $output == *"--s3: where to?"* ]]
	run -64 "$ROOT/pipelines.sh" up --nonsense
	run -64 --separate-stderr "$ROOT/pipelines.sh"
	[ -z "$output" ]
	run -0 --separate-stderr "$ROOT/pipelines.sh" --help
	[[ $output == *"pipelines.sh up "* ]]
}

@test "a server of the demo that is killed is back within seconds, and the broadcast goes on" {
	"$ROOT/pipelines.sh" demo >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null 3>&- &
	local demo=$! victim before
	eventually 60 grep -q '^Live' "$BATS_TEST_TMPDIR/said"
	for victim in lv-serve rtmp-accept; do
		before=$(grep -c '"server.ready"' "$LV_HOME/events.ndjson")
		kill -9 "$(pgrep -f "^$victim .*$LV_HOME")"
		eventually 10 ready_again "$before"
	done
	before=$(grep -c '"segment.written"' "$LV_HOME/events.ndjson")
	eventually 10 more_segments "$before"
	[ "$(grep -c '"broadcast.started"' "$LV_HOME/events.ndjson")" = 1 ]
	kill -TERM "$(cat "$LV_HOME/run/up.pid")"
	wait "$demo"
	eventually 20 nothing_left
}
ready_again() { [ "$(grep -c '"server.ready"' "$LV_HOME/events.ndjson")" -gt "$1" ]; }
more_segments() { [ "$(grep -c '"segment.written"' "$LV_HOME/events.ndjson")" -gt "$1" ]; }
