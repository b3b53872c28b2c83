# What the daemons tell systemd of themselves, with a socket of the test's own in its place.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	umask 077
	python3 - notify said 3>&- <<-'END' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		out = open(sys.argv[2], "w")
		while True:
		    out.write(s.recv(4096).decode().replace("\n", " ") + "\n")
		    out.flush()
	END
	listener=$!
	eventually 10 test -S notify
	head -c 32 /dev/urandom | base64 >secret
}
teardown() {
	kill "$listener" "${daemon:-$listener}" 2>/dev/null || :
	wait
}
start() {
	env NOTIFY_SOCKET="$PWD/notify" WATCHDOG_USEC=2000000 "$@" >out 2>&1 3>&- &
	daemon=$!
}
said() { grep -c "^$1" said; }
times() { [ "$(said "$1")" -ge "$2" ]; }

# lives [RELOAD]: ready, signs of life, a reload, and the end.
lives() {
	eventually 20 times READY=1 1 || { cat out; return 1; }
	eventually 20 times WATCHDOG=1 3
	if [ "$#" -gt 0 ]; then
		kill -HUP "$daemon"
		eventually 20 times "RELOADING=1 MONOTONIC_USEC=" 1
		eventually 20 times READY=1 2
	fi
	kill "$daemon"
	wait "$daemon"
	times STOPPING=1 1
}

@test "rtmp-accept: ready, alive, reloaded, upgraded, stopping" {
	start rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --drain-s 0 --auth "lv-auth --keys $PWD/keys" -- cat
	eventually 20 times READY=1 1
	kill -USR1 "$daemon"
	eventually 20 times READY=1 2
	lives reload
}
@test "lv-serve: ready, alive, stopping" {
	mkdir -p root/live
	start lv-serve --root root --listen 127.0.0.1:0
	lives
}
@test "lv-chatd: ready, alive, reloaded, stopping" {
	start lv-chatd --listen 127.0.0.1:0 --token-secret secret
	lives reload
}
@test "lv-s3push: ready, alive, reloaded, stopping" {
	mkdir -p root/live
	printf '[default]\naws_access_key_id = a\naws_secret_access_key = b\n' >s3
	start lv-s3push --root root --dest s3://b/p --endpoint http://127.0.0.1:9 --credentials s3
	lives reload
}
@test "lv-stat: ready, alive, stopping" {
	start lv-stat --metrics 127.0.0.1:0 --interval-ms 60000 "$PWD"
	lives
}
@test "a credential that systemd hands over may have the bits of its ACL's mask, a file elsewhere not" {
	mkdir root credentials
	mkdir root/live
	cp secret credentials/secret
	chmod 440 secret credentials/secret
	export CREDENTIALS_DIRECTORY=$PWD/credentials
	run -77 lv-serve --root root --listen 127.0.0.1:0 --token-secret "$PWD/secret"
	start lv-serve --root root --listen 127.0.0.1:0 --token-secret "$PWD/credentials/secret"
	eventually 20 times READY=1 1
}
