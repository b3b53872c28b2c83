# From a publisher to a browser: ffmpeg publishes by RTMP, the whole pipeline makes a ladder of it, and
# curl, ffprobe, hls-check and Chromium judge.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

# Reads the clock of clock-frames from the picture that is shown: the seconds since it was taken, 0 when it cannot be read.
CLOCK='() => {
	const video = document.querySelector("video"), canvas = new OffscreenCanvas(520, 1), paper = canvas.getContext("2d");
	paper.drawImage(video, 0, video.videoHeight / 20, video.videoWidth, 1, 0, 0, 520, 1);
	const now = Date.now(), bits = [...Array(52).keys()].map((i) => paper.getImageData(i * 10 + 5, 0, 1, 1).data[1] > 126 ? 1 : 0);
	const number = (from, n) => bits.slice(from, from + n).reduce((sum, bit) => sum * 2 + bit, 0);
	let sum = 0;
	for (let i = 2; i < 46; i += 4)
		sum += number(i, 4);
	return number(0, 2) === 2 && number(50, 2) === 1 && sum % 16 === number(46, 4) ? (now - number(2, 44)) / 1000 : 0;
}'

setup_file() {
	site_open demo source 180p=320x180@30:300k:64k:preset=ultrafast
	# The viewer is there first, and waits.
	if command -v chromedriver >/dev/null; then
		browser_open
		go "$URL/watch/demo"
		eventually 20 page_is 'document.body.dataset.state == "offline"'
	fi
	date +%s%3N >"$DIR/began"
	# Each frame says when it was taken.
	"$BUILD/bench/clock-frames" 640 360 30 3>&- 2>/dev/null | ffmpeg -v error -f rawvideo -s 640x360 -r 30 -i - \
		-re -f lavfi -i sine=r=44100 -c:v libx264 -preset ultrafast -g 60 -bf 2 -pix_fmt yuv420p \
		-c:a aac -f flv "$DOOR/$(cat "$DIR/key")" 3>&- &
	echo $! >>"$DIR/pids"
	if [ -e "$DIR/session" ]; then
		eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 0'
		date +%s%3N >"$DIR/seen"
	fi
	wait_event "$DIR/media" 30 '.event=="segment.written" and .seq>=3' >/dev/null
}

teardown_file() {
	site_close
}

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

@test "hls-parser in strict mode takes every playlist" {
	command -v npm >/dev/null || skip "no npm"
	run -0 node "$BUILD/hls-judge/judge.js" "$URL/live/demo/master.m3u8"
	[ "$(grep -c '"targetDuration":2' <<<"$output")" = 4 ]
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

@test "what the camera saw is on the glass within seven seconds" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local s late=
	glass() { # the median of five looks
		for _ in 1 2 3 4 5; do
			eventually 20 page_is "(window.glass = ($CLOCK)()) > 0"
			in_page window.glass
		done | sort -n | sed -n 3p
	}
	go "$URL/watch/demo" # whoever has stalled, on a machine with much else to do, is further behind on purpose
	within_seven() { s=$(glass) && page_is "$s <= 7"; }
	eventually 20 within_seven || late=1 # the page's pace takes it there
	echo "# seconds from the camera to the glass: $s" >&3
	[[ $BUILD == *asan* || -z $late ]]
}

@test "on a telephone nothing hangs over, and a thumb finds every button, upright and across" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local size
	for size in "390 844" "844 390" "320 568"; do
		# shellcheck disable=SC2086 # two numbers
		screen_fits $size
		run in_page "[...document.querySelectorAll('#bar button, #bar select')].filter((b) => b.offsetParent).map((b) =>
			b.getBoundingClientRect()).filter((r) => r.width < 44 || r.height < 44 || r.right > innerWidth || r.bottom > innerHeight).length"
		[ "$output" = 0 ]
		page_is 'document.querySelector("video").getBoundingClientRect().height > innerHeight / 4'
	done
	screen 390 844
}

# feed NAME PYTHON: lv-segment, whose events go to "cut", gets the first part of flv, and from descriptor 9 what comes
# then: the rest is in part1.  PYTHON puts tag, sent at ms, into one of the parts.
feed() {
	python3 -c '
import sys
d = open("flv", "rb").read()
parts, at = [d[:13], b""], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    tag, ms = d[at:at + n], int.from_bytes(d[at + 4:at + 7], "big")
    exec(sys.argv[1])
    at += n
for i in 0, 1:
    open("part%d" % i, "wb").write(parts[i])' "$2"
	mkfifo in
	lv-segment --dir "$LV_HOME/live/$1" --events cut <in 3>&- &
	echo $! >>"$DIR/pids"
	exec 9>in
	cat part0 >&9
}

@test "a picture that cannot be decoded, before the first was shown: it plays as soon as one can" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	cd "$BATS_TEST_TMPDIR"
	ffmpeg -v error -f lavfi -i testsrc2=s=160x90:r=15 -t 24 -c:v libx264 -preset ultrafast -g 30 -f flv flv
	# In the first three seconds all but the key frames are torn: one segment, at whose beginning it starts.
	feed torn '
if tag[0] == 9 and tag[11] == 0x27 and ms < 3000:
    body = tag[11:16] + b"\0\0\0\x0a\x41" + b"\xff" * 9
    tag = b"\x09" + len(body).to_bytes(3, "big") + tag[4:11] + body + (11 + len(body)).to_bytes(4, "big")
parts[ms >= 3000] += tag'
	wait_event cut 10 '.event=="playlist.written"' >/dev/null
	go "$URL/watch/torn"
	eventually 20 page_is 'document.body.dataset.state == "stalled"'
	cat part1 >&9
	eventually 40 page_is 'document.body.dataset.state == "playing" && document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 30'
	exec 9>&-
}

@test "sound that comes after the picture is heard by who watches already" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	cd "$BATS_TEST_TMPDIR"
	ffmpeg -v error -f lavfi -i testsrc2=s=160x90:r=15 -f lavfi -i sine=r=44100 -t 24 -c:v libx264 -preset ultrafast \
		-g 30 -c:a aac -f flv flv
	feed late '
head = tag[0] == 8 and tag[12] == 0
if tag[0] == 9 or head or (tag[0] == 8 and ms >= 8000):
    parts[ms >= 8000 or head] += tag'
	wait_event cut 10 '.event=="playlist.written" and .seq>=2' >/dev/null
	go "$URL/watch/late"
	eventually 20 page_is 'document.body.dataset.state == "playing"'
	cat part1 >&9
	eventually 40 page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 0'
	exec 9>&-
}

@test "without hls.js the browser plays by itself" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	driver POST /goog/cdp/execute '{"cmd":"Network.enable","params":{}}' >/dev/null
	driver POST /goog/cdp/execute '{"cmd":"Network.setBlockedURLs","params":{"urls":["*hls.min.js*"]}}' >/dev/null
	go "$URL/watch/demo"
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 90'
	page_is 'window.lv.hls === null && !document.querySelector("video").error'
	page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	page_is 'document.body.dataset.state == "playing"'
}

@test "there is a poster" {
	eventually 15 curl -sf -o "$BATS_TEST_TMPDIR/poster.jpg" "$URL/live/demo/poster.jpg"
	[ "$(ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 "$BATS_TEST_TMPDIR/poster.jpg")" = mjpeg,640 ]
}
