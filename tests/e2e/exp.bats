bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser
AWAY=${AWAY:-30}
setup_file() {
	export GRACE_MS=120000
	site_open demo source 180p=320x180@30:300k:64k:preset=ultrafast
	browser_open
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
state() {
	echo "$(date +%T) $(in_page '((v) => JSON.stringify({t: v.currentTime.toFixed(2), w: v.videoWidth, p: v.paused, r: v.readyState, b: [...Array(v.buffered.length).keys()].map((i) => v.buffered.start(i).toFixed(2)+"-"+v.buffered.end(i).toFixed(2)).join(" "), s: player.seekRange(), st: document.body.dataset.state, errs: window.errors.length, k: player.getVariantTracks().map((t)=>t.width+(t.active?"*":"")).join() }))(document.querySelector("video"))')" >>$OUT/states
	mkdir -p "$OUT/l/$1"; for i in $(cd $DIR/site/live/demo; ls */index.m3u8); do cp $DIR/site/live/demo/$i "$OUT/l/$1/${i%%/*}.m3u8"; done; cp $DIR/site/live/demo/master.m3u8 $OUT/l/$1/
}
@test "exp" {
	OUT=/tmp/outage.exp; rm -rf $OUT; mkdir $OUT
	eventually 30 curl -sf -o /dev/null "$URL/live/demo/master.m3u8"
	shaka demo
	go "$(in_page 'location.href' | sed "s,/?,/${PAGE:-exp.html}?,")"
	in_page '(window.shaka.log && shaka.log.setLevel(shaka.log.Level.V1), 0)'
	eventually 40 page_is 'document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 60'
	sleep 8
	kill -9 "$(cat "$DIR/publisher")"
	echo "killed $(date +%T.%N)" >>$OUT/states
	for i in $(seq 1 $AWAY); do state $i; sleep 0.8; done
	publish
	echo "published $(date +%T.%N)" >>$OUT/states
	for i in $(seq 101 140); do state $i; sleep 0.8; done
	in_page 'window.errors.join("\n")' >$OUT/errors
	driver POST /se/log '{"type":"browser"}' | jq -r '.value[] | "\(.timestamp) \(.level) \(.message)"' >$OUT/log
	cp $DIR/media $OUT/
}
