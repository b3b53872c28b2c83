# Live from a bucket: what players see through nginx, how soon, and what outages do to it.  A real radosgw; curl, hls.js
# in Chromium, ffmpeg and the versions that the bucket keeps are the judges.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser
load ../lib/s3

setup_file() { ! command -v radosgw || s3_start; }
teardown_file() { s3_stop; }

setup() {
	command -v radosgw >/dev/null || skip "no radosgw"
	cd "$BATS_TEST_TMPDIR" || return 1
	B=bucket-$BATS_TEST_NUMBER
	s3 PUT "$B"
	mkdir -p root/live
	running=()
}

teardown() {
	local pid
	for pid in "${running[@]}" ${PID:-}; do kill "$pid" 2>/dev/null || :; done
	[ -z "${DEMO-}" ] || "$ROOT/pipelines.sh" down || :
	[ ! -e browser/pids ] || site_close
}

push() { # [OPTION...]
	: >>events
	local n
	n=$(grep -c tree.watched events) || :
	lv-s3push --root root --dest "s3://$B" --endpoint "${ENDPOINT:-$S3_URL}" --events events "$@" 2>>err 3>&- &
	PID=$!
	eventually 20 more_than "$n" tree.watched
}
more_than() { [ "$(grep -c "$2" events)" -gt "$1" ]; }
cpu_us() { cat "/proc/$PID"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d\n", sum / 1000 }'; }
peak_kb() { awk '/VmHWM/ { print $2 }' "/proc/$PID/status"; }
percentile() { sort -n | awk -v p="$1" '{ a[NR] = $1 } END { i = int(NR * p + 0.999999); print a[i < 1 ? 1 : i] }'; }
stored() { [ "$(s3 HEAD "$B/live/$1" -I -o /dev/null -w "%{http_code}")" = 200 ]; }
newest_is() { s3 GET "$B/live/$1/index.m3u8" | tail -n 1 | grep -qx "$2.ts"; }

@test "three renditions: no version of a playlist names what is not there; soon after, and for little CPU" {
	local rounds=10 period=1 bytes=500000 cpu files ours floor each slack=1000 cpu_most=2000
	[ -z "${LONG:-}" ] || rounds=300 period=2 bytes=250000 slack=0 cpu_most=1000
	s3_versioned "$B"
	s3 PUT "$B-floor"
	push
	cpu=$(cpu_us)
	python3 "$ROOT/tests/lib/s3feed.py" root "$rounds" "$period" "$bytes" "$B-floor" >fed
	for each in a b c; do eventually 30 newest_is "$each" "$rounds"; done
	cpu=$(($(cpu_us) - cpu))
	files=$(grep -c '"object.pushed"' events)
	s3_audit "$B" | tail -n 1 >audit
	grep -q ' 0 too early' audit
	[ "$(s3_keys "$B" | grep -c 'ts$')" = "$((rounds * 3 < 1000 ? rounds * 3 : 997))" ] # a page of a thousand keys
	ours=$(jq -r 'select(.event == "object.pushed" and (.path | endswith(".ts"))).lag_ms' events | percentile 0.95)
	floor=$(sed -n 's/^floor //p' fed | percentile 0.95)
	echo "# $(cat audit); p95 of a segment $ours ms, of a PUT loop $floor ms; $((cpu / files)) us CPU for each of $files PUTs; at most $(peak_kb) KB" >&3
	awk -v a="$ours" -v b="$floor" -v s="$slack" 'BEGIN { exit !(a <= 2 * b + s) }'
	case $BUILD in *asan*) ;; *)
		((cpu / files <= cpu_most))
		(($(peak_kb) < 20000)) ;;
	esac
}

