# The package on a machine of its own, booted by systemd: installed, started, broken in many ways, removed.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/machine

setup_file() {
	local why
	why=$(machine_possible) || skip "$why"
	make -s -C "$ROOT" BUILD="$BUILD" deb >"$BATS_FILE_TMPDIR/deb.log" 2>&1 || { cat "$BATS_FILE_TMPDIR/deb.log"; return 1; }
	cat >"$BATS_FILE_TMPDIR/before" <<-END
		rm -rf var/lib/lv etc/lv var/log/journal usr/sbin/policy-rc.d
		cp '$BUILD'/deb/*.deb root/lv.deb
		cp '$ROOT/tests/lib/backend.py' root/
	END
	machine_boot "$BATS_FILE_TMPDIR"
	machine journalctl -f -o cat -n all >"$BATS_FILE_TMPDIR/journal" 2>/dev/null &
	export machine machine_shell machine_group
}
teardown_file() {
	jobs -p | xargs -r kill 2>/dev/null || :
	machine_stop
}
setup() {
	cd "$BATS_FILE_TMPDIR" || return
}
teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || machine journalctl --no-pager -n 400 -o short-precise |
		grep -vE '"(segment|playlist).written"|counted' | tail -n 40 | cut -c1-250
}

units() { machine dpkg -L lv-live | sed -n 's,^/usr/lib/systemd/system/\([^/]*\.[a-z]*[^d]\)$,\1,p'; }
active() { machine systemctl -q is-active "$1"; }
inactive() { ! active "$1"; }
show() { machine systemctl show -P "$2" "$1"; }
event() { grep '^{' journal >events || :; wait_event events 0 "$1" 2>/dev/null; }
when() { eventually "$1" event "$2" || { echo "no event with $2"; return 1; }; }
key() { machine runuser -u lv -- lv-auth --keys /var/lib/lv/keys add -- "$1" >"./$1.key"; }
live() { machine curl -sf "http://127.0.0.1:8080/live/$1/source/index.m3u8"; }
listed() { live "$1" | grep -c 'm4s$'; }
lists() { [ "$(listed "$1")" -ge "$2" ]; }
newest() { live "$1" | sed -n 's/.*-\([0-9]*\)\.m4s$/\1/p' | tail -n 1; }
beyond() { local n; n=$(newest "$1") && [ "${n:-0}" -gt "$2" ]; }

# publish STREAM [URL]: a picture and a tone, until unpublish.
publish() {
	local name=$1
	# shellcheck disable=SC2016 # the shell in the machine expands it
	machine sh -c 'echo $$ >/run/$0.pid; exec "$@"' "$name" ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -c:v libx264 \
		-preset ultrafast -tune zerolatency -b:v 300k -g 30 -pix_fmt yuv420p -c:a aac -b:a 64k -f flv \
		"${2:-rtmp://127.0.0.1}/live/$(cat "./$name.key")" >"./$name.out" 2>&1 </dev/null &
	when 30 ".event==\"publish.started\" and .stream==\"$name\"" >/dev/null
}
publishes() { machine sh -c 'kill -0 $(cat /run/$0.pid)' "$1"; }
unpublish() {
	machine sh -c 'kill $(cat /run/$0.pid)' "$1"
	when 30 ".event==\"broadcast.ended\" and .stream==\"$1\""
}
# now: a mark in the journal, to look at what comes after it.
now() { machine date '+%F %T.%6N'; }
said() { machine journalctl -o cat --since "$1" "${@:2}"; } # SINCE MATCH...

@test "the package is clean, installs, and starts nothing" {
	lintian --allow-root --fail-on error,warning "$BUILD"/deb/*.deb
	machine dpkg --no-triggers -i /root/lv.deb
	inactive lv.target
	inactive rtmp-accept.socket
	run ! machine systemctl -q is-enabled lv.target
	[ "$(machine stat -c '%U:%G %a' /var/lib/lv /run/lv/streams /etc/lv/secrets /etc/lv/lv.conf)" = "lv:lv 750
lv:lv 700
root:root 700
root:root 644" ]
}

@test "every unit is good (systemd-analyze verify), and exposed by 2.0 at most" {
	local u all
	mapfile -t all < <(units)
	[ "${#all[@]}" -ge 20 ]
	machine systemd-analyze verify --man=no --recursive-errors=no "${all[@]}"
	for u in "${all[@]}"; do
		case $u in
		*.service) machine systemd-analyze security --offline=yes --threshold=20 --no-pager "$u" | tail -n 1 ;;
		esac
		[ "${PIPESTATUS[0]}" = 0 ]
	done
	# The gates see what is wrong.
	printf '[Service]\nTyp=notify\nExecStart=/bin/true\n' | machine tee /run/systemd/system/wrong.service
	run ! machine systemd-analyze verify --man=no --recursive-errors=no wrong.service
	run ! machine systemd-analyze security --offline=yes --threshold=20 --no-pager wrong.service
}

@test "systemctl start lv.target: what is published at the socket comes out as a picture" {
	machine systemctl start lv.target lv-stat.service
	for u in rtmp-accept.socket rtmp-accept.service lv-serve.service lv-chatd.service; do active "$u"; done
	key alice
	key bob
	publish alice
	publish bob
	eventually 30 lists alice 2
	eventually 30 lists bob 2
	machine ffmpeg -v error -i http://127.0.0.1:8080/live/alice/master.m3u8 -map 0:v:0 -frames:v 3 -f framecrc - >frames
	[ "$(grep -c '^0,' frames)" = 3 ]
	[ "$(show lv-stream@alice.service ControlGroup)" = /lv.slice/lv-streams.slice/lv-stream@alice.service ]
	[ "$(show lv-stream@alice.service User)" = lv ]
}

@test "what serves says that it is ready, and is watched; what hangs or dies is started again" {
	for u in rtmp-accept lv-serve lv-chatd lv-stat; do
		[ "$(show $u Type)" = notify ]
		[ "$(show $u WatchdogUSec)" = 30s ]
		[ "$(show $u WatchdogTimestampMonotonic)" != 0 ]
	done
	# One that hangs is killed and started again.
	machine mkdir -p /run/systemd/system/lv-serve.service.d
	printf '[Service]\nWatchdogSec=1\n' | machine tee /run/systemd/system/lv-serve.service.d/quick.conf
	machine systemctl daemon-reload
	machine systemctl restart lv-serve
	machine systemctl kill -s STOP lv-serve
	hung() { [ "$(show lv-serve NRestarts)" -ge 1 ]; }
	eventually 20 hung
	eventually 10 active lv-serve
	machine rm -r /run/systemd/system/lv-serve.service.d
	machine systemctl daemon-reload
	machine systemctl restart lv-serve
	# A bad minute is no reason to give up.
	local n=0 pid
	another() { active lv-serve && [ "$(show lv-serve MainPID)" != "$pid" ]; }
	while ((n++ < 6)); do
		pid=$(show lv-serve MainPID)
		machine kill -9 "$pid"
		eventually 20 another
	done
}

@test "the figures of all of them come out at one port, the streams' from their events in the journal" {
	figures() { machine curl -sf http://127.0.0.1:9480/metrics >figures; }
	of() { figures && grep -q "$1" figures; }
	eventually 20 of '^lv_ingest_publishers{unit="rtmp-accept"} 2$'
	eventually 20 of '^lv_transcode_input_frames_total{unit="lv-stat",stream="bob"}'
	for u in lv-auth lv-serve lv-chatd; do grep -q "^lv_build_info{unit=\"$u\"" figures; done
	# Without its reader of the journal it would tell half.
	machine sh -c 'kill -9 "$(pgrep -x -u lv journalctl)"'
	again() { [ "$(show lv-stat NRestarts)" = 1 ] && active lv-stat; }
	eventually 20 again
	eventually 20 of '^lv_transcode_input_frames_total{unit="lv-stat",stream="bob"}'
	machine systemctl stop lv-stat.service
	[ "$(show lv-stat Result)" = success ]
}

@test "kill -9 of all of a stream's processes: its unit runs again, the sequence goes on, others see nothing" {
	local before since
	printf '#!/bin/sh\necho "on the phone: $1"\n' | machine install -m 755 /dev/stdin /etc/lv/alert
	before=$(newest alice)
	since=$(now)
	machine systemctl kill -s KILL lv-stream@alice.service
	eventually 30 beyond alice $((before + 2))
	active lv-stream@alice.service
	publishes alice
	[ "$(live alice | grep -c '^#EXT-X-DISCONTINUITY$')" = 1 ]
	live alice | sed -n 's/.*-\([0-9]*\)\.m4s$/\1/p' >numbers
	sort -nu numbers | cmp - numbers
	[ "$(live bob | grep -c '^#EXT-X-DISCONTINUITY$')" = 0 ]
	said "$since" -p alert | grep -qx 'lv-alert: lv-stream@alice.service has failed: journalctl -u lv-stream@alice.service'
	said "$since" | grep -qx 'on the phone: lv-stream@alice.service'
	machine rm /etc/lv/alert
}

@test "kill -9 of the door: publishers stay, the next one takes them over" {
	local pid
	pid=$(show rtmp-accept.service MainPID)
	machine kill -9 "$pid"
	another() { active rtmp-accept.service && [ "$(show rtmp-accept.service MainPID)" != "$pid" ]; }
	eventually 20 another
	publishes alice
	publishes bob
	both() { [ "$(echo '{"do":"list"}' | machine python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect("/run/lv/rtmp/control"); s.sendall(sys.stdin.buffer.read()); s.shutdown(1)
print(s.makefile().read())' | jq -s '[.[] | select(.publishing)] | length')" = 2 ]; }
	eventually 20 both
	local n
	n=$(newest alice)
	eventually 20 beyond alice "$n"
	[ "$(live bob | grep -c '^#EXT-X-DISCONTINUITY$')" = 0 ]
}

@test "the package is upgraded: publishers notice nothing, and the new binary runs" {
	local since was pid
	pid=$(show rtmp-accept.service MainPID)
	was=$(machine stat -L -c %i "/proc/$pid/exe")
	since=$(now)
	machine dpkg --no-triggers -i /root/lv.deb
	renewed() { [ "$(machine stat -L -c %i "/proc/$pid/exe")" != "$was" ]; }
	eventually 20 renewed
	[ "$(show rtmp-accept.service MainPID)" = "$pid" ]
	active rtmp-accept.service
	active lv-serve.service
	publishes alice
	publishes bob
	[ "$(said "$since" -u rtmp-accept | grep -c '"publish.ended"')" = 0 ]
	local n
	n=$(newest bob)
	eventually 20 beyond bob "$n"
	[ "$(live bob | grep -c '^#EXT-X-DISCONTINUITY$')" = 0 ]
	key -carol # and it lets new ones in
	publish -carol
	eventually 30 lists -carol 1
	unpublish -carol
}

@test "lv may start and stop the pipelines of streams, and nothing else" {
	as_lv() { machine runuser -u lv -- systemctl --no-ask-password "$@"; }
	as_lv stop lv-stream@nobody.service
	run ! as_lv stop lv-serve.service
	run ! as_lv start lv-vod@alice.service
	run ! as_lv restart lv-stream@alice.service
	run ! as_lv kill lv-stream@alice.service
	run ! as_lv start lv-stream@a.b.service
	run ! as_lv daemon-reload
	run ! as_lv poweroff
	run ! machine runuser -u nobody -- systemctl --no-ask-password stop lv-stream@alice.service
	active lv-serve.service
	active lv-stream@alice.service
}

@test "a broadcast that ends is a recording; the unit of its stream is gone" {
	unpublish bob
	eventually 20 inactive lv-stream@bob.service
	[ "$(show lv-stream@bob.service Result)" = success ]
	live bob | grep -qx '#EXT-X-ENDLIST'
	when 30 '.event=="vod.ready" and .stream=="bob"'
	machine sh -c 'ffprobe -v error -show_entries format=duration -of csv=p=0 /var/lib/lv/archive/bob/*/recording.mp4' >duration
	[ "$(cut -d. -f1 duration)" -ge 2 ]
	machine sh -c 'ls /run/lv/streams' >left
	run ! grep bob left
	# An archive by its name, once more.
	machine sh -c 'rm /var/lib/lv/archive/bob/*/recording.*'
	machine systemctl start "lv-vod@bob:$(machine ls /var/lib/lv/archive/bob).service"
	machine sh -c 'test -s /var/lib/lv/archive/bob/*/recording.mp4'
	run ! machine systemctl start lv-vod@bob:..service
}

