# What --metrics answers, of every command that has it: promtool's judgement, who is let in and who is cut off.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	pids=()
	command -v promtool >/dev/null || skip "no promtool"
}

teardown() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
	for pid in "${pids[@]}"; do eventually 20 gone "$pid" || kill -9 "$pid" || :; done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# scrape SOCKET: what is answered there, into the file "scraped", which promtool and the manual have to like.
scrape() {
	curl -sSf --max-time 10 --unix-socket "$1" http://lv/metrics >scraped
	promtool check metrics <scraped
	has "process_resident_memory_bytes *"
	[ -z "$(sed -n 's/^# TYPE \(lv_[a-z0-9_]*\) .*/\1/p' scraped | sort | uniq -d)" ]
	local name
	for name in $(sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' scraped); do
		grep -qx "\.It Cm $name" "$ROOT/man/lv-metrics.7" || { echo "$name is not in lv-metrics(7)"; return 1; }
	done
}

# has SAMPLE: the line is among what was scraped last, but for its value if that is "*".
has() {
	if [ "${1##* }" = '*' ]; then grep -qF -- "${1% \*} " scraped; else grep -qxF -- "$1" scraped; fi ||
		{ echo "no $1 in:"; grep -v '^#' scraped; return 1; }
}
scraped_has() { scrape "$1" >/dev/null && has "$2" >/dev/null; }

@test "rtmp-accept: the door, its refusals, and a stream from its publisher to the end" {
	lv-auth --keys keys add good >good
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --health-ms 1000 \
		--grace-ms 60000 --drain-s 0 --metrics "unix:$PWD/door.metrics" -- sh -c 'exec cat >/dev/null' 3>&- &
	pids+=("$!")
	local port
	port=$(wait_event events 10 '.event=="server.ready" and .proto=="rtmp"' | jq .port)
	wait_event events 10 '.event=="server.ready" and .proto=="metrics"'
	scrape door.metrics
	has 'lv_ingest_publishers 0'
	has 'lv_ingest_auth_up 1'
	run ! ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=64x64:d=1 -f flv "rtmp://127.0.0.1:$port/live/wrong"
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -c:v libx264 \
		-preset ultrafast -g 30 -pix_fmt yuv420p -c:a aac -f flv "rtmp://127.0.0.1:$port/live/$(cat good)" 3>&- &
	local publisher=$!
	pids+=("$publisher")
	wait_event events 10 '.event=="publish.health"'
	eventually 10 scraped_has door.metrics 'lv_ingest_keyframe_interval_seconds{stream="good"} 1'
	has 'lv_ingest_publishers 1'
	has 'lv_stream_live{stream="good"} 1'
	has 'lv_ingest_refusals_total{reason="unknown key"} 1'
	has 'lv_ingest_bytes_per_second{stream="good"} *'
	[ "$(awk '$1 == "lv_ingest_bytes_total{stream=\"good\"}" { print ($2 > 10000) }' scraped)" = 1 ]
	[ "$(awk '$1 == "lv_ingest_frames_total{stream=\"good\",kind=\"video\"}" { print ($2 > 10) }' scraped)" = 1 ]
	kill "$publisher" # says goodbye: the broadcast waits a second and a half
	wait_event events 10 '.event=="publish.ended"'
	scrape door.metrics
	has 'lv_stream_live{stream="good"} 0'
	run ! has 'lv_ingest_bytes_per_second{stream="good"} *'
	wait_event events 20 '.event=="broadcast.ended"'
	scrape door.metrics
	run ! has 'lv_stream_live{stream="good"} *'
	kill "${pids[0]}"
	wait "${pids[0]}"
	[ ! -e door.metrics ]
}

@test "who asks wrongly is told, who is slow is cut off, and the command's work goes on" {
	mkdir -p run
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'cat >/dev/null' --events events --drain-s 0 \
		--metrics 127.0.0.1:0 -- cat 3>&- &
	pids+=("$!")
	local port
	port=$(wait_event events 10 '.event=="server.ready" and .proto=="metrics"' | jq .port)
	python3 - "$port" <<-'END'
		import socket, sys, time
		where = ("127.0.0.1", int(sys.argv[1]))

		def ask(text):
		    s = socket.create_connection(where, 10)
		    s.sendall(text)
		    answer = b""
		    while True:
		        more = s.recv(65536)
		        if not more:
		            return answer
		        answer += more

		def status(text):
		    return ask(text).split(b"\r\n")[0].split(b" ", 2)[1].decode()

		assert status(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") == "200"
		assert status(b"GET /metrics HTTP/1.0\n\n") == "200"
		assert status(b"GET /metrics?x=1 HTTP/1.1\r\n\r\n") == "200"
		head, body = ask(b"GET /metrics HTTP/1.1\r\n\r\n").split(b"\r\n\r\n", 1)
		assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
		assert b"Content-Length: %d\r\n" % len(body) in head, head
		head = ask(b"HEAD /metrics HTTP/1.1\r\n\r\n")
		assert head.endswith(b"\r\n\r\n") and b" 200 " in head, head
		assert status(b"GET / HTTP/1.1\r\n\r\n") == "404"
		assert status(b"GET /metrics/x HTTP/1.1\r\n\r\n") == "404"
		assert status(b"POST /metrics HTTP/1.1\r\n\r\n") == "405"
		assert status(b"\r\n\r\n") == "405"
		assert status(b"GET /metrics\0 HTTP/1.1\r\n\r\n") == "400"
		assert status(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 8300) == "431"
		# Eight who say nothing are cut off after five seconds; a ninth is not waited for.
		silent = [socket.create_connection(where, 10) for i in range(8)]
		time.sleep(0.2)
		ninth = socket.create_connection(where, 10)
		assert ninth.recv(1) == b""
		began = time.monotonic()
		assert silent[0].recv(1) == b""
		assert time.monotonic() - began < 9
		assert status(b"GET /metrics HTTP/1.1\r\n\r\n") == "200"
	END
}

@test "what cannot be answered at is said: no address, one in use, no such folder" {
	local opts=(--listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'cat >/dev/null')
	run -64 --separate-stderr rtmp-accept "${opts[@]}" --metrics nowhere -- cat
	[ "$stderr" = "rtmp-accept: --metrics nowhere: not ADDR:PORT, nor unix:PATH" ]
	run -73 --separate-stderr rtmp-accept "${opts[@]}" --metrics unix:/no/such/dir/x -- cat
	[ "$stderr" = "rtmp-accept: cannot make /no/such/dir/x: No such file or directory" ]
	rtmp-accept "${opts[@]}" --events events --drain-s 0 --metrics 127.0.0.1:0 -- cat 3>&- &
	pids+=("$!")
	local port
	port=$(wait_event events 10 '.event=="server.ready" and .proto=="metrics"' | jq .port)
	run -69 --separate-stderr rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run2" --auth 'cat >/dev/null' \
		--metrics "127.0.0.1:$port" -- cat
	[ "$stderr" = "rtmp-accept: cannot listen on 127.0.0.1:$port: Address already in use" ]
}

@test "lv-serve: requests by kind and status, bytes, viewers" {
	mkdir -p site/live/alice
	printf '#EXTM3U\n#EXT-X-VERSION:7\n' >site/live/alice/index.m3u8
	head -c 1000 /dev/zero >site/live/alice/1.m4s
	lv-serve --root site --listen 127.0.0.1:0 --events events --metrics "unix:$PWD/serve.metrics" 2>/dev/null 3>&- &
	pids+=("$!")
	local url
	url=http://127.0.0.1:$(wait_event events 10 '.event=="server.ready" and .proto=="http"' | jq .port)
	curl -sf -o /dev/null "$url/live/alice/index.m3u8?x=1" "$url/live/alice/1.m4s" -o /dev/null
	curl -sfI -o /dev/null "$url/live/alice/1.m4s"
	curl -s -o /dev/null "$url/live/alice/2.m4s"
	scrape serve.metrics
	has 'lv_http_requests_total{kind="playlist",code="200"} 1'
	has 'lv_http_requests_total{kind="media",code="200"} 2'
	has 'lv_http_requests_total{kind="media",code="404"} 1'
	[ "$(awk '$1 == "lv_http_response_bytes_total{kind=\"media\"}" { print ($2 >= 1000 && $2 < 1900) }' scraped)" = 1 ]
	has 'lv_viewers{stream="alice"} 1'
}

# chat NAME OPTION...: a server of rooms, the file NAME its events and NAME.metrics its figures; $url is set.
chat() {
	lv-chatd --listen 127.0.0.1:0 --token-secret secret --events "$1" --metrics "unix:$PWD/$1.metrics" "${@:2}" 2>/dev/null 3>&- &
	pids+=("$!")
	url=ws://127.0.0.1:$(wait_event "$1" 10 '.event=="server.ready" and .proto=="ws"' | jq .port)
}

@test "lv-chatd: rooms, messages, refusals by notice, how long Redis takes" {
	command -v redis-server >/dev/null || skip "no redis-server"
	(umask 077 && head -c 32 /dev/urandom | base64 >secret && lv-auth token alice --token-secret secret --user 1 >token)
	echo spam >words
	chat alone --blocked words
	lv-chat send alice --url "$url" --token-file token <<<hello
	run ! lv-chat send alice --url "$url" --token-file token <<<spam
	scrape alone.metrics
	has 'lv_chat_messages_total 1'
	has 'lv_chat_refused_total{notice="blocked_word"} 1'
	redis-server --port 0 --unixsocket "$PWD/redis.sock" --save '' --daemonize no >/dev/null 3>&- &
	pids+=("$!")
	eventually 10 test -S redis.sock
	chat shared --redis "unix:$PWD/redis.sock"
	wait_event shared 10 '.event=="redis.back"'
	lv-chat send alice --url "$url" --token-file token <<<hello
	scrape shared.metrics
	has 'lv_chat_redis_up 1'
	has 'lv_chat_messages_total 1'
	has 'lv_chat_redis_seconds_bucket{le="5"} *'
	[ "$(awk '$1 == "lv_chat_redis_seconds_count" { print ($2 > 1 && $2 < 30) }' scraped)" = 1 ]
}
