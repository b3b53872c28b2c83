# Recordings in a browser: Chromium plays what lv-vod makes, knows how long it is, and seeks in it, over HTTP.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

# Twelve seconds that get brighter every two: each segment is a shade, so that a picture says when it is from.
setup_file() {
	export DIR=$BATS_FILE_TMPDIR
	cd "$DIR" || return
	mkdir -p site/live/demo
	: >pids
	command -v chromedriver >/dev/null || return 0
	shades a.flv 320x180
	shades b.flv 480x270
	flvmark 01jdabcdef0 7 s1 end a.flv | lv-segment --dir live --archive archive
	(flvmark 01jdabcdef1 7 s1 open a.flv; flvmark 01jdabcdef1 7 s2 end b.flv | tail -c +14) |
		lv-segment --dir live2 --archive archive 2>/dev/null
	lv-serve --root "$DIR/site" --archive --listen 127.0.0.1:0 --events "$DIR/events" 3>&- &
	echo $! >>"$DIR/pids"
	URL=http://127.0.0.1:$(wait_event "$DIR/events" 10 '.event=="server.ready"' | jq .port)/live/demo
	export URL
	browser_open
}

teardown_file() {
	site_close
}

setup() {
	cd "$DIR" || return
	[ -e session ] || skip "no chromedriver"
}

shades() { # FILE SIZE
	ffmpeg -v error -f lavfi -i "color=black:s=$2:r=30,geq=lum='16+36*floor(T/2)':cb=128:cr=128" -f lavfi -i sine=r=48000 -t 12 \
		-c:v libx264 -preset veryfast -g 60 -sc_threshold 0 -c:a aac -f flv "$1"
}

SHADE='(() => { const v = document.querySelector("video"), paper = new OffscreenCanvas(8, 8).getContext("2d");
	paper.drawImage(v, 0, 0, 8, 8); return Math.round(paper.getImageData(4, 4, 1, 1).data[1] / 255 * 219 / 36); })()'

# FILE SECONDS: the browser opens it and says that it lasts so long.
opens() {
	go "$URL/$1"
	eventually 20 page_is 'document.querySelector("video").readyState >= 2'
	page_is "Math.abs(document.querySelector('video').duration - $2) < 0.09" || { in_page 'document.querySelector("video").duration'; return 1; }
}

# SECONDS SHADE: a seek there shows a picture from there.
seeks() {
	in_page "((v) => { v.pause(); v.currentTime = $1; })(document.querySelector('video'))" >/dev/null
	eventually 20 page_is "!document.querySelector('video').seeking && document.querySelector('video').readyState >= 2"
	eventually 5 page_is "$SHADE == $2" || { echo "at $1: $(in_page "$SHADE")"; return 1; }
}

plays_to_the_end() {
	in_page '((v) => { v.currentTime = v.duration - 1.5; v.play(); })(document.querySelector("video"))' >/dev/null
	eventually 20 page_is 'document.querySelector("video").ended'
	page_is '!document.querySelector("video").error && document.querySelector("video").webkitAudioDecodedByteCount > 0'
}

@test "a recording plays, and seeks to the very picture" {
	lv-vod archive/01jdabcdef0 -o site/live/demo/a.mp4
	opens a.mp4 12
	seeks 7.0 3
	seeks 1.0 0
	seeks 4.02 2
	seeks 3.95 1
	plays_to_the_end
}

@test "a clip begins where it was cut, not at the key frame before" {
	lv-vod archive/01jdabcdef0 --from 3.5 --to 8.5 -o site/live/demo/clip.mp4
	opens clip.mp4 5
	seeks 0.45 1
	seeks 0.55 2
	seeks 4.9 4
	plays_to_the_end
}

@test "missing segments: closed, or kept as a still picture" {
	cp -r archive/01jdabcdef0 x
	rm x/source/*-2.m4s
	lv-vod -q x -o site/live/demo/closed.mp4
	opens closed.mp4 10
	seeks 3.9 1
	seeks 4.1 3
	plays_to_the_end
	lv-vod -q x --gaps keep -o site/live/demo/kept.mp4
	opens kept.mp4 12
	seeks 5.0 1
	seeks 6.1 3
	plays_to_the_end
}

@test "a publisher that came back with another size" {
	lv-vod -q archive/01jdabcdef1 -o site/live/demo/two.mp4
	opens two.mp4 24
	seeks 7.0 3
	seeks 19.0 3
	plays_to_the_end
}

@test "the page of a broadcast that is over plays it from its segments, and seeks" {
	mkdir -p site/archive/demo
	cp -r archive/01jdabcdef0 site/archive/demo/
	lv-vod -q --playlist site/archive/demo/01jdabcdef0
	go "${URL%/live/demo}/watch/demo/01jdabcdef0"
	eventually 20 page_is 'document.querySelector("video").readyState >= 2 && document.querySelector("video").duration > 11.9'
	[ "$(in_page 'document.getElementById("badge").textContent')" = RECORDING ]
	seeks 7.0 3
	seeks 1.0 0
	plays_to_the_end
	go "${URL%/live/demo}/watch/demo/01jdnothere"
	eventually 20 page_is 'document.getElementById("message").textContent.startsWith("There is no such recording")'
}