drop_in() { # UNIT: standard input, in effect
	machine mkdir -p "/run/systemd/system/$1.d"
	machine tee "/run/systemd/system/$1.d/test.conf"
	machine systemctl daemon-reload
}

@test "lv-hook tells a back end, and after a stop and a kill goes on where it was; lv-notify tells followers" {
	local n
	# shellcheck disable=SC2016 # the shell in the machine expands it
	machine sh -c 'echo $$ >/run/backend.pid; exec python3 /root/backend.py /root/asked "$(cat /etc/lv/secrets/hook)" 8765' >backend.out 2>&1 &
	drop_in lv-hook.service <<-END
		[Service]
		Environment="LV_HOOK_OPTIONS=--hook-private --event publish.started --event broadcast.ended --event segment.written http://127.0.0.1:8765/json"
	END
	machine sh -eu <<-'END'
		install -d -o nobody /run/pg
		bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
		pg() { runuser -u nobody -- "$bin/$@"; }
		pg initdb -D /run/pg/data -U lv -A trust -N --locale=C.UTF-8 >/dev/null
		pg pg_ctl -D /run/pg/data -w -o '-k /run/pg -F -c listen_addresses=' -l /run/pg/log start >/dev/null
		redis-server --port 0 --unixsocket /run/pg/redis --unixsocketperm 777 --requirepass sesame --save '' --daemonize yes >/dev/null
		umask 077
		echo sesame >/etc/lv/secrets/redis
		createdb -h /run/pg -U lv lv
		lv-auth schema | psql -Xq -h /run/pg -U lv lv
		lv-auth --db 'postgresql:///lv?host=/run/pg&user=lv' add gwen >/dev/null
		lv-auth --db 'postgresql:///lv?host=/run/pg&user=lv' follow gwen 17
	END
	drop_in lv-notify.service <<-END
		[Service]
		LoadCredential=redis:/etc/lv/secrets/redis
		Environment="LV_NOTIFY_OPTIONS=--db postgresql:///lv?host=/run/pg&user=lv --redis unix:/run/pg/redis --redis-password-file /run/credentials/lv-notify.service/redis"
	END
	machine systemctl start lv-hook lv-notify
	asked() { machine cat /root/asked | jq -c "select(.facts.stream == \"gwen\") | $1" >asked; }
	heard() { asked "select(.facts.event == \"$1\")" && [ -s asked ]; }
	told() { asked 'select(.facts.event == "segment.written" and .facts.track == "source").facts.seq' && [ "$(tail -n 1 asked)" -ge "$1" ]; }
	key gwen
	publish gwen # whose unit nobody had seen yet
	eventually 20 heard publish.started
	eventually 30 told 1
	machine systemctl stop lv-hook
	[ "$(show lv-hook Result)" = success ]
	n=$(newest gwen)
	eventually 30 beyond gwen $((n + 1))
	machine systemctl start lv-hook
	eventually 30 told $((n + 2))
	seq "$(head -n 1 asked)" "$(tail -n 1 asked)" | cmp - asked # each, once, in order
	machine systemctl kill -s KILL --kill-who=main lv-hook
	unpublish gwen
	eventually 20 heard broadcast.ended
	[ "$(show lv-hook NRestarts)" = 1 ]
	[ "$(machine jq -s 'all(.[]; .signed)' /root/asked)" = true ]
	inbox() { [ "$(machine redis-cli --no-auth-warning -a sesame -s /run/pg/redis llen inbox:17)" = 1 ]; }
	eventually 20 inbox
	machine systemctl stop lv-hook lv-notify
	[ "$(show lv-notify Result)" = success ]
	machine sh -c 'redis-cli --no-auth-warning -a sesame -s /run/pg/redis shutdown nosave; kill -QUIT "$(head -n 1 /run/pg/data/postmaster.pid)" $(cat /run/backend.pid)'
	machine rm -r /run/systemd/system/lv-hook.service.d /run/systemd/system/lv-notify.service.d
	machine systemctl daemon-reload
}

