# Encoders of all kinds at once, each through rtmp-accept and lv-segment to a list that plays.
# Each publishes for 5 s; with tests/run --long for a minute.
bats_require_minimum_version 1.5.0
load ../lib/common

T=${LONG:+60}
T=${T:-5}

setup() {
	cd "$BATS_TEST_TMPDIR"
	pids=() peers=()
}

teardown() {
	local pid
	for pid in "${pids[@]}" "${peers[@]}" "${door:-}"; do
		[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
	done
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
gone() { ! kill -0 "$1" 2>/dev/null; }

url_of() { # STREAM: as publishers have it; the key is new
	lv-auth --keys keys add "$1" >"$1"
	echo "rtmp://127.0.0.1:$port/live/$(cat "$1")"
}
start() {
	"$@" >>said 2>&1 3>&- &
	pids+=("$!")
}
picture=(-f lavfi -i testsrc2=s=320x180:r=30) sound=(-f lavfi -i sine=r=44100)
h264=(-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p -c:a aac)

gstreamer() { # SINK: pictures and sound of its own, by its own encoders and muxer
	start timeout $((T + 30)) gst-launch-1.0 -q videotestsrc is-live=true num-buffers=$((T * 30)) ! video/x-raw,width=320,height=180,framerate=30/1 ! \
		x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! h264parse ! flvmux name=m streamable=true ! "$@" \
		audiotestsrc is-live=true num-buffers=$((T * 44100 / 1024)) ! audio/x-raw,rate=44100 ! avenc_aac ! aacparse ! m.
}

@test "ffmpeg, GStreamer's rtmp2sink, librtmp, nginx-rtmp and node-media-server publish, and all of it plays" {
	command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
	[ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || skip "no ngx_rtmp_module"
	command -v gst-launch-1.0 >/dev/null || skip "no gst-launch-1.0"
	[ -d "$BUILD/nms-peer/node_modules" ] || skip "no npm"
	touch keys
	chmod 600 keys
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --grace-ms 500 --drain-s 0 -- \
		sh -c 'exec lv-segment --dir "live/$LV_STREAM" --archive "archive/$LV_STREAM"' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	local there beyond name nginx frames list
	there=$(free_port)
	cat >nginx.conf <<-END
		load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
		daemon off; master_process off; pid nginx.pid; error_log stderr;
		events { }
		rtmp { server { listen 127.0.0.1:$there; application live { live on; push $(url_of nginx); } } }
	END
	nginx -p "$PWD" -c "$PWD/nginx.conf" 2>nginx.err 3>&- &
	nginx=$!
	beyond=$(free_port)
	start node "$BUILD/nms-peer/relay.js" "$beyond" "rtmp://127.0.0.1:$port/live"
	eventually 20 grep -q 'Relay Server started' said
	url_of nms >/dev/null
	peers=("${pids[@]}") pids=()
	start ffmpeg -nostdin -v error -re "${picture[@]}" "${sound[@]}" -t "$T" "${h264[@]}" -f flv "rtmp://127.0.0.1:$beyond/live/$(cat nms)"
	start ffmpeg -nostdin -v error -re "${picture[@]}" "${sound[@]}" -t "$T" "${h264[@]}" -f flv "$(url_of ffmpeg)"
	start ffmpeg -nostdin -v error -re "${picture[@]}" "${sound[@]}" -t "$T" "${h264[@]}" -bf 2 -f flv "rtmp://127.0.0.1:$there/live/x"
	gstreamer rtmp2sink location="$(url_of rtmp2sink)"
	gstreamer rtmpsink location="$(url_of librtmp)"
	for name in "${pids[@]}"; do wait "$name" || { cat said err; false; }; done
	pids=()
	for name in ffmpeg nginx nms rtmp2sink librtmp; do
		[ "$name" != nginx ] || kill "$nginx"
		wait_event events 30 ".event==\"broadcast.ended\" and .stream==\"$name\"" >/dev/null
		"$ROOT/examples/hls-check" "live/$name/master.m3u8" >checked 2>wrong || { echo "$name"; cat wrong; false; }
		list=$(echo "archive/$name"/*/source/index.m3u8)
		ffmpeg -nostdin -v error -i "$list" -f md5 - 2>wrong >/dev/null
		[ ! -s wrong ] || { echo "$name"; cat wrong; false; }
		frames=$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 "$list" | head -n 1)
		echo "$name: $frames pictures"
		case $name in # a relay takes up a stream at a key frame once it has connected to us
		nginx | nms) ((frames >= (T - 2) * 30 - 3)) ;;
		*) ((frames >= T * 30 - 3)) ;;
		esac
	done
	if grep -v "^$" err; then false; fi
}
