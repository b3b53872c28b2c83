# Codecs that Enhanced RTMP brought, from their tags to what a browser shows of them.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

setup_file() {
	command -v chromedriver >/dev/null || return 0
	site_open none source
	browser_open
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/session" ] || site_close
}

# watch NAME: packages NAME.mp4 as if it were live, and has the page play it by hls.js.
watch() {
	"$ROOT/tests/lib/eflv" "$1.mp4" >"$1.flv"
	mkfifo "$1.pipe"
	lv-segment --dir "$LV_HOME/live/$1" "$1.pipe" 3>&- &
	local seg=$!
	exec 7>"$1.pipe"
	cat "$1.flv" >&7 # and it is held open
	go "$URL/watch/$1"
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 45'
	page_is 'window.lv.hls !== null && !document.querySelector("video").error'
	page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	exec 7>&-
	wait "$seg"
}

@test "a browser plays AV1 with Opus, and VP9 with FLAC" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	cd "$BATS_TEST_TMPDIR"
	local source=(-nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 10)
	ffmpeg "${source[@]}" -pix_fmt yuv420p -c:v libaom-av1 -usage realtime -cpu-used 8 -g 60 -c:a libopus av1.mp4
	ffmpeg "${source[@]}" -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a flac -strict -2 vp9.mp4
	watch av1
	watch vp9
}

@test "captions that ride in the picture are shown, at a button" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	[[ $BUILD != *asan* ]] || skip "once with a sanitizer is enough"
	cd "$BATS_TEST_TMPDIR"
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 12 -c:v libx264 -preset ultrafast \
		-g 60 -bf 2 -pix_fmt yuv420p -c:a aac in.flv
	"$ROOT/tests/lib/caption" in.flv word{10..33} >cc.flv # one each half second
	mkfifo cc.pipe
	lv-segment --dir "$LV_HOME/live/cc" --captions CC1=en cc.pipe 3>&- &
	local seg=$!
	exec 7>cc.pipe
	cat cc.flv >&7
	go "$URL/watch/cc"
	eventually 40 page_is '!document.getElementById("captions").hidden'
	in_page '(document.getElementById("captions").click(), 0)' >/dev/null
	eventually 10 page_is 'document.getElementById("captions").getAttribute("aria-pressed") == "true"'
	eventually 20 page_is '[...document.querySelector("video").textTracks].some((t) => t.mode == "showing" && t.language == "en" &&
		[...t.cues].some((c) => c.text.includes("word24")) && [...t.cues].some((c) => c.text.includes("word27")))'
	# Cue points and text data come as timed metadata.
	page_is '[...document.querySelector("video").textTracks].some((t) => t.kind == "metadata" && [...t.cues].some((c) =>
		c.value.info == "onTextData" && JSON.parse(c.value.data).text == "word24" && Math.abs(c.startTime - 7) < 0.2))'
	exec 7>&-
	wait "$seg"
}
