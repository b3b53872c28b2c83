# An operator's requests: RUNDIR/control, and standard input.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	lv-auth --keys keys add alice --user 42 >alice
	lv-auth --keys keys add bob >bob
}

teardown() {
	touch enough
	[ -z "${door:-}" ] || kill "$door" 2>/dev/null || :
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}
gone() { ! kill -0 "$1" 2>/dev/null; }

open_door() {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --grace-ms 200 \
		--drain-s 0 "$@" -- sh -c 'exec cat >/dev/null' <"${from:-/dev/null}" >"${to:-/dev/null}" 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
}

# publish NAME: sound, until the file "enough" is there; says how it ended in NAME.end.
publish() {
	PYTHONPATH=$ROOT/tests/lib PYTHONDONTWRITEBYTECODE=1 PORT=$port python3 - "$1" "$(cat "$1")" <<-'END' 3>&- &
		import sys
		from rtmp import *
		p, end = Peer(), "enough"
		p.publish(sys.argv[2])
		p.sock.setblocking(False)
		i = 0
		while not os.path.exists("enough"):
		    try:
		        p.send(p.media([(8, 20 * i, sound(i))]))
		        p.got += p.sock.recv(65536) or exit("closed")
		        p.sock.setblocking(True)
		        end = p.status("NetStream.Publish.Denied")
		        break
		    except BlockingIOError:
		        i += 1
		        time.sleep(0.02)
		open(sys.argv[1] + ".end", "w").write(end)
	END
	publisher=$!
	wait_event events 10 ".event==\"publish.started\" and .stream==\"$1\"" >/dev/null
}

# ask REQUEST...: each a line; the answers.
ask() {
	python3 - "$@" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect("run/control")
		s.sendall("".join(a + "\n" for a in sys.argv[1:]).encode())
		s.shutdown(socket.SHUT_WR)
		print(s.makefile().read(), end="")
	END
}
is() { [ "$(ask "$2" | jq -c "$1")" = "$3" ] || { ask "$2"; return 1; }; }

