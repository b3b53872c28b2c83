# From a pipe to a browser: ffmpeg makes a live stream, lv-segment cuts it, lv-serve serves it, and
# curl, ffprobe and Chromium judge.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	mkdir -p "$DIR/site/live"
	lv-serve --root "$DIR/site" --listen 127.0.0.1:0 --events "$DIR/events" 3>&- &
	echo $! >"$DIR/pids"
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine=r=44100 -t 120 \
		-c:v libx264 -preset ultrafast -g 60 -bf 2 -pix_fmt yuv420p -c:a aac -f flv -flush_packets 1 \
		pipe:1 3>&- | LV_STREAM=demo lv-segment --dir "$DIR/site/live/demo" --archive "$DIR/site/archive/demo" \
		--events "$DIR/segments" 3>&- &
	echo $! >>"$DIR/pids"
	PORT=$(wait_event "$DIR/events" 10 '.event=="server.ready"' | jq .port)
	export URL=http://127.0.0.1:$PORT
	wait_event "$DIR/segments" 30 '.event=="segment.written" and .seq>=3' >/dev/null
}

teardown_file() {
	local pid
	while read -r pid; do
		pkill -P "$pid" 2>/dev/null || :
		kill "$pid" 2>/dev/null || :
	done <"$DIR/pids"
	[ ! -e "$DIR/driver.pid" ] || kill "$(cat "$DIR/driver.pid")" 2>/dev/null || :
}

@test "ffprobe reads the picture and the sound over HTTP" {
	run -0 ffprobe -v error -show_entries stream=codec_name -of csv=p=0 "$URL/live/demo/master.m3u8"
	[[ $output == *h264* && $output == *aac* ]]
}

@test "ffmpeg decodes what is listed without a complaint" {
	run -0 --separate-stderr timeout 60 ffmpeg -nostdin -v error -t 6 -i "$URL/live/demo/master.m3u8" -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
}

@test "every listed segment is there, in all tracks, at the same boundaries" {
	local source audio line
	source=$(curl -sf "$URL/live/demo/source/index.m3u8")
	audio=$(curl -sf "$URL/live/demo/audio-source/index.m3u8")
	for line in $(grep -v '^#' <<<"$source"); do
		curl -sf -o /dev/null "$URL/live/demo/source/$line"
	done
	# One may have been written between the two requests: what both list agrees.
	comm -12 <(grep PROGRAM-DATE <<<"$source") <(grep PROGRAM-DATE <<<"$audio") | grep -q .
	[ "$(grep TARGETDURATION <<<"$source")" = "$(grep TARGETDURATION <<<"$audio")" ]
	[ "$(grep DISCONTINUITY-SEQ <<<"$source")" = "$(grep DISCONTINUITY-SEQ <<<"$audio")" ]
}

@test "the stream is on the list of what is live" {
	run -0 curl -sf "$URL/streams.json"
	[ "$(jq -r '.streams[0].stream' <<<"$output")" = demo ]
}

# driver METHOD PATH [JSON]: one WebDriver command.
driver() {
	curl -s -m 60 -X "$1" "http://127.0.0.1:$(cat "$DIR/driver.port")$2" \
		-H 'Content-Type: application/json' ${3:+-d "$3"}
}

in_page() { # JAVASCRIPT: its value
	driver POST "/session/$SESSION/execute/sync" \
		"$(jq -n --arg s "return $1" '{script: $s, args: []}')" | jq -r .value
}

page_is() { [ "$(in_page "$1")" = true ]; }

@test "Chromium plays the page: frames come, time goes on, sound is decoded, nothing fails" {
	command -v chromedriver >/dev/null || skip "no chromedriver"
	chromedriver --port=0 >"$DIR/driver.log" 2>&1 3>&- &
	echo $! >"$DIR/driver.pid"
	eventually 20 grep -q 'started successfully on port' "$DIR/driver.log"
	sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$DIR/driver.log" >"$DIR/driver.port"
	SESSION=$(driver POST /session '{"capabilities":{"alwaysMatch":{"goog:chromeOptions":{"binary":"/usr/bin/chromium","args":
		["--headless","--no-sandbox","--disable-gpu","--no-first-run","--disable-background-networking","--disable-sync",
		"--disable-component-update","--autoplay-policy=no-user-gesture-required","--window-size=390,844"]}}}}' | jq -r .value.sessionId)
	[ -n "$SESSION" ] && [ "$SESSION" != null ]
	driver POST "/session/$SESSION/url" "{\"url\":\"$URL/watch/demo\"}" >/dev/null
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 90'
	page_is 'document.querySelector("video").currentTime > 0 && !document.querySelector("video").error'
	page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	page_is 'document.body.dataset.state == "playing"'
	page_is 'document.querySelector("video").videoWidth == 640'
	echo "# seconds behind the camera: $(in_page 'document.body.dataset.latency')" >&3
	driver DELETE "/session/$SESSION" >/dev/null
	wait_event "$DIR/events" 10 '.event=="play.started" and .stream=="demo"' >/dev/null
}
