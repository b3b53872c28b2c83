bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/postgres
load ../lib/browser

# A door on a database, and the followers of what it lets in.

setup() {
	cd "$BATS_TEST_TMPDIR"
	pg_create
	lv-auth schema | psql -Xq
}

teardown() {
	[ -z "${LV_HOME:-}" ] || "$ROOT/pipelines.sh" down || :
	kill ${door:-} ${other:-} ${redis:-} $(cat pids 2>/dev/null) 2>/dev/null || :
	wait
	pg_remove
}

publish_to() { # SECONDS KEY
	timeout 60 ffmpeg -nostdin -v error -re -f lavfi -i "testsrc2=s=320x180:r=15:d=$1" -f lavfi -i "sine=d=$1" \
		-c:v libx264 -preset ultrafast -g 15 -c:a aac -f flv "rtmp://127.0.0.1:$port/live/$2" 3>&-
}

segments() {
	jq -s "map(select(.event == \"segment.written\" and .stream == \"$1\")) | length" events
}

# LONG=1: for 30 s.
@test "PostgreSQL away in mid-publish and mid-chat: picture and talk go on, every start and end is in the table afterwards" {
	local alice bob carol away=$((${LONG:+25} + 5)) chat
	alice=$(lv-auth --db "$DB" add alice --user 42)
	bob=$(lv-auth --db "$DB" add bob)
	carol=$(lv-auth --db "$DB" add carol)
	printf '#!/bin/sh\nexec lv-segment --dir "live/$LV_STREAM" --target-ms 1000\n' >program
	chmod +x program
	touch events
	rtmp-accept --listen 127.0.0.1:0 --run-dir run --grace-ms 500 --events events \
		--auth "lv-auth --db '$DB' --state notices --cache-s 3600" -- ./program 2>door.err 3>&- &
	door=$!
	port=$(wait_event events 20 '.event == "server.ready" and .proto == "rtmp"' | jq .port)
	(umask 077 && head -c 32 /dev/urandom | base64 >secret && lv-auth token alice --token-secret secret --user 7 >token)
	lv-chatd --listen 127.0.0.1:0 --token-secret secret --db "$DB" --events chat.events 2>chat.err 3>&- &
	other=$!
	chat=ws://127.0.0.1:$(wait_event chat.events 20 '.event == "server.ready"' | jq .port)
	lv-chat read alice --url "$chat" >heard 2>/dev/null 3>&- &
	redis=$! # to be ended, like the others
	publish_to 1 "$bob"
	wait_event events 30 '.event == "broadcast.ended" and .stream == "bob"'
	publish_to $((away + 6)) "$alice" &
	local alice_pid=$!
	wait_event events 30 '.event == "segment.written" and .stream == "alice"'
	eventually 20 eval '[ "$(pg "select string_agg(state, '"' '"' order by stream) from airings")" = "live ended" ]'
	mkfifo says
	lv-chat send alice --url "$chat" --token-file token <says 2>/dev/null 3>&- &
	local sender=$! n=0 before end
	exec 7>says
	talk() {
		n=$((n + 1))
		echo "line $n" >&7
		eventually 5 grep -q "line $n\"" heard
	}
	talk
	pg_stop
	before=$(segments alice)
	end=$((SECONDS + away))
	run ! publish_to 1 "$carol"
	wait_event events 20 '.event == "publish.refused" and .reason == "try again later"'
	publish_to 1 "$bob" # who is known
	while ((SECONDS < end)); do
		talk
		sleep 0.5
	done
	eventually 20 eval '(($(segments alice) >= before + 3))'
	pg_start
	talk
	exec 7>&-
	wait "$sender"
	wait "$alice_pid"
	wait_event events 30 '.event == "broadcast.ended" and .stream == "alice"'
	eventually 30 eval '[ "$(pg "select string_agg(stream || status || reason, '"' '"' order by stream) from live_streams")" = "aliceendedended bobendedended bobendedended" ]'
	[ "$(pg "select extract(epoch from ended_at - started_at) between $((away + 5)) and $((away + 45)) from live_streams where stream = 'alice'")" = t ]
	[ "$(pg 'select count(*), count(ended_at), count(*) filter (where reason = '"'ended'"') from sessions')" = '3|3|3' ]
	[ "$(jq -s 'map(select(.event == "publish.started")) | length' events)" = 3 ]
	[ "$(jq -r 'select(.type == "message").text' heard)" = "$(seq -f 'line %.0f' "$n")" ]
	publish_to 1 "$carol"
	eventually 20 eval '[ "$(pg "select status from live_streams where stream = '"'carol'"'")" = ended ]'
}

