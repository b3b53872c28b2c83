# The publisher vanishes in mid-air and comes back: who watches in hls.js, in Shaka Player and in the
# browser's own HLS stays.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

AWAY=${LONG:+90}
AWAY=${AWAY:-14}

setup_file() {
	[ -z "${LONG:-}" ] || export GRACE_MS=120000 # what is away for 90 s is not given up
	site_open demo source 180p=320x180@30:300k:64k:preset=ultrafast
	command -v chromedriver >/dev/null && browser_open
	publish
}

teardown_file() { site_close; }

publish() {
	local key
	key=$(cat "$DIR/key")
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i sine=r=44100 -t 300 -c:v libx264 -preset ultrafast \
		-g 60 -bf 2 -pix_fmt yuv420p -c:a aac -f flv "$DOOR/$key" 3>&- &
	echo $! >"$DIR/publisher"
	echo $! >>"$DIR/pids"
}

buffered() { # what the page has in front of it, in seconds
	in_page '((v) => v.buffered.length ? v.buffered.end(v.buffered.length - 1) - v.currentTime : 0)(document.querySelector("video"))'
}
six_seconds() { awk -v b="$(buffered)" 'BEGIN { exit !(b >= 6) }'; }
gone_on() { page_is "document.querySelector('video').currentTime > $1"; }

@test "kill -9 of each process of the stream: a player with six seconds in its buffer shows no stall" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	[ -n "${LONG:-}" ] || skip "in tests/run --long"
	local victim door at
	door=$(sed -n 2p "$DIR/pids")
	go "$URL/watch/demo"
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 60'
	in_page '(Object.assign(window.lv.hls.config, { liveSyncDurationCount: 5 }), document.querySelector("video").currentTime -= 4, 0)' >/dev/null
	for victim in lv-transcode lv-segment bash rtmp-session rtmp-keeper; do
		eventually 40 six_seconds
		in_page '((v) => { let since; window.stood = 0; v.onwaiting = () => { since ??= performance.now(); };
			v.onplaying = () => { window.stood += since ? performance.now() - since : 0; since = undefined; }; })
			(document.querySelector("video"))' >/dev/null
		at=$(in_page 'document.querySelector("video").currentTime')
		kill -9 "$(below "$door" "$victim" | head -n 1)"
		if [[ $victim == rtmp-* ]]; then # its publisher reconnects, as OBS does
			eventually 10 gone "$(cat "$DIR/publisher")" || kill "$(cat "$DIR/publisher")"
			publish
		fi
		eventually 30 gone_on "$at + 12"
		echo "# $victim: the picture stood still for $(in_page 'Math.round(window.stood)') ms" >&3
		page_is 'window.stood < 400' # where the publisher had to come back, a jump over what is nowhere
	done
}

# What this page plays while the publisher is away for $AWAY seconds and when it is back: on and on, or,
# with "again", from a list that it had to load again.
comes_through() {
	local began since killed left
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 60'
	began=$(in_page 'document.querySelector("video").currentTime')
	kill -9 "$(cat "$DIR/publisher")"
	killed=$SECONDS
	since=$(date -u +%FT%T)
	wait_event "$DIR/media" 10 ".event == \"slate.started\" and .ts > \"$since\"" >/dev/null
	if [ "${1:-}" = again ]; then
		eventually 10 page_is 'document.body.dataset.state == "stalled"'
		eventually 20 page_is 'document.body.dataset.state == "playing"'
		left=$((killed + AWAY - SECONDS))
		began=$(in_page "document.querySelector('video').currentTime - $AWAY + $((left > 2 ? left : 2))")
	fi
	eventually $((AWAY + 10)) page_is "document.querySelector('video').currentTime > $began + $AWAY"
	eventually 10 page_is 'document.body.dataset.state == "playing" && !document.querySelector("video").error'
	publish
	wait_event "$DIR/media" 20 ".event == \"slate.ended\" and .ts > \"$since\"" >/dev/null
	# Past what was listed when it came back, the picture moves.
	eventually 30 page_is "document.querySelector('video').currentTime > $began + $AWAY + 10"
	in_page '(window.still = () => { const c = new OffscreenCanvas(32, 18).getContext("2d");
		c.drawImage(document.querySelector("video"), 0, 0, 32, 18); return c.getImageData(0, 0, 32, 18).data.join(); }, 0)' >/dev/null
	moves() {
		local a
		a=$(in_page 'window.still()')
		[ "$(in_page 'window.still()')" != "$a" ]
	}
	eventually 20 moves
	eventually 10 page_is 'document.body.dataset.state == "playing"'
}

@test "hls.js comes through it" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	go "$URL/watch/demo"
	comes_through
	[ "$(jq -s 'map(select(.event == "broadcast.started")) | length' "$DIR/media")" = 1 ]
	[ "$(jq -s 'map(select(.event == "broadcast.ended")) | length' "$DIR/media")" = 0 ]
}

@test "so does Shaka Player, on another site, after it played every rung and switched" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	[ -d "$BUILD/shaka-judge/node_modules" ] || skip "no npm"
	[[ $BUILD != *asan* ]] || skip "once with a sanitizer is enough"
	local width
	eventually 30 curl -sf -o /dev/null "$URL/live/demo/master.m3u8"
	shaka demo
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 60'
	in_page '(player.configure("abr.enabled", false), window.stalls = 0)' >/dev/null
	for width in 320 640 320 640; do
		in_page "(player.selectVariantTrack(player.getVariantTracks().find((t) => t.width == $width), false), 0)" >/dev/null
		eventually 30 page_is "document.querySelector('video').videoWidth == $width"
	done
	page_is 'document.querySelector("video").webkitAudioDecodedByteCount > 0'
	run in_page 'window.errors.join()'
	[ "$output" = "" ] || { echo "$output"; false; }
	in_page 'player.configure("abr.enabled", true)' >/dev/null # from the source, which has gaps, to the rung
	comes_through
	echo "# waited $(in_page window.stalls) times" >&3
}

@test "so does the browser's own HLS" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	[[ $BUILD != *asan* ]] || skip "once with a sanitizer is enough"
	driver POST /goog/cdp/execute '{"cmd":"Network.enable","params":{}}' >/dev/null
	driver POST /goog/cdp/execute '{"cmd":"Network.setBlockedURLs","params":{"urls":["*hls.min.js*"]}}' >/dev/null
	go "$URL/watch/demo"
	comes_through again
}

@test "nothing is wrong in the playlists afterwards" {
	run --separate-stderr "$ROOT/examples/hls-check" --for 6 "$URL/live/demo/master.m3u8"
	[ -z "$stderr" ] || { echo "$stderr"; false; }
	! command -v npm >/dev/null || node "$BUILD/hls-judge/judge.js" "$URL/live/demo/master.m3u8"
}
