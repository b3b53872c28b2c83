# What --metrics answers, of every command that has it: promtool's judgement, who is let in and who is cut off.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/metrics
load ../lib/postgres

setup() {
	cd "$BATS_TEST_TMPDIR"
	pids=()
	command -v promtool >/dev/null || skip "no promtool"
}

teardown() {
	local pid
	[ -z "${PG:-}" ] || pg_remove
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
	for pid in "${pids[@]}"; do eventually 20 gone "$pid" || kill -9 "$pid" || :; done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

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
	kill "${pids[0]}"
	wait "${pids[0]}"
	[ ! -e serve.metrics ] # which its sandbox lets it take away
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

event() { # NAME FIELDS
	printf '{"ts":"2026-01-01T00:00:00.000Z","src":"t","event":"%s",%s}\n' "$@"
}

@test "lv-hook: what waits, what was told and what will not be" {
	python3 "$ROOT/tests/lib/backend.py" asked '' 0 >port 3>&- &
	pids+=("$!")
	eventually 20 test -s port
	mkfifo in
	lv-hook --hook-private --metrics "unix:$PWD/hook.metrics" "http://127.0.0.1:$(<port)/json" <in 2>/dev/null 3>&- &
	pids+=("$!")
	exec 7>in
	event some.thing '"n":1' >&7
	event some.thing '"n":2' >&7
	eventually 10 scraped_has hook.metrics 'lv_hook_posts_total{outcome="taken"} 2'
	has 'lv_hook_queue_events 0'
	kill "${pids[0]}"
	wait "${pids[0]}" || :
	event some.thing '"n":3' >&7
	eventually 10 scraped_has hook.metrics 'lv_hook_stalled 1'
	has 'lv_hook_queue_events 1'
	has 'lv_hook_posts_total{outcome="retried"} *'
	exec 7>&-
}

@test "lv-auth: verdicts and why, from keys and from a database; lv-notify: followers told" {
	command -v redis-server >/dev/null || skip "no redis-server"
	mkfifo in in2 in3
	lv-auth --keys keys add alice >key
	lv-auth --keys keys --metrics "unix:$PWD/auth.metrics" <in >out 3>&- &
	pids+=("$!")
	exec 7>in
	ask() { printf '{"ask":"publish","id":"%s","session":"%s","app":"live","remote":"192.0.2.1:1","key":"%s"}\n' "$1" "$1" "$2"; }
	ask 1 wrong >&7
	ask 2 "$(<key)" >&7
	ask 3 "$(<key)" >&7
	eventually 10 scraped_has auth.metrics 'lv_auth_verdicts_total{outcome="allowed"} 1'
	eventually 10 scraped_has auth.metrics 'lv_auth_verdicts_total{outcome="refused"} 2'
	has 'lv_auth_refusals_total{reason="unknown key"} 1'
	has 'lv_auth_refusals_total{reason="already publishing"} 1'
	exec 7>&-

	pg_create
	lv-auth schema | psql -Xq
	psql -Xqc "insert into followers (stream, user_id) values ('alice', 'u1'), ('alice', 'u2')"
	lv-auth --db "$DB" --metrics "unix:$PWD/db.metrics" <in2 >out2 2>/dev/null 3>&- &
	pids+=("$!")
	exec 8>in2
	eventually 10 scraped_has db.metrics 'lv_auth_database_up 1'
	redis-server --port 0 --unixsocket "$PWD/redis" --save '' >/dev/null 3>&- &
	pids+=("$!")
	lv-notify --db "$DB" --redis "unix:$PWD/redis" --metrics "unix:$PWD/notify.metrics" <in3 2>/dev/null 3>&- &
	pids+=("$!")
	exec 9>in3
	printf '{"ts":"%s","src":"t","event":"broadcast.started","stream":"alice","broadcast":"0123456789"}\n' \
		"$(date -u +%FT%T.000Z)" >&9
	eventually 20 scraped_has notify.metrics 'lv_notify_followers_told_total 2'
	has 'lv_notify_database_up 1'
	pg_stop immediate
	eventually 20 scraped_has db.metrics 'lv_auth_database_up 0'
	exec 8>&- 9>&-
}

@test "rtmp-accept: a thousand streams in one answer, which takes no time to speak of" {
	command -v keepers >/dev/null || skip "no keepers"
	ulimit -n 4096
	mkdir -m 700 run
	(cd run && exec keepers 1000) >ready 3>&- &
	pids+=("$!")
	eventually 20 test -s ready
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'cat >/dev/null' --drain-s 0 \
		--metrics "unix:$PWD/door.metrics" -- cat 2>/dev/null 3>&- &
	pids+=("$!")
	eventually 20 scraped_has door.metrics 'lv_ingest_publishers 1000'
	has 'lv_ingest_problem{stream="stream-8",problem="stalled"} 1'
	[ "$(grep -c '^lv_ingest_bytes_total{' scraped)" = 1000 ]
	local took
	took=$(curl -sSf -o /dev/null -w '%{time_total}' --unix-socket door.metrics http://lv/metrics)
	awk -v t="$took" 'BEGIN { exit !(t < 5) }' # tests/bench/metrics says how little it is
	lv-stat --once "unix:$PWD/door.metrics" | jq -es '[.[] | select(.stream)] | length == 1000 and (map(.kbps) | max) == 3499'
}
