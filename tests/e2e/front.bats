# Behind HAProxy: who publishes is known, by RTMP and RTMPS, by both versions of its header.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
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
	command -v haproxy >/dev/null || skip "no haproxy"
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

@test "HAProxy's agent check: free capacity, and drain while the last publisher finishes" {
	command -v haproxy >/dev/null || skip "no haproxy"
	open_door --agent-listen 127.0.0.1:0 --max-connections 10 --drain-s 60 -- sh -c 'exec cat >/dev/null'
	local rtmp agent
	rtmp=$(port_of rtmp) agent=$(port_of agent)
	cat >haproxy.cfg <<-END
		global
		  stats socket $PWD/stats
		defaults
		  mode tcp
		  timeout connect 5s
		  timeout client 20s
		  timeout server 20s
		listen one
		  bind 127.0.0.1:$(free_port)
		  server s 127.0.0.1:$rtmp send-proxy weight 100 agent-check agent-addr 127.0.0.1 agent-port $agent agent-inter 100ms
	END
	haproxy -db -f haproxy.cfg >front.log 2>&1 3>&- &
	front=$!
	eventually 10 reports 100
	printf 'PROXY TCP4 203.0.113.1 192.0.2.1 1 2\r\n' >hello
	exec 8<>"/dev/tcp/127.0.0.1/$rtmp" 9<>"/dev/tcp/127.0.0.1/$rtmp"
	eventually 10 reports 80
	exec 8>&- 9>&-
	python3 - "$rtmp" "$(cat alice)" <<-'END' 3>&- &
		import os, sys
		sys.path.insert(0, os.environ["ROOT"] + "/tests/lib")
		sys.dont_write_bytecode = True
		from rtmp import *
		p = Peer(sys.argv[1])
		p.send(b"PROXY UNKNOWN\r\n")
		p.publish(sys.argv[2])
		open("publishing", "w")
		for i in range(600):
		    p.send(p.media([(8, 50 * i, sound(i))]))
		    time.sleep(0.05)
		    if os.path.exists("enough"): break
	END
	local publisher=$!
	eventually 10 test -e publishing
	kill "$door"
	eventually 10 reports "DRAIN (agent)"
	: >enough
	wait "$publisher"
	eventually 10 gone "$door"
}
# reports STATUS|WEIGHT: what HAProxy thinks of the server.
reports() {
	python3 - "$@" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect("stats")
		s.sendall(b"show stat\n")
		rows = [r.split(",") for r in s.makefile().read().splitlines()]
		names = rows[0]
		row = dict(zip(names, next(r for r in rows if r[:2] == ["one", "s"])))
		print(row["status"], row["weight"])
		sys.exit(sys.argv[1] not in (row["status"], row["weight"]))
	END
}

@test "a socket keeps systemd's name for it through an upgrade" {
	command -v systemd-socket-activate >/dev/null || skip "no systemd-socket-activate"
	local one
	one=$(free_port)
	PATH=$PATH systemd-socket-activate -E PATH -l "127.0.0.1:$one" --fdname studio "$BUILD/bin/rtmp-accept" \
		--auth "jq --unbuffered -c 'select(.ask) | {id, allow: false, reason: (\"by \" + .listener)}'" \
		--run-dir "$PWD/run" --events events --drain-s 0 -- cat 2>err 3>&- &
	door=$!
	publish_here() { run ! ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "rtmp://127.0.0.1:$one/live/x"; }
	publish_here
	[[ $output == *"by studio"* ]]
	kill -USR1 "$door"
	eventually 10 eval '[ "$(grep -c server.ready events)" = 2 ]'
	publish_here
	[[ $output == *"by studio"* ]]
}

@test "systemd passes the sockets on, each named for what is spoken there, for this process alone" {
	command -v systemd-socket-activate >/dev/null || skip "no systemd-socket-activate"
	local one two
	one=$(free_port) two=$(free_port)
	PATH=$PATH systemd-socket-activate -E PATH -l "127.0.0.1:$one" -l "127.0.0.1:$two" --fdname rtmp:rtmps \
		"$BUILD/bin/rtmp-accept" --cert cert --key key --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events \
		--grace-ms 100 --drain-s 0 -- sh -c 'echo "$PROTO ${LISTEN_FDS-none}" >>who; exec cat >/dev/null' 2>err 3>&- &
	door=$!
	ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "rtmp://127.0.0.1:$one/live/$(cat alice)"
	ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "rtmps://127.0.0.1:$two/live/$(cat bob)"
	wait_event events 10 '.event=="broadcast.ended" and .stream=="bob"'
	[ "$(sort who)" = "RTMP none
RTMPS none" ]
	kill "$door"
	eventually 10 gone "$door"
	run -64 --separate-stderr bash -c 'LISTEN_PID=$$ LISTEN_FDS=1 exec rtmp-accept --auth cat -- cat 3</dev/null'
	[ "$stderr" = "rtmp-accept: LISTEN_FDS: what was passed on is no listening socket" ]
}
