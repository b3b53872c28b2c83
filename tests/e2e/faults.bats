# The faults of encoders' clocks, in a browser: the picture stands still for no longer than the fault lasts.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

# What comes, and for how long nothing does then.  The stream is 8 s old: who watches is about 6 s behind it.
FAULTS=(jump=3600000@8100:0 jump=-5000@8100:0 reset@8100:0 jump-video=30000@8100:0 jump-audio=-30000@8100:0
	stall=1500@8100:1500 drift=2000@100:0 cts=-3000@8100:0 cts=8388607@8100:0)
[ -z "${LONG:-}" ] || FAULTS+=(jump-video=-30000@8100:0 jump-audio=30000@8100:0 lose=1000@8100:1000)
FAULTS+=(no-extended@100:0) # the last one's stamps wrap
SLACK_MS=600 # ten pictures at once on a machine that does other things: about 300 is seen

setup_file() {
	local i
	export DIR=$BATS_FILE_TMPDIR LV_HOME=$BATS_FILE_TMPDIR/site
	mkdir -p "$LV_HOME/live"
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=30 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 \
		-preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac "$DIR/clip.flv"
	for i in "${!FAULTS[@]}"; do lv-auth --keys "$DIR/keys" add "s$i"; done >"$DIR/secrets"
	lv-serve --root "$LV_HOME" --listen 127.0.0.1:0 --events "$DIR/events" 3>&- &
	echo $! >"$DIR/pids"
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$DIR/run" --auth "lv-auth --keys '$DIR/keys'" --events "$DIR/media" \
		--drain-s 0 --grace-ms 500 -- sh -c 'exec lv-segment --dir "$LV_HOME/live/$LV_STREAM" --archive "$LV_HOME/archive/$LV_STREAM"' 3>&- &
	echo $! >>"$DIR/pids"
	URL=http://127.0.0.1:$(wait_event "$DIR/events" 10 '.event=="server.ready"' | jq .port)
	PORT=$(wait_event "$DIR/media" 10 '.event=="server.ready"' | jq .port)
	export URL PORT
	command -v chromedriver >/dev/null && browser_open
}

teardown_file() { site_close; }

listed() {
	local i
	for i in "${!FAULTS[@]}"; do [ -s "$LV_HOME/live/s$i/master.m3u8" ] || return; done
}

@test "whatever a clock does, no picture stands still for longer, and no segment is too long" {
	[ -e "$DIR/session" ] || skip "no chromedriver"
	local i fault stood loads=()
	for i in "${!FAULTS[@]}"; do
		fault=${FAULTS[i]%:*}
		rtmp-load -t 24 -s $((i == ${#FAULTS[@]} - 1 ? 4294959000 : 100000)) -f "$fault" "$DIR/clip.flv" "$PORT" live \
			"$(sed -n $((i + 1))p "$DIR/secrets")" >"$DIR/load$i" 3>&- &
		loads+=($!)
	done
	eventually 20 listed
	go "$URL/watch/s0"
	eventually 20 page_is '!!window.lv?.hls'
	# The page's player plays the first; others like it, beside it, the rest.
	in_page "((n) => {
		window.pictures = [document.querySelector('video')];
		for (let i = 1; i < n; i++) {
			const v = document.createElement('video'), h = new Hls(window.lv.hls.userConfig);
			v.muted = v.autoplay = true;
			v.width = 80;
			document.body.append(v);
			h.loadSource('/live/s' + i + '/master.m3u8');
			h.attachMedia(v);
			window.pictures.push(v);
		}
		for (const v of window.pictures) {
			let frames = 0, time = 0, since = 0;
			v.stood = 0;
			setInterval(() => {
				const now = performance.now(), f = v.getVideoPlaybackQuality().totalVideoFrames;
				if (f > frames && v.currentTime > time)
					[frames, time, since] = [f, v.currentTime, now];
				else if (f > 60)
					v.stood = Math.max(v.stood, now - since);
			}, 20);
		}
	})(${#FAULTS[@]})" >/dev/null
	eventually 20 page_is 'window.pictures.every((v) => v.getVideoPlaybackQuality().totalVideoFrames > 60)'
	wait "${loads[@]}"
	in_page 'window.pictures.map((v) => Math.round(v.stood) + " " + Math.round(v.currentTime * 10)).join("\n")' >"$DIR/stood"
	for i in "${!FAULTS[@]}"; do
		stood=$(sed -n "$((i + 1))s/ .*//p" "$DIR/stood")
		echo "# ${FAULTS[i]%:*}: the picture stood still for $stood ms at most" >&3
		jq -e '.began == 1 and .lost == 0' "$DIR/load$i" >/dev/null
		((stood <= ${FAULTS[i]#*:} + SLACK_MS))
		awk '/^#EXTINF:/ { n++; if (substr($0, 9) + 0 > 3) { print "a segment of " $0; bad = 1 } } END { exit bad || !n }' \
			"$LV_HOME/archive/s$i"/*/source/index.m3u8
	done
}
