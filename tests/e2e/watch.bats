# From a publisher to a browser: ffmpeg publishes by RTMP, the whole pipeline makes a ladder of it, and
# curl, ffprobe, hls-check and Chromium judge.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	export DIR=$BATS_FILE_TMPDIR LV_HOME=$BATS_FILE_TMPDIR/site LV_LADDER=$BATS_FILE_TMPDIR/ladder
	mkdir -p "$LV_HOME"/{live,archive}
	printf '%s\n' source 180p=320x180@30:300k:64k:preset=ultrafast >"$LV_LADDER"
	lv-auth --keys "$DIR/keys" add demo >"$DIR/key"
	lv-serve --root "$LV_HOME" --listen 127.0.0.1:0 --events "$DIR/events" 3>&- &
	echo $! >"$DIR/pids"
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$DIR/run" --auth "lv-auth --keys '$DIR/keys'" --events "$DIR/media" \
		--drain-s 0 -- "$ROOT/pipelines.sh" stream 3>&- &
	echo $! >>"$DIR/pids"
	URL=http://127.0.0.1:$(wait_event "$DIR/events" 10 '.event=="server.ready"' | jq .port)
	DOOR=rtmp://127.0.0.1:$(wait_event "$DIR/media" 10 '.event=="server.ready"' | jq .port)/live
	export URL DOOR
	# The viewer is there first, and waits.
	if command -v chromedriver >/dev/null; then
		open_browser
		driver POST "/session/$(cat "$DIR/session")/url" "{\"url\":\"$URL/watch/demo\"}" >/dev/null
		eventually 20 page_is 'document.body.dataset.state == "offline"'
	fi
	date +%s%3N >"$DIR/began"
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine=r=44100 -t 300 -c:v libx264 \
		-preset ultrafast -g 60 -bf 2 -pix_fmt yuv420p -c:a aac -f flv "$DOOR/$(cat "$DIR/key")" 3>&- &
	echo $! >>"$DIR/pids"
	if [ -e "$DIR/session" ]; then
		eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 0'
		date +%s%3N >"$DIR/seen"
	fi
	wait_event "$DIR/media" 30 '.event=="segment.written" and .seq>=3' >/dev/null
}

teardown_file() {
	local pid
	[ ! -e "$DIR/session" ] || driver DELETE "/session/$(cat "$DIR/session")" >/dev/null || :
	for pid in $(tac "$DIR/pids"); do
		kill "$pid" 2>/dev/null || :
	done
	for pid in $(cat "$DIR/pids"); do
		eventually 10 gone "$pid" || kill -9 "$pid" || :
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# driver METHOD PATH [JSON]: one WebDriver command.
driver() {
	curl -s -m 60 -X "$1" "http://127.0.0.1:$(cat "$DIR/driver.port")$2" \
		-H 'Content-Type: application/json' ${3:+-d "$3"}
}

open_browser() {
	local session
	chromedriver --port=0 >"$DIR/driver.log" 2>&1 3>&- &
	echo $! >>"$DIR/pids"
	eventually 20 grep -q 'started successfully on port' "$DIR/driver.log"
	sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$DIR/driver.log" >"$DIR/driver.port"
	session=$(driver POST /session '{"capabilities":{"alwaysMatch":{"goog:chromeOptions":{"binary":"/usr/bin/chromium","args":
		["--headless","--no-sandbox","--disable-gpu","--no-first-run","--disable-background-networking","--disable-sync",
		"--disable-component-update","--autoplay-policy=no-user-gesture-required","--window-size=390,844"]}}}}' | jq -r .value.sessionId)
	[ -n "$session" ] && [ "$session" != null ]
	echo "$session" >"$DIR/session"
}

in_page() { # JAVASCRIPT: its value
	driver POST "/session/$(cat "$DIR/session")/execute/sync" \
		"$(jq -n --arg s "return $1" '{script: $s, args: []}')" | jq -r .value
}

page_is() { [ "$(in_page "$1")" = true ]; }

@test "the picture is in the browser within seconds of the publisher's first frame" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local ms=$(($(cat "$DIR/seen") - $(cat "$DIR/began")))
	echo "# from publishing to the first picture in the browser: $ms ms" >&3
	((ms < 15000)) # the aim is 6 s; a loaded machine is no fault
}

@test "ffprobe reads the picture and the sound over HTTP" {
	run -0 ffprobe -v error -show_entries stream=codec_name -of csv=p=0 "$URL/live/demo/master.m3u8"
	[[ $output == *h264* && $output == *aac* ]]
}

@test "ffmpeg decodes what is listed without a complaint" {
	run -0 --separate-stderr timeout 60 ffmpeg -nostdin -v error -t 6 -i "$URL/live/demo/master.m3u8" -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
}

@test "nothing is wrong in the playlists and segments while they change" {
	run -0 --separate-stderr "$ROOT/examples/hls-check" --for 12 "$URL/live/demo/master.m3u8"
	[ -z "$stderr" ]
	[ "$(jq '.tracks | length' <<<"$output")" = 4 ]
	[ "$(jq '[.tracks[].segments] | min >= 5' <<<"$output")" = true ]
}

@test "the stream is on the list of what is live" {
	run -0 curl -sf "$URL/streams.json"
	[ "$(jq -r '.streams[0].stream' <<<"$output")" = demo ]
}

@test "the page plays: frames come, time goes on, sound is decoded, nothing fails" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 90'
	page_is 'document.querySelector("video").currentTime > 0 && !document.querySelector("video").error'
	page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	page_is 'document.body.dataset.state == "playing"'
	echo "# seconds behind the camera: $(in_page 'document.body.dataset.latency')" >&3
	page_is 'Number(document.body.dataset.latency) < 12' # the aim is 7 s
	wait_event "$DIR/events" 10 '.event=="play.started" and .stream=="demo"' >/dev/null
}

@test "every rung plays, and a change of quality stalls nothing" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local width n
	in_page '(window.stalls = 0, document.querySelector("video").addEventListener("waiting", () => window.stalls++), 0)' >/dev/null
	for width in 320 640 320; do
		n=$(in_page "[...document.getElementById('quality').options].findIndex((o) => o.text.startsWith('$((width * 9 / 16))p'))")
		in_page "((m) => { m.selectedIndex = $n; m.dispatchEvent(new Event('change')); })(document.getElementById('quality'))" >/dev/null
		eventually 20 page_is "document.querySelector('video').videoWidth == $width"
	done
	[[ $BUILD != *asan* ]] || return 0 # a pipeline that sanitizers slow down may be late by itself
	[ "$(in_page window.stalls)" = 0 ]
}

@test "there is a poster" {
	eventually 15 curl -sf -o "$BATS_TEST_TMPDIR/poster.jpg" "$URL/live/demo/poster.jpg"
	[ "$(ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 "$BATS_TEST_TMPDIR/poster.jpg")" = mjpeg,640 ]
}