@test "the store is away, slow, busy and cuts connections, two kills meanwhile: nothing is lost, the live window first" {
	local away=2 rounds=60 period=0.25 feed i each port hang peak=0 more
	[ -z "${LONG:-}" ] || away=60 rounds=100 period=2
	port=$(free_port)
	ENDPOINT=http://127.0.0.1:$port
	s3_versioned "$B"
	front() { s3_front "listen 127.0.0.1:$port;"; running+=("$FRONT"); eventually 10 curl -so /dev/null "$ENDPOINT"; }
	killed() {
		more=$(peak_kb)
		((more <= peak)) || peak=$more
		kill -9 "$PID"
		wait "$PID" || :
		push
	}
	front
	push
	python3 "$ROOT/tests/lib/s3feed.py" root "$rounds" "$period" 100000 >fed 3>&- &
	feed=$!
	running+=("$feed")
	eventually 20 stored c/1.ts
	kill "$FRONT" # away
	wait "$FRONT" || :
	wait_event events 20 '.event == "store.away"'
	more=$(grep -c wrote fed)
	wrote() { [ "$(grep -c wrote fed)" -ge "$((more + $1))" ]; }
	eventually 20 wrote 12
	killed
	sleep "$away"
	front
	for ((i = 0; i < away * 2; i++)); do # slow: it works a quarter of the time
		rgw_hang
		sleep 0.375
		rgw_wake
		sleep 0.125
	done
	touch busy
	wait_event events 30 '.event == "store.away" and (.reason | endswith("answers 503"))'
	sleep "$((away / 2))"
	killed
	touch cut
	rm busy
	wait_event events 30 '.event == "store.away" and (.reason | test("[Rr]eset|[Ee]mpty"))'
	sleep "$((away / 2))"
	: >mark
	i=$(wc -l <events)
	rm cut
	wait "$feed"
	for each in a b c; do eventually 60 newest_is "$each" "$rounds"; done
	all_there() { [ "$(s3_keys "$B" | grep -c 'ts$')" = $((3 * rounds)) ]; }
	eventually 60 all_there
	more=$(peak_kb)
	((more <= peak)) || peak=$more
	s3_audit "$B" | tail -n 1 >audit
	grep -q ' 0 too early' audit
	[ "$(grep -c object.lost events)" = 0 ]
	# After the last cut a playlist of the newest window was there before the last of what waited.
	tail -n +"$i" events | jq -r 'select(.event == "object.pushed").path' >order
	[ "$(grep -n index.m3u8 order | head -n 1 | cut -d: -f1)" -lt "$(wc -l <order)" ]
	eventually 10 nothing_waits
	echo "# $(cat audit), $((3 * rounds)) of $((3 * rounds)) segments; at most $peak KB" >&3
	case $BUILD in *asan*) ;; *) ((peak < 20000)) ;; esac
}
nothing_waits() { [ -z "$(find root/.lv-s3push/*/pending -type f)" ]; }

