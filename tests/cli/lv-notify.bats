bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/postgres

# Real ones of both kinds, on sockets of the test's own.
FOLLOWERS=100000

setup_file() {
	command -v redis-server >/dev/null || skip "no redis-server"
	pg_create
	lv-auth schema | psql -Xq
	pg "insert into followers (stream, user_id) select 'alice', 'u' || i from generate_series(1, $FOLLOWERS) i"
	pg "insert into followers (stream, user_id) values ('bob', 'u1'), ('bob', 'it''s \"me\"'), ('bob', repeat('x', 129))"
	pg "analyze followers"
}

teardown_file() {
	pg_remove
}

start_redis() {
	redis-server --port 0 --unixsocket "$REDIS" --save '' --dir "$BATS_TEST_TMPDIR" "$@" >>redis.log 2>&1 3>&- &
	redis=$!
	eventually 20 cli ping
}

cli() {
	redis-cli -s "$REDIS" "$@"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	REDIS=$PG/r$BATS_TEST_NUMBER
	[ "$BATS_TEST_NUMBER" = 1 ] && return
	start_redis
}

teardown() {
	[ -z "${redis:-}" ] || { kill "$redis"; wait "$redis"; } || :
}

# started STREAM BROADCAST [TIME]: the event.
started() {
	printf '{"ts":"%s","src":"rtmp-accept","event":"broadcast.started","stream":"%s","broadcast":"%s"}\n' \
		"${3:-$(date -u +%FT%T.000Z)}" "$1" "$2"
}

notify() {
	lv-notify --db "$DB" --redis "unix:$REDIS" "$@" 3>&-
}

# Of all inboxes: how many hold how much.
inboxes() {
	cli eval "local n = {}
		for i = 1, $FOLLOWERS do local l = redis.call('LLEN', 'inbox:u' .. i); n[l] = (n[l] or 0) + 1 end
		local t = {}
		for l, c in pairs(n) do t[#t + 1] = l .. ':' .. c end
		table.sort(t)
		return table.concat(t, ' ')" 0
}

@test "wrong use: a message, and its status" {
	run -64 --separate-stderr lv-notify --db "$DB"
	[ "$stderr" = "lv-notify: whose followers, and where? give --db URL and --redis URL" ]
	for url in redis://:hush@h redis://lv:hush@h/1; do
		run -64 --separate-stderr lv-notify --db "$DB" --redis "$url"
		[[ $stderr == *--redis-password-file* && $stderr != *hush* ]]
	done
	run -64 --separate-stderr lv-notify --db postgresql://u:hush@h/x --redis unix:/x
	[[ $stderr == *PGPASSFILE* && $stderr != *hush* ]]
	for url in redis:// http://x redis://h:0 redis://h/x unix:x 'redis://[::1]:x'; do
		run -64 lv-notify --db "$DB" --redis "$url"
	done
	echo secret >password
	run -77 --separate-stderr lv-notify --db "$DB" --redis unix:/x --redis-password-file password
	[[ $stderr == *'chmod 600 password'* ]]
	run -66 lv-notify --db "$DB" --redis unix:/x --redis-password-file nowhere
}

@test "followers are told at once and find it in their inbox; others are not; a reconnect tells nobody" {
	cli --csv subscribe notify:u1 notify:u2 >heard 3>&- &
	local listener=$!
	eventually 20 grep -q notify:u2 heard
	{
		echo '{"ts":"2026-01-01T00:00:00.000Z","src":"x","event":"publish.started","stream":"bob"}'
		echo 'no event'
		started bob 01kat3y000 2026-01-01T00:00:00.000Z # long ago
		started bob 01kat3y001
		started bob 01kat3y001
		started ../x 01kat3y001
	} | notify --events events 2>said
	started bob 01kat3y001 | notify --events events
	eventually 20 grep -q 01kat3y001 heard
	[ "$(cli lrange inbox:u1 0 -1 | jq -r '"\(.type) \(.stream) \(.broadcast)"')" = "stream_started bob 01kat3y001" ]
	[ "$(cli llen "inbox:it's \"me\"")" = 1 ]
	[ "$(cli dbsize)" = 3 ] # two inboxes and the mark
	(($(cli ttl inbox:u1) > 2500000))
	kill "$listener"
	[ "$(grep -c 01kat3y001 heard)" = 1 ]
	run ! grep 'notify:u2","{' heard
	[ "$(jq -s -c 'map(select(.event == "followers.told").count)' events)" = '[2,0,0]' ]
	[ "$(grep -c . said)" = 2 ]
	for i in {100..160}; do started bob "01kat3y$i"; done | notify
	[ "$(cli llen inbox:u1)" = 50 ]
}

@test "followers by the hundred thousand; killed in the middle, the next goes on where it was: each is told once" {
	started alice 01kat3z000 | notify --events events
	wait_event events 1 '.event == "followers.told" and .count == '"$FOLLOWERS"
	echo "# $FOLLOWERS followers in $(jq .dur_ms events) ms; Redis: $(cli info | grep -E 'used_memory_human|used_cpu_user:' | tr '\r\n' '  ')" >&3
	[ "$(inboxes)" = "1:$FOLLOWERS" ]
	local n=1 killed=0
	for _ in {1..20}; do
		started alice "01kat3z$((100 + n))" | notify &
		local pid=$!
		eventually 20 eval '[ -n "$(cli get notified:01kat3z$((100 + n)))" ]'
		kill -9 "$(pgrep -P "$pid" lv-notify || echo "$pid")" 2>/dev/null && wait "$pid" || :
		[ "$(cli get "notified:01kat3z$((100 + n))")" = '*' ] || { killed=1; break; }
		n=$((n + 1))
	done
	[ "$killed" = 1 ]
	started alice "01kat3z$((100 + n))" | notify
	[ "$(inboxes)" = "$((n + 1)):$FOLLOWERS" ]
}

@test "two at once tell each follower once" {
	started alice 01kat3z200 | notify &
	local other=$!
	started alice 01kat3z200 | notify
	wait "$other"
	[ "$(inboxes)" = "1:$FOLLOWERS" ]
}

@test "Redis and PostgreSQL may come later: nothing is lost, and it says so once" {
	kill "$redis"
	wait "$redis" || :
	pg_stop
	started alice 01kat3z300 | notify --events events 2>said &
	local notify=$!
	eventually 20 grep -q 'cannot tell the followers of alice' said
	start_redis
	pg_start
	wait "$notify"
	[ "$(grep -c . said)" = 1 ]
	wait_event events 1 '.event == "followers.told" and .count == '"$FOLLOWERS"
	[ "$(inboxes)" = "1:$FOLLOWERS" ]
}

@test "a password from a file" {
	kill "$redis"
	wait "$redis" || :
	start_redis --requirepass hush
	(umask 077; echo hush >password)
	started bob 01kat3z400 | notify --redis-password-file password
	[ "$(cli -a hush --no-auth-warning llen inbox:u1)" = 1 ]
}