@test "list and stats say what runs, limits what may; none but their owner may ask" {
	open_door --max-connections 7
	publish alice
	publish bob
	[ "$(stat -c %a run/control)" = 600 ]
	eventually 5 is .publishing '{"do":"stats"}' 2
	run -0 ask '{"do":"list","id":"a"}' '{"do":"limits","max_pending":9,"id":"b"}' '{"do":"stats","id":"c"}'
	[ "$(jq -c 'select(.id=="a") | [.stream, .user, .publishing, .ok]' <<<"$output" | sort)" = '["alice","42",true,null]
["bob",null,true,null]
[null,null,null,true]' ]
	[ "$(jq -c 'select(.stream=="alice").session' <<<"$output")" = \
		"$(jq -c 'select(.event=="publish.started" and .stream=="alice").session' events)" ]
	[ "$(jq -c 'select(.id=="b") | [.max_connections, .max_pending, .max_pending_address, .ok]' <<<"$output")" = '[7,9,10,true]' ]
	[ "$(jq -c 'select(.id=="c") | [.connections, .pending, .broadcasts, .accepted, .published, .refused, .auth, .draining]' \
		<<<"$output")" = '[2,0,2,2,2,0,true,false]' ]
	run ! grep -rq "$(cat alice)" events err
}

@test "kick by stream, by session, by key: told so, and nobody else hears of it" {
	open_door
	publish alice
	publish bob
	is .ok '{"do":"kick","stream":"alice","reason":"the rules"}' true
	eventually 10 test -s alice.end
	[ "$(cat alice.end)" = "the rules" ]
	wait_event events 10 '.event=="broadcast.ended" and .stream=="alice" and .reason=="the rules"'
	is .error '{"do":"kick","stream":"alice"}' '"no such broadcast"'
	is .error '{"do":"kick","session":"nobody"}' '"no such broadcast"'
	is .error '{"do":"kick","key":"nobody"}' '"nobody publishes with that key"'
	is .ok "{\"do\":\"kick\",\"key\":\"$(cat bob)\"}" true
	eventually 10 test -s bob.end
	[ "$(cat bob.end)" = "closed by the operator" ]
	rm -f bob.end
	wait_event events 10 '.event=="broadcast.ended" and .stream=="bob"'
	rm events
	touch events
	publish bob
	is .ok "{\"do\":\"kick\",\"session\":$(jq -c 'select(.event=="publish.started").session' events)}" true
	eventually 10 test -s bob.end
	[ "$(jq -r 'select(.event=="publish.refused").reason' events)" = "" ]
}

@test "kick by key reaches a publisher that an earlier door let in" {
	open_door
	publish alice
	kill -9 "$door"
	rm events
	open_door
	eventually 10 is '.stream' '{"do":"list"}' '"alice"'"$(printf '\nnull')"
	is .ok "{\"do\":\"kick\",\"key\":\"$(cat alice)\"}" true
	eventually 10 test -s alice.end
	[ "$(cat alice.end)" = "closed by the operator" ]
}

@test "drain: a publisher that understands is asked to connect again, no other hears of it" {
	open_door
	publish bob
	PYTHONPATH=$ROOT/tests/lib PYTHONDONTWRITEBYTECODE=1 PORT=$port timeout 30 python3 - "$(cat alice)" <<-'END' 3>&- &
		import sys
		from rtmp import *
		p = Peer()
		p.publish(sys.argv[1], capsEx=1)
		p.send(p.media([(8, 0, sound(0))]))
		open("ready", "w")
		why = p.status("NetConnection.Connect.ReconnectRequest")
		p.send(p.media([(8, 20, sound(1))])) # it is still heard
		open("asked", "w").write(why)
	END
	local asks=$!
	eventually 10 test -e ready
	is .ok '{"do":"drain","deadline_s":60}' true
	eventually 10 test -s asked
	[ "$(cat asked)" = "the server is stopping; connect again" ]
	wait "$asks"
	touch enough
	eventually 10 test -s bob.end
	[ "$(cat bob.end)" = enough ]
}

@test "drain: nobody new, the old ones until they finish" {
	open_door
	publish alice
	is .ok '{"do":"drain","deadline_s":3600}' true
	wait_event events 5 '.event=="server.draining" and .deadline_s==3600'
	run ! bash -c "exec 9<>/dev/tcp/127.0.0.1/$port" 2>/dev/null
	is .draining '{"do":"stats"}' true
	[ ! -e alice.end ]
	touch enough
	eventually 20 gone "$door"
	[ ! -e run/control ]
}

@test "drain: the deadline ends what still runs, and the last one given counts" {
	open_door
	publish alice
	is .ok '{"do":"drain","deadline_s":3600}' true
	is .ok '{"do":"drain","deadline_s":0}' true
	eventually 20 gone "$door"
	[ "$(cat alice.end)" = "the server is stopping" ]
}

@test "what is no request is answered, who never reads is let go, who says too much too" {
	open_door
	local bad
	for bad in '{}' 'x' '[]' '"list"' '{"do":"dance"}' '{"do":"list","do":"list"}' '{"do":"kick"}' '{"do":"kick","stream":1}' \
		'{"do":"kick","stream":"a","session":"b"}' '{"do":"drain"}' '{"do":"drain","deadline_s":-1}' '{"do":"limits","max_pending":0}' \
		'{"do":"limits","max_connections":"9"}'; do
		is .ok "$bad" false
	done
	python3 - <<-'END'
		import socket
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(20)
		s.connect("run/control")
		try:
		    while True: s.sendall(b'{"do":"stats"}\n' * 1000)
		except (BrokenPipeError, ConnectionResetError): pass
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(20)
		s.connect("run/control")
		try:
		    s.sendall(b"x" * 100000)
		    assert s.recv(1) == b""
		except (BrokenPipeError, ConnectionResetError): pass
	END
	is .ok '{"do":"stats"}' true
}

@test "--control -: standard input and output; a door that takes over has the socket" {
	mkfifo in
	exec 9<>in
	from=in to=out open_door --control -
	echo '{"do":"stats","id":"1"}' >&9
	eventually 10 test -s out
	[ "$(jq -c '[.id, .ok]' out)" = '["1",true]' ]
	publish alice
	local old=$door
	open_door
	is .ok '{"do":"stats"}' true
	kill -USR2 "$old"
	eventually 10 gone "$old"
	eventually 10 is 'select(.stream).stream' '{"do":"list"}' '"alice"'
	is .ok '{"do":"kick","stream":"alice"}' true
	eventually 10 test -s alice.end
}

@test "upgrade: another binary in the same process; who publishes goes on, and nobody who comes is turned away" {
	mkdir -p old/bin old/libexec
	cp "$BUILD/bin/rtmp-accept" old/bin/
	cp -r "$BUILD/libexec/lv" old/libexec/
	PATH=$PWD/old/bin:$PATH open_door
	publish alice
	python3 - "$port" <<-'END' 3>&- & # comes and goes all the time
		import os, socket, sys
		n = 0
		while not os.path.exists("enough"):
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
		    s.sendall(b"GET / HTTP/1.1\r\n\r\n")
		    while True:
		        try:
		            if not s.recv(4096): break
		        except ConnectionResetError: break
		    n += 1
		open("visits", "w").write(str(n))
	END
	local visitor=$! before
	cp old/bin/rtmp-accept new
	printf x >>new # another file, which the kernel runs all the same
	mv new old/bin/rtmp-accept
	is .ok '{"do":"upgrade"}' true
	wait_event events 10 '.event=="server.upgrading"'
	eventually 10 [ "$(jq -c 'select(.event=="server.ready").port' events | sort -u)" = "$port" ]
	eventually 10 ready_again
	[ "$(readlink "/proc/$door/exe")" = "$PWD/old/bin/rtmp-accept" ]
	eventually 10 is 'select(.stream).publishing' '{"do":"list"}' true
	publish bob
	before=$(grep -c refused events)
	eventually 10 visited "$before"
	[ ! -e alice.end ]
	: >enough
	wait "$visitor"
	[ "$(cat visits)" -gt 1 ]
	wait_event events 10 '.event=="broadcast.ended" and .stream=="alice"'
	[ "$(jq -r 'select(.event=="publish.ended" and .stream=="alice").reason' events)" = "the connection was lost" ]
	[ "$(grep -c '"publish.started".*alice' events)" = 1 ]
}
ready_again() { [ "$(grep -c server.ready events)" = 2 ]; }
visited() { [ "$(grep -c refused events)" -gt "$1" ]; }

@test "upgrade: not while there is no program, and what cannot run changes nothing" {
	mkdir -p old/bin old/libexec
	cp "$BUILD/bin/rtmp-accept" old/bin/
	cp -r "$BUILD/libexec/lv" old/libexec/
	PATH=$PWD/old/bin:$PATH open_door
	rm old/bin/rtmp-accept
	is .error '{"do":"upgrade"}' '"there is no program where ours was"'
	printf '\177ELF and no more' >old/bin/rtmp-accept
	chmod +x old/bin/rtmp-accept
	is .ok '{"do":"upgrade"}' true
	eventually 10 grep -q "cannot run .*; going on as we are" err
	publish alice
}

@test "upgrade over keepers of another version: said, the publisher goes on, and who comes back is in the same broadcast" {
	mkdir old
	cp -r "$BUILD/other/bin" "$BUILD/other/libexec" old/
	cp "$BUILD/libexec/lv/"rtmp-{session,tls} old/libexec/lv/
	PATH=$PWD/old/bin:$PATH open_door --grace-ms 20000
	publish bob
	publish alice
	local keeper
	keeper=$(pgrep -P "$door" -f 'rtmp-keeper alice')
	cp "$BUILD/bin/rtmp-accept" new
	mv new old/bin/rtmp-accept
	cp "$BUILD/libexec/lv/rtmp-keeper" new
	mv new old/libexec/lv/rtmp-keeper
	is .ok '{"do":"upgrade"}' true
	wait_event events 10 '.event=="keeper.mismatched" and .stream=="alice" and .version==999'
	wait_event events 10 '.event=="keeper.mismatched" and .stream=="bob"'
	grep -q '^rtmp-accept: warning: the keeper of alice is of another version (999, ours is 2): its publisher goes on' err
	is .ok '{"do":"kick","stream":"bob"}' true
	wait_event events 10 '.event=="broadcast.ended" and .stream=="bob"'
	eventually 10 is 'select(.stream) | [.stream, .user, .publishing]' '{"do":"list"}' '["alice","42",true]'
	[ ! -e alice.end ]
	kill -0 "$keeper"
	kill -9 "$publisher"
	wait_event events 10 '.event=="publish.ended" and .stream=="alice"'
	eventually 10 is 'select(.stream).publishing' '{"do":"list"}' false
	publish alice
	wait_event events 10 '.event=="keeper.restarted"'
	eventually 10 is 'select(.stream).publishing' '{"do":"list"}' true
	eventually 10 gone "$keeper"
	[ "$(below "$door" rtmp-keeper | wc -l)" = 1 ]
	[ "$(jq -r 'select(.stream=="alice" and (.event | startswith("broadcast.") or startswith("publish."))).event' events | xargs)" = \
		"broadcast.started publish.started publish.ended publish.started" ]
	[ "$(jq -r 'select(.event=="publish.started" and .stream=="alice").broadcast' events | sort -u | wc -l)" = 1 ]
	is .ok '{"do":"kick","stream":"alice"}' true
	eventually 10 test -s alice.end
}