lv_gets_there() {
	local dir=$BATS_TEST_TMPDIR
	while [ -n "$dir" ] && [ "$dir" != /tmp ]; do
		chmod a+x "$dir"
		dir=${dir%/*}
	done
}

@test "demo --s3 local: it plays from the bucket through nginx, in a page from elsewhere; one request for many" {
	command -v chromedriver >/dev/null || skip "no chromedriver"
	[ -e "$BUILD/share/lv/player/hls.min.js" ] || skip "no hls.js"
	local cdn store port segment
	export LV_HOME=$BATS_TEST_TMPDIR/home LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_S3_PORT=0 LV_BIND=127.0.0.1
	export DIR=$BATS_TEST_TMPDIR/browser
	mkdir "$DIR"
	: >"$DIR/pids"
	export LV_LADDER=$BATS_TEST_TMPDIR/ladder
	printf 'source\n180p=320x180@30:300k:64k:preset=ultrafast\n' >"$LV_LADDER"
	lv_gets_there
	env -u CEPH_CONF -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$ROOT/pipelines.sh" demo --s3 local >said 2>&1 </dev/null 3>&- &
	DEMO=$!
	eventually 120 grep -q '^In S3' said
	store=$(sed -n 's|^In S3 *\(http://[^/]*\)/.*|\1|p' said) port=$(free_port)
	cdn=http://127.0.0.1:$port
	mkdir cdn
	sed "s|127.0.0.1:8333|${store#http://}|; s|:8080|:$(sed -n 's|^Watch at *http://.*:\([0-9]*\)/.*|\1|p' said)|; s|127.0.0.1:8081|127.0.0.1:$port|
		s|worker_processes auto|worker_processes 1|" \
		"$ROOT/examples/nginx-cdn.conf" >cdn/nginx.conf
	/usr/sbin/nginx -p "$PWD/cdn" -c "$PWD/cdn/nginx.conf" -g 'daemon off; user root;' 2>cdn.err 3>&- &
	running+=("$!")
	eventually 60 curl -sf -o /dev/null "$cdn/live/main/source/index.m3u8"
	# A page of another origin, with hls.js.
	cp "$BUILD/share/lv/player/hls.min.js" "$DIR"
	cat >"$DIR/page.html" <<-END
		<video muted autoplay playsinline></video><script src="hls.min.js"></script><script>
		const player = new Hls(); window.errors = [];
		player.on(Hls.Events.ERROR, (_, e) => { if (e.fatal) errors.push(e.details); });
		player.loadSource("$cdn/live/main/master.m3u8"); player.attachMedia(document.querySelector("video"));
		</script>
	END
	(cd "$DIR" && exec python3 -u -m http.server --bind 127.0.0.1 0) >pages 2>&1 3>&- &
	running+=("$!")
	eventually 10 grep -q 'Serving HTTP' pages
	browser_open
	go "http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\) .*/\1/p' pages)/page.html"
	eventually 60 page_is 'document.querySelector("video").currentTime > 0 && document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 100'
	[ "$(in_page 'errors.length')" = 0 ]
	# The player's own page, and what it plays, from the bucket.
	go "$cdn/watch/main"
	eventually 60 page_is 'document.querySelector("video").currentTime > 0 && document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames > 50'
	in_page "performance.getEntriesByType('resource').map((e) => e.name).join(' ')" | grep -q "$cdn/live/main/[^ ]*m4s"
	curl -sI "$cdn/live/main/master.m3u8" | grep -qi '^x-cache'
	run -0 --separate-stderr timeout 60 ffmpeg -nostdin -v error -t 3 -i "$cdn/live/main/master.m3u8" -c copy -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
	# A segment that nobody has asked for: thirty viewers, one request to the bucket.
	segment=$(cd "$LV_HOME" && echo archive/main/*/180p/*-1.m4s)
	eventually 30 curl -sfI -o /dev/null "$store/lv-site/$segment"
	seq 30 | xargs -P 30 -I{} curl -s -o /dev/null -w '%header{x-cache} %{http_code}\n' "$cdn/$segment" | sort | uniq -c |
		awk '{ print $2, $3, $1 }' >caches
	printf 'HIT 200 29\nMISS 200 1\n' | diff - caches
	curl -sI "$cdn/$segment" | grep -qi '^cache-control: public, max-age=86400, immutable'
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X OPTIONS "$cdn/live/main/master.m3u8")" = 204 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X PUT -d x "$cdn/live/main/master.m3u8")" = 403 ]
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$cdn/live/nobody/master.m3u8")" = 403 ]
	# The bucket is away: what is in the cache is served, and says so.
	kill -9 "$(cat "$LV_HOME/.s3/rgw.pid")"
	served_old() { curl -sf -o /dev/null -w '%header{x-cache} %header{access-control-allow-origin}' "$cdn/live/main/180p/index.m3u8" | grep -qE '^(STALE|UPDATING) \*$'; }
	eventually 10 served_old
	"$ROOT/pipelines.sh" down
	wait "$DEMO"
	[ -z "$(pgrep -f "$LV_HOME")" ]
}

# up_to NAME [COMMAND...]: the platform with LV_HOME called NAME pushes to a prefix called NAME; COMMAND runs it, as another.
up_to() {
	export LV_HOME=$BATS_TEST_TMPDIR/$1
	"${@:2}" "$ROOT/pipelines.sh" up --s3 "s3://$B/$1,endpoint=$S3_URL" >"$1.said" 2>&1 </dev/null 3>&- &
	UP=$! DEMO=$UP
	eventually 120 grep -q '^Everything is kept' "$1.said"
}
# Who below the platform has the secret where others can see it.
knowing() {
	local pid
	for pid in $(below "$UP"); do
		! grep -qs "$AWS_SECRET_ACCESS_KEY" "/proc/$pid/environ" "/proc/$pid/cmdline" || cat "/proc/$pid/comm"
	done
}
# airs NAME: what is published for two seconds is in the bucket, whole; meanwhile lv-s3push alone knows the secret.
airs() {
	local url key file
	url=$(sed -n 's|^Publish to  \(rtmp://[^ ]*\).*|\1|p' "$1.said") key=$(sed -n 's/ *\([0-9a-z]*\)   (stream key)/\1/p' "$1.said")
	timeout 60 ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=15:d=2 -f lavfi -i sine=d=2 \
		-c:v libx264 -preset ultrafast -g 15 -c:a aac -f flv "$url/$key" 3>&- &
	running=("$!")
	wait_event "$LV_HOME/events.ndjson" 30 '.event == "broadcast.started"'
	[ "$(knowing)" = lv-s3push ]
	wait "${running[0]}"
	eventually 60 ended_there "$1"
	sed -n 's/^#EXT-X-MAP:URI="\([^"]*\)".*/\1/p; t; /^[^#]/p' playlist >names
	grep -qx "In S3  *s3://$B/$1/live/main/master.m3u8" "$1.said"
	while read -r file; do s3 GET "$B/$1/live/main/source/$file" -f; done <names >"$1.mp4"
	run -0 --separate-stderr timeout 60 ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$1.mp4"
	[ "$output,$stderr" = 30, ]
}
ended_there() { s3 GET "$B/$1/live/main/source/index.m3u8" -f >playlist 2>/dev/null && grep -q '^#EXT-X-ENDLIST' playlist; }
nothing_left() { [ -z "$(pgrep -f "$LV_HOME")" ]; }

@test "up --s3 URL: as root and as a user the key reaches lv-s3push alone, what is published is there; what is wrong is said once" {
	export LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_BIND=127.0.0.1 LV_LADDER=$BATS_TEST_TMPDIR/ladder
	local as=() said wrong
	echo source >"$LV_LADDER"
	lv_gets_there
	if [ "$(id -u)" = 0 ]; then
		up_to by-root
		airs by-root
		"$ROOT/pipelines.sh" down
		wait "$UP"
		eventually 20 nothing_left
		if setpriv --reuid lv --regid lv --init-groups make -sq -C "$ROOT" all; then # he can build nothing there
			as=(setpriv --reuid lv --regid lv --init-groups)
			install -d -o lv "$BATS_TEST_TMPDIR/by-user"
		fi
	fi
	# As a user, until Ctrl-C.
	up_to by-user env --default-signal=INT "${as[@]}"
	airs by-user
	kill -INT "$UP"
	wait "$UP"
	eventually 20 nothing_left
	# A file that its owner alone can read, with a wrong secret, and a broadcast that waits to be pushed.
	mkdir wrong
	cp -a by-user/archive wrong
	printf '[tv]\naws_access_key_id = lvkey\naws_secret_access_key=not=it\n' >"$BATS_TEST_TMPDIR/file"
	chmod 600 file
	up_to wrong env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_SHARED_CREDENTIALS_FILE="$BATS_TEST_TMPDIR/file" AWS_PROFILE=tv
	said='lv-s3push: warning: the secret of access key lvkey is wrong; trying again, nothing is lost'
	eventually 60 grep -qx "$said" wrong.said
	wrong=$UP
	kill "$wrong" # it tries for five seconds more
	# A key that root made, and lv cannot read: it is not tried again and again, and all the rest runs.
	mkdir none
	install -m 0 file none/s3.key
	up_to none env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY
	eventually 60 grep -q "^pipelines.sh: nothing goes to s3://$B/none" none.said
	"$ROOT/pipelines.sh" status
	"$ROOT/pipelines.sh" down
	wait "$UP"
	wait "$wrong"
	cat wrong.said
	[ "$(grep -m 1 '^lv-s3push: ' wrong.said)" = "$said" ]
	[ -z "$(grep '^lv-s3push: ' wrong.said | uniq -d)" ] # not at every try
	grep -qx "lv-s3push: cannot read $LV_HOME/s3.key, which the user that runs this has to own: Permission denied" none.said
	[ "$(grep -c '^lv-s3push: ' none.said),$(grep -c '^pipelines.sh: nothing goes' none.said)" = 1,1 ]
	LV_HOME=$BATS_TEST_TMPDIR eventually 20 nothing_left
}