@test "while every processor is wanted, pipelines and recordings share it by the weights of their slices" {
	local tree of group cpu weight ours theirs all=()
	if grep -sqw cpu "${machine_group%/*}/cgroup.controllers"; then
		tree=${machine_group%/*} of=cpu.weight
		echo +cpu >"$tree/cgroup.subtree_control"
	else
		tree=$(findmnt -nro TARGET,OPTIONS -t cgroup | awk '$2 ~ /(^|,)cpu(,|$)/ { print $1; exit }') of=cpu.shares
		[ -n "$tree" ] || skip "no processor groups"
	fi
	tree=$tree/lv-weights-$$
	mkdir "$tree"
	[ $of = cpu.shares ] || echo +cpu >"$tree/cgroup.subtree_control"
	for group in lv-streams lv-batch; do
		weight=$(show $group.slice CPUWeight)
		[ $of = cpu.weight ] || weight=$((weight * 1024 / 100)) # as systemd reckons
		mkdir "$tree/$group"
		echo "$weight" >"$tree/$group/$of"
		for ((cpu = 0; cpu < $(nproc); cpu++)); do
			taskset -c "$cpu" bash -c 'echo $$ >"$1/cgroup.procs" && while :; do :; done' busy "$tree/$group" 3>&- &
			all+=($!)
		done
	done
	spent() { local p; for p; do cut -d' ' -f1 "/proc/$p/schedstat"; done | awk '{ s += $1 } END { print int(s / 1000000) }'; }
	enough() { [ "$(spent "${all[@]}")" -ge 2000 ]; }
	eventually 60 enough
	ours=$(spent "${all[@]:0:$(nproc)}") theirs=$(spent "${all[@]:$(nproc)}")
	kill "${all[@]}"
	wait "${all[@]}" || :
	rmdir "$tree"/lv-* "$tree"
	echo "# of each second that both wanted: pipelines $((1000 * ours / (ours + theirs))) ms, recordings $((1000 * theirs / (ours + theirs))) ms" >&3
	((ours * 100 >= 85 * (ours + theirs))) # 200 to 10, which would be 95
}

@test "stages that are units of their own: one that dies leaves those before it alone" {
	local encoder n
	machine mkdir -p /run/systemd/system/lv-stream@.service.d
	machine ln -s /usr/share/lv/examples/systemd/joints/joints.conf /run/systemd/system/lv-stream@.service.d/
	machine systemctl daemon-reload
	key eve
	publish eve
	eventually 30 lists eve 2
	encoder=$(show lv-transcode@eve.service MainPID)
	n=$(newest eve)
	machine systemctl kill -s KILL lv-segment@eve.service
	eventually 30 beyond eve $((n + 1))
	[ "$(show lv-transcode@eve.service MainPID)" = "$encoder" ]
	n=$(newest eve)
	machine systemctl kill -s KILL lv-transcode@eve.service
	eventually 30 beyond eve $((n + 1))
	[ "$(show lv-stream@eve.service NRestarts)" = 0 ]
	live eve | sed -n 's/.*-\([0-9]*\)\.m4s$/\1/p' >numbers
	sort -nu numbers | cmp - numbers
	[ "$(event '.event=="pipeline.restarted" and .stream=="eve"')" = "" ]
	unpublish eve
	eventually 20 inactive lv-segment@eve.service
	live eve | grep -qx '#EXT-X-ENDLIST'
	for u in lv-stream lv-transcode lv-segment; do [ "$(show $u@eve.service Result)" = success ]; done
	when 30 '.event=="vod.ready" and .stream=="eve"'
	machine rm -r /run/systemd/system/lv-stream@.service.d
	machine systemctl daemon-reload
}

@test "four hundred publishers at once are handed over, each at the first try" {
	[ -n "${LONG:-}" ] || skip "only with LONG=1: it starts 400 units"
	drop_in lv-stream@.service <<-'END'
		[Unit]
		OnSuccess=
		[Service]
		ExecStart=
		ExecStart=/bin/sh -c 'exec cat </run/lv/streams/$${LV_STREAM}.flv >/dev/null'
	END
	machine runuser -u lv -- sh -c 'cd /tmp && mkfifo hold && exec 9<>hold
		while [ $((i += 1)) -le 400 ]; do
			LV_STREAM=storm-$i LV_BROADCAST=b LV_EPOCH=1 LV_ORIGIN_MS=1 /usr/libexec/lv/lv-hand-over <hold &
		done
		wait' >storm.out 2>&1 &
	all() { [ "$(machine systemctl list-units --no-legend --state=active 'lv-stream@storm-*' | wc -l)" = 400 ]; }
	eventually 180 all || { sort storm.out | uniq -c | head; return 1; }
	machine systemctl stop 'lv-stream@storm-*'
	wait "$!"
	[ ! -s storm.out ]
	machine rm -r /run/systemd/system/lv-stream@.service.d
	machine systemctl daemon-reload
}

@test "a full disk under one stream: the others and the door run on, and it does when there is room" {
	key dave
	machine install -d -o lv -g lv /var/lib/lv/live/dave /var/lib/lv/archive/dave
	machine mount -t tmpfs -o size=400k,mode=770,uid=lv,gid=lv small /var/lib/lv/live/dave
	local n since
	since=$(now)
	publish dave
	full() { said "$since" -p err | grep -q 'No space left on device'; }
	eventually 60 full
	active rtmp-accept.service
	publishes dave
	n=$(newest alice)
	eventually 20 beyond alice "$n"
	machine mount -o remount,size=50m /var/lib/lv/live/dave
	eventually 60 lists dave 5
	unpublish dave
	machine umount -l /var/lib/lv/live/dave
}

@test "a wrong credential is a failed unit, and one line that says why" {
	local since
	since=$(now)
	machine cp /etc/lv/secrets/chat /root/chat
	printf 'short\n' | machine tee /etc/lv/secrets/chat
	run ! machine systemctl restart lv-chatd
	[ "$(show lv-chatd Result)" = exit-code ]
	[ "$(show lv-chatd NRestarts)" = 0 ]
	said "$since" -p err _SYSTEMD_UNIT=lv-chatd.service >lines
	cat lines
	[ "$(wc -l <lines)" = 1 ]
	grep -Eqx 'lv-chatd: /run/credentials/lv-chatd.service/chat is no secret of [0-9]+ bytes or more, nor a PEM file' lines
	machine mv /root/chat /etc/lv/secrets/chat
	machine systemctl start lv-chatd

	since=$(now) # none at all
	printf '[Service]\nEnvironment="LV_S3PUSH_OPTIONS=--dest s3://tv/one --endpoint http://127.0.0.1:9"\n' | drop_in lv-s3push.service
	run ! machine systemctl start lv-s3push
	said "$since" -p err _SYSTEMD_UNIT=lv-s3push.service >lines
	cat lines
	[ "$(wc -l <lines)" = 1 ]
	grep -q '/s3 holds no aws_access_key_id' lines
	since=$(now)
	printf 'nonsense\n' | machine install -m 600 /dev/stdin /etc/lv/secrets/s3
	run ! machine systemctl start lv-s3push
	[ "$(said "$since" -p err _SYSTEMD_UNIT=lv-s3push.service)" = "$(cat lines)" ]
	printf '[default]\naws_access_key_id = a\naws_secret_access_key = b\n' | machine tee /etc/lv/secrets/s3
	machine systemctl start lv-s3push # ready with a bucket that is away: the backlog waits
	machine systemctl stop lv-s3push
	[ "$(show lv-s3push Result)" = success ]
}

@test "lv-journal answers what an operator asks" {
	asked() { machine /usr/share/lv/examples/operations/lv-journal "$@"; }
	[ "$(asked live | cut -f2)" = alice ]
	asked sessions | grep -q $'publish.ended\tbob\t127.0.0.1:'
	asked restarts | grep -q $'pipeline.restarted\talice\t'
	asked lost | grep -q $'disk.full\tdave\t'
	asked stream dave | grep -q 'No space left on device'
	[ "$(asked stream dave | grep -c '"stream":"alice"')" = 0 ]
	asked errors | grep -q 'lv-chatd: .* is no secret of'
	[ "$(asked events | jq -s 'map(select(.event == "broadcast.started")) | length')" -ge 5 ]
	run -64 asked nonsense
}

@test "old archives go by the timer's unit, the live and the young stay" {
	machine sh -c 'cd /var/lib/lv/archive && mkdir -p old/1 old/2 && cd old && echo "{\"live\":false}" >1/broadcast.json &&
		echo "{\"live\":true}" >2/broadcast.json && touch -d "40 days ago" 1 2 && chown -R lv:lv .'
	machine systemctl start lv-vod-expire.service
	machine sh -c 'cd /var/lib/lv/archive && test ! -e old/1 && test -e old/2 && test -e bob/*/broadcast.json && rm -r old'
	machine systemctl start lv-vod-expire.timer
	[ -n "$(show lv-vod-expire.timer NextElapseUSecRealtime)" ]
	machine systemctl stop lv-vod-expire.timer
}

@test "each unit is stopped and started; a stream that is stopped is a broadcast that ends" {
	for u in lv-serve lv-chatd; do
		machine systemctl stop "$u"
		[ "$(show "$u" Result)" = success ]
		machine systemctl start "$u"
		active "$u"
	done
	machine systemctl reload lv-chatd rtmp-accept
	active lv-chatd
	machine systemctl stop lv-stream@alice.service
	[ "$(show lv-stream@alice.service Result)" = success ]
	when 30 '.event=="broadcast.ended" and .stream=="alice"'
	machine systemctl stop rtmp-accept.service
	[ "$(show rtmp-accept.service Result)" = success ]
	# Who comes now is not turned away: systemd holds the socket, and starts the service.
	active rtmp-accept.socket
	key fay
	publish fay
	active rtmp-accept.service
	unpublish fay
}

@test "RTMPS: a socket beside the other, a certificate by its path, read again at a reload" {
	certificate() { # NAME
		machine sh -ec 'mkdir -p /etc/lv/tls && cd /etc/lv/tls && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
			-nodes -keyout key.pem -out chain.pem -days 2 -subj "/CN=$0" 2>/dev/null && chgrp lv key.pem && chmod 640 key.pem' "$1"
	}
	shown() { machine sh -c 'openssl s_client -connect 127.0.0.1:1936 </dev/null 2>/dev/null | openssl x509 -noout -subject'; }
	shows() { [ "$(shown)" = "subject=CN = $1" ]; }
	certificate first
	echo 'LV_ACCEPT_OPTIONS=--cert /etc/lv/tls/chain.pem --key /etc/lv/tls/key.pem' | machine tee -a /etc/lv/lv.conf
	machine systemctl enable rtmp-accept-tls.socket
	machine systemctl restart rtmp-accept.service
	active rtmp-accept-tls.socket
	shows first
	key gil
	publish gil rtmps://127.0.0.1:1936
	certificate second
	machine systemctl reload rtmp-accept
	eventually 20 shows second
	publishes gil
	unpublish gil
	machine sed -i '/^LV_ACCEPT_OPTIONS/d' /etc/lv/lv.conf
	machine systemctl disable --now rtmp-accept-tls.socket
	machine systemctl restart rtmp-accept.service
}

@test "the package is removed: settings, secrets and what was recorded stay, nothing else" {
	machine dpkg -L lv-live >files
	machine dpkg --no-triggers -r lv-live
	inactive lv.target
	inactive rtmp-accept.socket
	run ! machine pgrep -u lv
	while read -r f; do
		case $f in /etc/lv | /etc/lv/lv.conf) ;; *) [ -d "/proc/$machine/root$f" ] || ! machine test -e "$f" ;; esac
	done <files
	machine test -s /etc/lv/lv.conf -a -s /etc/lv/secrets/chat -a -s /var/lib/lv/keys
	machine sh -c 'test -s /var/lib/lv/archive/bob/*/recording.mp4 && test ! -e /run/lv && test ! -e /usr/libexec/lv'
	machine find /usr /etc /lib/systemd -newer /root/lv.deb -path '*lv-*' ! -path '*/dpkg/*' ! -path '/etc/lv/*' >left
	cat left
	[ ! -s left ]
	machine dpkg --no-triggers -P lv-live
	machine sh -c 'test ! -e /etc/lv/lv.conf && test ! -e /etc/lv/secrets && test -s /var/lib/lv/keys'
}

@test "make install without a package: what README says after it is enough for a picture" {
	make -s -C "$ROOT" BUILD="$BUILD" install DESTDIR="/proc/$machine/root" PREFIX=/usr/local >install.log
	run ! grep -rn '/usr/\(bin\|libexec/lv\)/' "/proc/$machine/root/usr/local/lib/systemd"
	machine install -D -m 644 /usr/local/share/lv/examples/systemd/lv.conf /etc/lv/lv.conf
	machine sh -ec 'systemd-sysusers; systemd-tmpfiles --create; systemctl daemon-reload'
	machine sh -c 'cd /usr/local/lib/systemd/system && systemd-analyze verify --man=no --recursive-errors=no *.service *.socket *.timer *.target'
	machine systemctl enable --now lv.target
	key zoe
	publish zoe # polkit has to let lv start its unit
	eventually 30 lists zoe 1
	unpublish zoe
	machine systemctl disable --now lv.target
}
