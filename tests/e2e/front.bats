# Behind HAProxy: who publishes is known, by RTMP and RTMPS, by both versions of its header.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	command -v haproxy >/dev/null || skip "no haproxy"
	lv-auth --keys keys add alice >alice
	lv-auth --keys keys add bob >bob
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -t 1 -c:v libx264 -preset ultrafast -g 30 clip.flv
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 30 \
		-subj /CN=localhost 2>/dev/null
}

teardown() {
	[ -z "${front:-}" ] || kill "$front" 2>/dev/null || :
	[ -z "${door:-}" ] || kill "$door" 2>/dev/null || :
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}
gone() { ! kill -0 "$1" 2>/dev/null; }
port_of() { wait_event events 10 ".event==\"server.ready\" and .proto==\"$1\"" | jq .port; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

open_door() {
	rtmp-accept --listen 127.0.0.1:0 --tls-listen 127.0.0.1:0 --cert cert --key key --proxy-from 127.0.0.1/32 \
		--run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --grace-ms 100 --drain-s 0 "$@" 2>err 3>&- &
	door=$!
}

@test "HAProxy passes publishers on: send-proxy and send-proxy-v2, plain and TLS, and looks at our health" {
	open_door -- sh -c 'echo "$PROTO $TCPREMOTEIP $TCPLOCALPORT" >>who; exec cat >/dev/null'
	local rtmp rtmps one two
	rtmp=$(port_of rtmp) rtmps=$(port_of rtmps) one=$(free_port) two=$(free_port)
	cat >haproxy.cfg <<-END
		defaults
		  mode tcp
		  timeout connect 5s
		  timeout client 20s
		  timeout server 20s
		listen one
		  bind 127.0.0.1:$one
		  server s 127.0.0.1:$rtmp send-proxy check check-send-proxy inter 100ms
		listen two
		  bind 127.0.0.1:$two
		  server s 127.0.0.1:$rtmps send-proxy-v2 check check-send-proxy inter 100ms
	END
	haproxy -db -f haproxy.cfg >front.log 2>&1 3>&- &
	front=$!
	publish() { ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "$1/live/$(cat "$2")"; }
	eventually 10 publish "rtmp://127.0.0.1:$one" alice
	eventually 10 publish "rtmps://127.0.0.1:$two" bob
	wait_event events 10 '.event=="broadcast.ended" and .stream=="bob"'
	[ "$(sort -u who)" = "RTMP 127.0.0.1 $one
RTMPS 127.0.0.1 $two" ] # the port that was asked for, at the front end
	[ -z "$(jq -r 'select(.event=="publish.refused").reason' events | grep -v 'publishing')" ]
	[ ! -s err ]
}