@test "followers hear of a broadcast once, though its publisher drops and comes back" {
	command -v redis-server >/dev/null || skip "no redis-server"
	redis-server --port 0 --unixsocket "$PG/redis" --save '' --dir "$PWD" >/dev/null 3>&- &
	redis=$!
	local key
	key=$(lv-auth --db "$DB" add alice)
	lv-auth --db "$DB" follow alice 17
	mkfifo pipe
	lv-notify --db "$DB" --redis "unix:$PG/redis" --events told <pipe 3>&- &
	local notify=$!
	exec 7>pipe
	rtmp-accept --listen 127.0.0.1:0 --run-dir run --grace-ms 20000 --events events --events pipe \
		--auth "lv-auth --db '$DB'" -- sh -c 'cat >/dev/null' 2>door.err 3>&- 7>&- &
	door=$!
	port=$(wait_event events 20 '.event == "server.ready" and .proto == "rtmp"' | jq .port)
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=15 -c:v libx264 -preset ultrafast -g 15 -f flv \
		"rtmp://127.0.0.1:$port/live/$key" 3>&- 7>&- &
	local first=$!
	wait_event events 30 '.event == "publish.started"'
	kill -9 "$first"
	wait "$first" || :
	wait_event events 30 '.event == "publish.ended"'
	publish_to 1 "$key" 7>&-
	eventually 30 eval '[ "$(jq -s "map(select(.event == \"publish.started\")) | length" events)" = 2 ]'
	kill "$door"
	wait "$door" || :
	door=
	exec 7>&-
	wait "$notify"
	[ "$(redis-cli -s "$PG/redis" llen inbox:17)" = 1 ]
	[ "$(jq -s 'map(.count) | add' told)" = 1 ]
}

@test "two boxes: the publisher who comes to the second takes the stream over, the first one is told why" {
	local key first second
	key=$(lv-auth --db "$DB" add alice)
	for n in 1 2; do
		mkdir "box$n"
		printf '#!/bin/sh\nexec lv-segment --dir "box%d/$LV_STREAM" --target-ms 1000\n' "$n" >"program$n"
		chmod +x "program$n"
		touch "events$n"
		rtmp-accept --listen 127.0.0.1:0 --run-dir "run$n" --grace-ms 500 --events "events$n" \
			--auth "lv-auth --db '$DB' --takeover" -- "./program$n" 2>"door$n.err" 3>&- &
		if ((n == 1)); then door=$!; else other=$!; fi
	done
	port=$(wait_event events1 20 '.event == "server.ready" and .proto == "rtmp"' | jq .port)
	publish_to 30 "$key" 2>first.err &
	first=$!
	wait_event events1 30 '.event == "segment.written"'
	port=$(wait_event events2 20 '.event == "server.ready" and .proto == "rtmp"' | jq .port)
	publish_to 4 "$key" &
	second=$!
	wait_event events1 20 '.event == "publish.ended" and .reason == "published elsewhere"'
	wait_event events2 30 '.event == "segment.written"'
	wait "$first" || :
	wait_event events1 20 '.event == "broadcast.ended"'
	wait "$second"
	wait_event events2 30 '.event == "broadcast.ended"'
	eventually 20 eval '[ "$(pg "select status || reason from live_streams")" = endedended ]'
	[ "$(pg "select string_agg(coalesce(reason, '-'), ',' order by epoch) from sessions")" = "taken over,ended" ]
	# one broadcast on two boxes, and no file of the one has a name that the other has
	[ "$(jq -r 'select(.event == "broadcast.started").broadcast' events1 events2 | sort -u | wc -l)" = 1 ]
	[ -z "$(comm -12 <(cd box1/alice/source && ls *.m4s) <(cd box2/alice/source && ls *.m4s))" ]
}

# as_lv COMMAND...: as the user that pipelines.sh runs as.
as_lv() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && setpriv --reuid lv --regid lv --init-groups env -u PGUSER -u PGHOST -u PGDATABASE "$@")
	else
		env -u PGUSER -u PGHOST -u PGDATABASE "$@"
	fi
}

