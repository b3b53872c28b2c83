# RTMPS: ffmpeg publishes, openssl looks at what it meets, and what is wrong is said clearly.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -t 4 -c:v libx264 \
		-preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac clip.flv
	local n
	for n in one two; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $n.key -out $n.pem -days 30 \
			-subj "/CN=$n.example" -addext subjectAltName=DNS:localhost 2>/dev/null
	done
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	cp "$BATS_FILE_TMPDIR"/*.{flv,pem,key} .
	lv-auth --keys keys add alice >alice
}

teardown() {
	[ -z "${door:-}" ] || kill "$door" 2>/dev/null || :
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}
gone() { ! kill -0 "$1" 2>/dev/null; }

open_door() {
	rtmp-accept --tls-listen 127.0.0.1:0 --cert one.pem --key one.key --run-dir "$PWD/run" --auth 'lv-auth --keys keys' \
		--events events --grace-ms 200 --drain-s 0 "$@" 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready" and .proto=="rtmps"' | jq .port)
	url=rtmps://localhost:$port/live
}

frames() {
	ffmpeg -nostdin -v error -copyts -i "$1" -map 0:v -map 0:a -c copy -f framecrc - | grep -v '^#' |
		awk -F, '{ print $1 "," $5 "," $6 }' | sort
}

@test "not a frame is lost on its way through TLS, and the program is told of it" {
	open_door -- sh -c 'echo "$PROTO $TCPREMOTEIP" >proto; cat >out.flv'
	ffmpeg -nostdin -v error -i clip.flv -c copy -tls_verify 1 -ca_file one.pem -f flv "$url/$(cat alice)"
	wait_event events 10 '.event=="broadcast.ended"'
	diff <(frames clip.flv) <(frames out.flv)
	[ "$(cat proto)" = "RTMPS 127.0.0.1" ]
	[ ! -s err ]
}

@test "a refusal is read by the publisher, not a reset" {
	open_door -- cat
	run ! ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "$url/nobody"
	[[ $output == *"Server error: unknown key"* ]]
	wait_event events 5 '.event=="publish.refused" and .reason=="unknown key"'
	eventually 10 no_child
}
no_child() { ! pgrep -P "$door" -f 'libexec/lv/rtmp-(tls|session)' >/dev/null; }

@test "TLS 1.2 and 1.3 are spoken, and no older one" {
	open_door -- cat
	run -0 openssl s_client -connect "127.0.0.1:$port" -CAfile one.pem -verify_return_error -tls1_3 </dev/null
	[[ $output == *"TLSv1.3"* && $output == *"Verify return code: 0"* ]]
	run -0 openssl s_client -connect "127.0.0.1:$port" -tls1_2 </dev/null
	run ! openssl s_client -connect "127.0.0.1:$port" -tls1_1 -cipher ALL@SECLEVEL=0 </dev/null
	wait_event events 5 '.event=="publish.refused" and .reason=="no TLS handshake: unsupported protocol"'
}

@test "a plain publisher on the TLS port, garbage, silence and a client that turns away end with the reason" {
	open_door --publish-ms 1500 -- cat
	run ! timeout 10 ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "rtmp://localhost:$port/live/x"
	wait_event events 5 '.event=="publish.refused" and .reason=="no TLS handshake: RTMP without TLS"'
	exec 9<>"/dev/tcp/127.0.0.1/$port"
	head -c 4000 /dev/urandom | sed 's/^./\x16/' >&9
	exec 9>&-
	eventually 10 unshaken 2
	run ! openssl s_client -connect "127.0.0.1:$port" -CAfile two.pem -verify_return_error </dev/null
	wait_event events 5 '.event=="publish.refused" and (.reason | test("no TLS handshake: .*alert"))'
	exec 9<>"/dev/tcp/127.0.0.1/$port"
	printf '\x16\x03\x01' >&9 # and no more
	wait_event events 10 '.event=="publish.refused" and .reason=="no TLS handshake: not in time"'
	exec 9>&-
	eventually 10 no_child
}

unshaken() { [ "$(grep -c 'no TLS handshake' events)" -ge "$1" ]; }

@test "SIGHUP: a new certificate for newcomers, a faulty one for nobody, and who publishes hears nothing of it" {
	open_door -- sh -c 'cat >out.flv'
	ffmpeg -nostdin -v error -re -i clip.flv -c copy -f flv "$url/$(cat alice)" 3>&- &
	local publisher=$!
	wait_event events 10 '.event=="publish.started"'
	subject() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | grep -o 'CN = [a-z]*' | head -n 1; }
	[ "$(subject)" = "CN = one" ]
	mv two.pem one.pem # the key is still the old one
	kill -HUP "$door"
	eventually 10 grep -q 'the certificate stays as it was' err
	grep -qx 'rtmp-accept: --key one.key: not the private key of the certificate' err
	[ "$(subject)" = "CN = one" ]
	mv two.key one.key
	kill -HUP "$door"
	wait_event events 10 '.event=="certificate.loaded"'
	[ "$(subject)" = "CN = two" ]
	wait "$publisher"
	wait_event events 10 '.event=="publish.ended" and .frames==120'
}

@test "inetd: with a certificate the one connection is RTMPS" {
	cat >front.sh <<-'END'
		exec rtmp-accept --inetd --cert one.pem --key one.key --run-dir "$PWD/run" --auth 'lv-auth --keys keys' \
			--grace-ms 100 --events events -- sh -c 'cat >out.flv' 2>err
	END
	python3 - <<-'END' 3>&- &
		import os, socket, subprocess
		s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(1)
		open("port.tmp", "w").write(str(s.getsockname()[1]))
		os.rename("port.tmp", "port")
		c, _ = s.accept()
		open("status", "w").write(str(subprocess.call(["bash", "front.sh"], stdin=c)))
	END
	eventually 10 test -s port
	ffmpeg -nostdin -v error -i clip.flv -c copy -f flv "rtmps://127.0.0.1:$(cat port)/live/$(cat alice)"
	eventually 20 test -s status
	[ "$(cat status)" = 0 ]
	diff <(frames clip.flv) <(frames out.flv)
}

@test "certificates and keys that are not good say which, why and what to do" {
	try() { run "-$1" --separate-stderr rtmp-accept --tls-listen 127.0.0.1:0 --auth cat "${@:2}" -- cat; }
	try 64 --cert one.pem
	[ "$stderr" = "rtmp-accept: RTMPS needs --cert FILE and --key FILE" ]
	run -64 --separate-stderr rtmp-accept --listen 127.0.0.1:0 --cert one.pem --key one.key --auth cat -- cat
	[ "$stderr" = "rtmp-accept: --cert is for --tls-listen or --inetd" ]
	try 66 --cert none.pem --key one.key
	[ "$stderr" = "rtmp-accept: --cert none.pem: No such file or directory" ]
	try 66 --cert one.pem --key none.key
	[ "$stderr" = "rtmp-accept: --key none.key: No such file or directory" ]
	try 78 --cert one.key --key one.key
	[ "$stderr" = "rtmp-accept: --cert one.key: no certificate in PEM" ]
	cp one.pem none.key
	chmod 600 none.key
	try 78 --cert one.pem --key none.key
	[ "$stderr" = "rtmp-accept: --key none.key: no private key in PEM, without a passphrase" ]
	try 78 --cert one.pem --key two.key
	[ "$stderr" = "rtmp-accept: --key two.key: not the private key of the certificate" ]
	openssl ec -in one.key -aes128 -passout pass:x -out locked.key 2>/dev/null
	try 78 --cert one.pem --key locked.key
	[ "$stderr" = "rtmp-accept: --key locked.key: no private key in PEM, without a passphrase" ]
	{ cat one.pem; sed 's/[A-Z]/A/g; s/^-.*AAAAA.*AAA.*$/-----BEGIN CERTIFICATE-----/' two.pem; } >chain.pem
	try 78 --cert chain.pem --key one.key
	[ "$stderr" = "rtmp-accept: --cert chain.pem: a damaged certificate in the chain" ]
	chmod 644 one.key
	try 77 --cert one.pem --key one.key
	[ "$stderr" = "rtmp-accept: --key one.key: everybody may read it; chmod o= it" ]
}

@test "the key is in no process but the one of the connection, which is jailed" {
	[[ $BUILD != *asan* ]] || skip "off where a sanitizer runs"
	open_door -- cat
	mkfifo hold
	openssl s_client -quiet -connect "127.0.0.1:$port" <hold >/dev/null 2>&1 3>&- &
	local client=$! secret pid
	exec 9>hold
	eventually 10 pgrep -P "$door" -f rtmp-tls
	pid=$(pgrep -P "$door" -f rtmp-tls)
	eventually 10 grep -q '^Seccomp:.2' "/proc/$pid/status"
	eventually 10 few_files "$pid"
	secret=$(openssl ec -in one.key -outform DER 2>/dev/null | xxd -p -s 7 -l 32 -c 32)
	run holds "$pid" "$secret"
	[ "$status" != 77 ] || skip "another process's memory may not be read here"
	[ "$status" = 0 ]
	for pid in "$door" $(pgrep -P "$door" -f rtmp-session); do
		run -1 holds "$pid" "$secret"
	done
	exec 9>&-
	wait "$client" || :
}
few_files() { [ "$(find "/proc/$1/fd" -type l -printf '%f\n' | sort -n | xargs)" = "0 1 2 3" ]; }
# holds PID SECRET: whether the bytes, in either order, are in its memory.
holds() {
	python3 - "$@" <<-'END'
		import sys
		pid, secret = sys.argv[1], bytes.fromhex(sys.argv[2])
		try:
		    mem = open(f"/proc/{pid}/mem", "rb")
		    maps = open(f"/proc/{pid}/maps").read().splitlines()
		except PermissionError:
		    sys.exit(77)
		for line in maps:
		    a, b = (int(x, 16) for x in line.split()[0].split("-"))
		    if line.split()[1][0] == "r" and "[v" not in line:
		        mem.seek(a)
		        data = mem.read(b - a)
		        if secret in data or secret[::-1] in data:
		            sys.exit(0)
		sys.exit(1)
	END
}
