# Two boxes with one database behind one front: one of them is taken out of service while somebody publishes.  Two
# machines are booted: tests/run --long.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/machine

setup() {
	local why
	[ -n "${LONG:-}" ] || skip "only with LONG=1: it boots two machines"
	why=$(machine_possible) || skip "$why"
	command -v haproxy >/dev/null || skip "no haproxy"
	cd "$BATS_TEST_TMPDIR" || return
	firsts=() shells=() groups=()
}
teardown() {
	local n
	[ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 20 front.log encoder.log || :
	for n in 1 2; do
		[ -n "${BATS_TEST_COMPLETED:-}" ] || [ -z "${firsts[n]:-}" ] || on $n journalctl --no-pager -n 400 -o short-precise |
			grep -vE '"(segment|playlist).written"|counted' | tail -n 25 | cut -c1-250
		machine_shell=${shells[n]:-} machine_group=${groups[n]:-}
		machine_stop
	done
}

# boot N: a machine with what "make install" lays out.
boot() {
	mkdir "box$1"
	cat >"box$1/before" <<-END
		rm -rf var/lib/lv etc/lv var/log/journal
		make -s -C '$ROOT' BUILD='$BUILD' install DESTDIR="\$PWD" PREFIX=/usr >/dev/null
		install -D -m 644 usr/share/lv/examples/systemd/lv.conf etc/lv/lv.conf
	END
	machine_boot "$PWD/box$1"
	firsts[$1]=$machine shells[$1]=$machine_shell groups[$1]=$machine_group
}
on() { machine=${firsts[$1]} machine "${@:2}"; } # N COMMAND...
db() { on 2 psql -XAtq -h /run/pg -U lv lv -c "$1"; }
lists() { on "$1" curl -sf http://127.0.0.1:8080/live/alice/source/index.m3u8 | grep -q 'm4s$'; }
front() { echo 'show servers state boxes' | on 2 python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/run/front"); s.sendall(sys.stdin.buffer.read())
print(s.makefile().read())' 2>/dev/null | awk -v name="$1" '$4 == name { print $6, $7, $8 }'; } # state, admin state, weight
in_use() { [ "$(front "$1" | cut -d' ' -f1)" = 2 ] && [ "$(front "$1" | cut -d' ' -f3)" != 0 ]; }

@test "a box is taken out of service: its publisher is on the other within a reconnect, and its recording is made" {
	local n
	boot 1
	boot 2
	ip link add lv0 netns "${firsts[1]}" type veth peer name lv0 netns "${firsts[2]}"
	for n in 1 2; do
		on $n sh -ec "ip addr add 10.9.0.$n/24 dev lv0; ip link set lv0 up; hostname box$n
			systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload"
		on $n tee -a /etc/lv/lv.conf <<-'END'
			LV_AUTH=lv-auth --db postgresql://lv@10.9.0.2/lv --metrics unix:/run/lv/lv-auth.metrics
			LV_ACCEPT_OPTIONS=--agent-listen :9500 --drain-s 2
		END
	done
	on 2 sh -eu <<-'END'
		install -d -o nobody /run/pg
		bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
		pg() { runuser -u nobody -- "$bin/$@"; }
		pg initdb -D /run/pg/data -U lv -A trust -N --locale=C.UTF-8 >/dev/null
		echo 'host all all 10.9.0.0/24 trust' >>/run/pg/data/pg_hba.conf
		pg pg_ctl -D /run/pg/data -w -o '-k /run/pg -F -c listen_addresses=10.9.0.2' -l /run/pg/log start >/dev/null
		createdb -h /run/pg -U lv lv
		lv-auth schema | psql -Xq -h /run/pg -U lv lv
		lv-auth --db 'postgresql:///lv?host=/run/pg&user=lv' add alice >/root/key
		cat >/root/haproxy.cfg <<-'CFG'
			global
			  stats socket /run/front
			defaults
			  mode tcp
			  timeout connect 5s
			  timeout client 20s
			  timeout server 20s
			listen boxes
			  bind 127.0.0.1:1940
			  server one 10.9.0.1:1935 weight 100 check inter 200ms agent-check agent-port 9500 agent-inter 200ms
			  server two 10.9.0.2:1935 weight 100 check inter 200ms agent-check agent-port 9500 agent-inter 200ms backup
		CFG
	END
	for n in 1 2; do on $n systemctl start lv.target; done
	on 2 haproxy -db -f /root/haproxy.cfg >front.log 2>&1 &
	eventually 20 in_use one
	eventually 20 in_use two
	# An encoder that connects again a second after it was cut off.
	# shellcheck disable=SC2016 # the shell in the machine expands it
	on 2 sh -c 'while :; do
		ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -c:v libx264 -preset ultrafast \
			-tune zerolatency -b:v 300k -g 30 -pix_fmt yuv420p -c:a aac -f flv "rtmp://127.0.0.1:1940/live/$(cat /root/key)"
		sleep 1
	done' >encoder.log 2>&1 </dev/null &
	eventually 30 lists 1

	# The one word.  The socket goes with it: a box that only drained would take the next one who knocks.
	on 1 systemctl stop rtmp-accept.socket
	eventually 30 lists 2
	[ "$(on 1 systemctl show -P Result rtmp-accept.service)" = success ]
	run ! on 1 systemctl -q is-active rtmp-accept.service
	run ! on 1 systemctl -q is-active rtmp-accept.socket
	on 1 curl -sf http://127.0.0.1:8080/live/alice/source/index.m3u8 | grep -qx '#EXT-X-ENDLIST'
	recording() { on 1 sh -c 'test -s /var/lib/lv/archive/alice/*/recording.mp4'; }
	eventually 60 recording
	db "select regexp_replace(box, '/.*', ''), epoch, coalesce(reason, 'live') from sessions order by epoch" >sessions
	cat sessions
	[ "$(cat sessions)" = 'box1|1|ended
box2|2|live' ]
	[ "$(db "select extract(epoch from max(started_at) - min(ended_at)) < 5 from sessions")" = t ]
	echo "# dark: $(db "select extract(epoch from max(started_at) - min(ended_at)) from sessions") s, one of them the encoder's own" >&3

	# And back, when what had to be done is done.
	on 1 systemctl start lv.target
	eventually 20 in_use one
}