@test "up --postgres --redis: both of its own on sockets, everything wired, ended by down, kept for the next time" {
	command -v redis-server >/dev/null || skip "no redis-server"
	export LV_HOME=$PG/home LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_BIND=127.0.0.1 LV_LADDER=$PG/ladder
	chmod 755 "$PG"
	echo source >"$LV_LADDER"
	local db="postgresql:///lv?host=$LV_HOME/run" key up
	sql() { as_lv psql -XAtqc "$1" "$db"; }
	begin() {
		"$ROOT/pipelines.sh" up --postgres --redis >said 2>&1 </dev/null 3>&- &
		up=$!
		eventually 60 grep -q '^Everything is kept' said
	}
	begin
	port=$(sed -n 's|^Publish to  rtmp://127.0.0.1:\([0-9]*\)/.*|\1|p' said)
	key=$(sed -n 's/ *\([0-9a-z]*\)   (stream key)/\1/p' said)
	as_lv "$BUILD/bin/lv-auth" --db "$db" follow main 17
	publish_to 2 "$key"
	eventually 60 eval '[ "$(sql "select stream, status, reason, vod_path <> '"''"' from live_streams")" = "main|ended|ended|t" ]'
	inbox() { as_lv redis-cli -s "$LV_HOME/run/redis.sock" llen inbox:17; }
	eventually 20 eval '[ "$(inbox)" = 1 ]'
	(umask 077 && as_lv "$BUILD/bin/lv-auth" token main --token-secret "$LV_HOME/chat.secret" --user 4 >"$PG/token")
	lv-chat send main --url "ws://127.0.0.1:$(jq -r 'select(.event == "server.ready" and .src == "lv-chatd" and .proto != "metrics").port' \
		"$LV_HOME/events.ndjson")" --token-file "$PG/token" <<<hello
	[ "$(as_lv redis-cli -s "$LV_HOME/run/redis.sock" xlen stream_chat:main)" = 1 ]
	"$ROOT/pipelines.sh" down
	wait "$up"
	ours() { pgrep -f "$LV_HOME" >/dev/null; }
	eventually 20 eval '! ours'
	run -64 "$ROOT/pipelines.sh" up --postgre
	[ -n "${LONG:-}" ] || return 0
	begin
	grep -q "$key   (stream key)" said
	[ "$(sql 'select count(*) from live_streams')" = 1 ]
	[ "$(inbox)" = 1 ]
}

@test "up --postgres=URL --redis URL as an ordinary user: the key is in that database, the chat in that Redis" {
	[ "$(id -u)" != 0 ] || id lv >/dev/null 2>&1 || skip "no user lv"
	command -v redis-server >/dev/null || skip "no redis-server"
	redis-server --port 0 --unixsocket "$PG/redis" --unixsocketperm 777 --dir "$PWD" --save '' >/dev/null 3>&- &
	redis=$!
	eventually 20 redis-cli -s "$PG/redis" ping >/dev/null
	export LV_HOME=$PG/home LV_RTMP_PORT=0 LV_HTTP_PORT=0 LV_CHAT_PORT=0 LV_BIND=127.0.0.1
	chmod 755 "$PG"
	mkdir "$LV_HOME"
	[ "$(id -u)" != 0 ] || chown lv: "$LV_HOME"
	as_lv "$ROOT/pipelines.sh" up "--postgres=$DB" --redis "unix:$PG/redis" >said 2>&1 </dev/null 3>&- &
	eventually 60 grep -q '^Everything is kept' said
	[ "$(psql -XAtqc 'select count(*) from stream_keys')" = 1 ]
	[ ! -e "$LV_HOME/keys" ]
	(umask 077 && as_lv "$BUILD/bin/lv-auth" token main --token-secret "$LV_HOME/chat.secret" --user 4 >token)
	lv-chat send main --token-file token <<<hello \
		--url "ws://127.0.0.1:$(jq -r 'select(.event == "server.ready" and .src == "lv-chatd" and .proto != "metrics").port' "$LV_HOME/events.ndjson")"
	[ "$(redis-cli -s "$PG/redis" xlen stream_chat:main)" = 1 ]
	[ ! -e "$LV_HOME/redis" ]
}

@test "the page hands its query on to who says who may watch: in Chromium it is denied without, and not with" {
	command -v chromedriver >/dev/null || skip "no chromedriver"
	export DIR=$PWD
	mkdir -p site/live/demo
	echo '{"stream":"demo","broadcast":"0123456789","origin_ms":1,"live":false}' >site/live/demo/stream.json
	python3 "$ROOT/tests/lib/backend.py" asked >back 3>&- &
	echo $! >pids
	eventually 20 test -s back
	lv-serve --root site --listen 127.0.0.1:0 --events served --play-hook "http://127.0.0.1:$(<back)/srs" --hook-private 3>&- &
	echo $! >>pids
	URL=http://127.0.0.1:$(wait_event served 10 '.event == "server.ready"' | jq .port)
	browser_open
	go "$URL/watch/demo"
	eventually 20 page_is 'document.body.dataset.state == "denied"'
	go "$URL/watch/demo?token=good"
	eventually 20 page_is 'document.body.dataset.state == "offline"'
	site_close
}
