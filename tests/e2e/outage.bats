# A publisher that is lost and comes back: what lists and viewers make of the time between.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

setup_file() {
	site_open demo source
	command -v chromedriver >/dev/null && browser_open
}

teardown_file() {
	site_close
}

publish() {
	ffmpeg -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -c:v libx264 -preset ultrafast -g 60 \
		-bf 2 -pix_fmt yuv420p -c:a aac -f flv "$DOOR/$(cat "$DIR/key")" 2>/dev/null 3>&- &
	publisher=$!
	echo "$publisher" >>"$DIR/pids"
}

frames() { in_page 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames'; }

listed() { curl -sf "$URL/live/demo/source/index.m3u8"; }

gaps() { [ "$(listed | grep -c EXT-X-GAP)" -ge "$1" ]; }

@test "the lists go on with gaps and stay right, and the browser plays on when the publisher is back" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local before check
	publish
	wait_event "$DIR/media" 30 '.event=="segment.written" and .seq>=2' >/dev/null
	"$ROOT/examples/hls-check" --for 25 "$URL/live/demo/master.m3u8" >"$DIR/checked" 2>"$DIR/wrong" 3>&- &
	check=$!
	go "$URL/watch/demo"
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 45'
	kill -9 "$publisher"
	eventually 20 gaps 2
	before=$(frames)
	publish
	eventually 40 page_is "document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames > $before + 90"
	page_is '!document.querySelector("video").error && document.body.dataset.state == "playing"'
	wait "$check" || { cat "$DIR/wrong"; false; }
	[ ! -s "$DIR/wrong" ]
	[ "$(listed | grep -c 'EXT-X-DISCONTINUITY$')" = 1 ]
}
