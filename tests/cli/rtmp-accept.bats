bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	door=
}

teardown() {
	[ -z "$door" ] || kill "$door" 2>/dev/null || :
}

@test "what is missing is said, and exits 64" {
	run -64 --separate-stderr rtmp-accept --listen 127.0.0.1:0 -- cat
	[[ $stderr == *"--auth COMMAND"* ]]
	run -64 --separate-stderr rtmp-accept --auth cat -- cat
	run -64 --separate-stderr rtmp-accept --listen 127.0.0.1:0 --inetd --auth cat -- cat
	run -64 --separate-stderr rtmp-accept --listen 127.0.0.1:0 --auth cat
	[[ $stderr == *"missing operand"* ]]
}

@test "a run directory below /tmp that is not ours is not used" {
	local port dir
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	dir=/tmp/lv-$(id -u)-rtmp-$port
	mkdir theirs
	ln -s "$PWD/theirs" "$dir"
	run -77 --separate-stderr timeout 20 env -u RUNTIME_DIRECTORY -u XDG_RUNTIME_DIR \
		rtmp-accept --listen "127.0.0.1:$port" --auth cat -- cat
	rm "$dir"
	[ "$stderr" = "rtmp-accept: $dir is somebody else's; name a folder of your own with --run-dir" ]
	[ -z "$(ls -A theirs)" ]
}

@test "a coprocess that answers what nobody asked, and reads nothing, is started again" {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --events events --drain-s 0 --auth \
		"yes '{\"id\":\"x\",\"allow\":true,\"stream\":\"a\",\"broadcast\":\"0123456789\",\"epoch\":1,\"origin_ms\":1}'" \
		-- cat 2>err 3>&- &
	door=$!
	wait_event events 20 '.event=="auth.restarted" and .reason=="does not read its requests" and .wait_ms > 0'
	kill "$door"
	wait "$door"
	door=
}

@test "values out of bounds name the option and the bounds" {
	run -64 --separate-stderr rtmp-accept --listen nowhere --auth cat -- cat
	[ "$stderr" = "rtmp-accept: --listen nowhere: not ADDR:PORT" ]
	run -64 --separate-stderr rtmp-accept --listen 127.0.0.1:99999 --auth cat -- cat
	[ "$stderr" = "rtmp-accept: --listen 127.0.0.1:99999: not ADDR:PORT" ]
	run -64 --separate-stderr rtmp-accept --listen :0 --auth cat --merge-ms 5000 -- cat
	[ "$stderr" = "rtmp-accept: --merge-ms 5000: not between 0 and 1000" ]
	run -64 --separate-stderr rtmp-accept --listen :0 --auth cat --sandbox maybe -- cat
	[ "$stderr" = "rtmp-accept: --sandbox maybe: not on, off or log" ]
	run -64 --separate-stderr rtmp-accept --listen :0 --auth cat --proxy-from 10.0.0.0/33 -- cat
	[ "$stderr" = "rtmp-accept: --proxy-from 10.0.0.0/33: not an address, nor one with /BITS" ]
	run -64 --separate-stderr rtmp-accept --listen :0 --auth 'cat >/dev/null' --events 77 -- cat
	[[ $stderr == *"cannot write events to 77"* ]]
}

@test "an address in use exits 69, a run directory that cannot be exits 73" {
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/a" --auth 'cat >/dev/null' --events events --drain-s 0 -- cat 3>&- &
	door=$!
	local port
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	run -69 --separate-stderr rtmp-accept --listen "127.0.0.1:$port" --run-dir "$PWD/b" --auth cat -- cat
	[ "$stderr" = "rtmp-accept: cannot listen on 127.0.0.1:$port: Address already in use" ]
	kill "$door"
	wait "$door"
	run -73 --separate-stderr rtmp-accept --listen 127.0.0.1:0 --run-dir /no/such/dir --auth cat -- cat
	[ "$stderr" = "rtmp-accept: cannot make /no/such/dir: No such file or directory" ]
}

@test "IPv4 and IPv6 together, each said by server.ready" {
	rtmp-accept --listen 127.0.0.1:0 --listen '[::1]:0' --run-dir "$PWD/run" --auth 'cat >/dev/null' --events events \
		--drain-s 0 -- cat 3>&- &
	door=$!
	wait_event events 10 '.event=="server.ready" and .addr=="127.0.0.1"'
	wait_event events 10 '.event=="server.ready" and .addr=="::1"'
	kill "$door"
	wait "$door"
}

@test "--allow and --deny are for everybody, also on this machine" {
	local list port
	for list in '--allow 192.0.2.0/24 --allow ::1' '--deny 127.0.0.0/8'; do
		# shellcheck disable=SC2086 # two words each
		rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'cat >/dev/null' --events events --drain-s 0 $list -- cat 3>&- &
		door=$!
		port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
		exec 9<>"/dev/tcp/127.0.0.1/$port"
		wait_event events 10 '.event=="publish.refused" and .reason=="this address may not publish"'
		exec 9>&-
		kill "$door"
		wait "$door"
		rm events
	done
	run -64 --separate-stderr rtmp-accept --listen :0 --auth cat --allow here -- cat
	[ "$stderr" = "rtmp-accept: --allow here: not an address, nor one with /BITS" ]
}

@test "a session is jailed: few calls, no new privileges, no files" {
	[[ $BUILD != *asan* ]] || skip "off where a sanitizer runs"
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'cat >/dev/null' --events events --drain-s 0 -- cat 3>&- &
	door=$!
	local port session
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	exec 9<>"/dev/tcp/127.0.0.1/$port"
	printf '\x03' >&9
	eventually 10 pgrep -P "$door" -f rtmp-session
	session=$(pgrep -P "$door" -f rtmp-session)
	eventually 10 grep -q '^Seccomp:.2' "/proc/$session/status"
	grep -q '^NoNewPrivs:.1' "/proc/$session/status"
	eventually 10 few_files "$session"
	[ -z "$(tr -d '\0' <"/proc/$session/environ")" ]
	exec 9>&-
	kill "$door"
	wait "$door"
}
# The connection, nothing, standard error, the door.
few_files() { [ "$(find "/proc/$1/fd" -type l -printf '%f ')" = "0 1 2 3 " ]; }
