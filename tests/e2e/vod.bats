# Recordings in a browser: Chromium plays what lv-vod makes, knows how long it is, and seeks in it, over HTTP.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser
load ../lib/postgres

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
	[[ $BATS_TEST_DESCRIPTION == *hands* ]] || [ -e session ] || skip "no chromedriver"
}

teardown() {
	[ -z "${PG:-}" ] || { "$ROOT/pipelines.sh" down || :; pg_remove; }
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
	for how in "" --exact; do
		lv-vod archive/01jdabcdef0 --from 3.5 --to 8.5 $how -o "site/live/demo/clip$how.mp4"
		opens "clip$how.mp4" 5
		seeks 0.45 1
		seeks 0.55 2
		seeks 4.9 4
		seeks 4.45 3
		plays_to_the_end
	done
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
	d=site/archive/demo/01jdabcdef0
	lv-vod -q --playlist $d -o $d/recording.mp4 --report $d/recording.json
	"$ROOT/examples/vod-pictures" $d/recording.mp4 2
	go "${URL%/live/demo}/watch/demo/01jdabcdef0"
	eventually 20 page_is 'document.querySelector("video").readyState >= 2 && document.querySelector("video").duration > 11.9'
	[ "$(in_page 'document.getElementById("badge").textContent')" = RECORDING ]
	seeks 7.0 3
	seeks 1.0 0
	# The bar: a picture of the moment under the pointer, and the moment itself when it is moved.
	eventually 10 page_is 'document.body.dataset.thumbnails == 6'
	in_page '(() => { const bar = document.getElementById("seek"), { left, width, top } = bar.getBoundingClientRect();
		bar.dispatchEvent(new PointerEvent("pointermove", { clientX: left + 8 + (width - 16) * 7 / 12, clientY: top + 9 })); })()' >/dev/null
	[ "$(in_page 'document.getElementById("moment").textContent')" = 0:07 ]
	in_page 'document.getElementById("picture").style.background' | grep -q 'recording-thumbs-1.jpg") -480px 0px'
	in_page '((bar) => { bar.value = 9; bar.dispatchEvent(new Event("input")); bar.dispatchEvent(new Event("change")); })(document.getElementById("seek"))' >/dev/null
	eventually 20 page_is "$SHADE == 4"
	[ "$(in_page 'document.getElementById("now").textContent')" = 0:09 ]
	page_is 'document.getElementById("file").href.endsWith("/archive/demo/01jdabcdef0/recording.mp4")'
	plays_to_the_end
	go "${URL%/live/demo}/watch/demo/01jdnothere"
	eventually 20 page_is 'document.getElementById("message").textContent.startsWith("There is no such recording")'
}

@test "recordings are listed on the page of their stream and on the first one, with length and picture" {
	local at=${URL%/live/demo}
	screen 390 844
	go "$at/watch/demo"
	eventually 20 page_is 'document.querySelectorAll("#shelf:not([hidden]) a").length == 1' # it is offline: what was is shown
	[ "$(in_page 'document.querySelector("#shelf .length").textContent')" = 0:12 ]
	eventually 10 page_is 'document.querySelector("#shelf img").naturalWidth == 320'
	go "$at/"
	eventually 20 page_is 'document.querySelectorAll("#past:not([hidden]) a").length == 1'
	page_is 'document.documentElement.scrollWidth <= 390'
	in_page 'document.querySelector("#past a").click()' >/dev/null
	eventually 20 page_is 'location.pathname == "/watch/demo/01jdabcdef0" && document.querySelector("video").readyState >= 2'
	page_is 'document.documentElement.scrollWidth <= 390'
	page_is 'document.getElementById("others").hidden' # there is no other
}

@test "a broadcast ends: recording, pictures, playlists and the database's row are there without hands" {
	export LV_HOME=$BATS_TEST_TMPDIR/home LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_BIND=127.0.0.1
	pg_create
	export LV_DB=$DB LV_LADDER=$BATS_TEST_TMPDIR/ladder
	echo source >"$LV_LADDER"
	lv-auth schema | psql -q
	"$ROOT/pipelines.sh" run up >said 2>&1 3>&- &
	eventually 30 grep -q '^Watch' said
	ffmpeg -v error -i a.flv -c copy -f flv "$(sed -n 's/^Publish to *\(rtmp[^ ]*\).*/\1/p' said)/$(cat "$LV_HOME/main.key")"
	eventually 60 grep -q 'recorded: /watch/main/' said
	d=$(echo "$LV_HOME"/archive/main/*)
	[ "$(psql -Atc 'select status, vod_path from live_streams')" = "ended|archive/main/${d##*/}/recording.mp4" ]
	[ "$(jq '.dur_ms > 11000' "$d/recording.json")" = true ]
	for f in vod.m3u8 recording.mp4 recording-poster.jpg recording-thumbs-1.jpg recording-thumbs.vtt; do [ -s "$d/$f" ]; done
	"$ROOT/pipelines.sh" down
}
