bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/chat
load ../lib/postgres

# Bans in PostgreSQL, between the chat and an operator who types.

setup_file() {
	pg_create
	lv-auth schema | psql -q -v ON_ERROR_STOP=1 >/dev/null
}

teardown_file() { pg_remove; }

setup() {
	cd "$BATS_TEST_TMPDIR"
	psql -q -c 'truncate chat_bans, gifts, subscriptions, users'
	chat_tokens
	lv-chatd --listen 127.0.0.1:0 --token-secret secret --db "$DB" --events events 2>chatd.log 3>&- &
	chatd=$!
	url=ws://127.0.0.1:$(wait_event events 30 '.event == "server.ready"' | jq .port)
	lv-chat read alice --url "$url" >heard 3>&- &
	reader=$!
	wait_event heard 30 '.type == "joined"' >/dev/null
}

teardown() {
	kill "$reader" "$chatd"
	wait "$reader" "$chatd"
}

say() { lv-chat send "${2:-alice}" --url "$url" --token-file viewer <<<"$1" 2>said.err; }
refused() { ! say "$@"; }
sql() { psql -qAtc "$1"; }

@test "what an operator bans falls silent within a second, on a token issued before, and is told" {
	say first
	wait_event heard 30 '.text == "first"' >/dev/null
	eventually 30 test "$(sql "select count(*) from pg_stat_activity where application_name = 'lv-chatd'")" = 1
	lv-auth --db "$DB" ban alice 1 --reason spam
	local typed=$((${EPOCHREALTIME/./} / 1000)) ban
	ban=$(wait_event heard 30 '.type == "ban"')
	[ "$(jq -c '[.user, .by, .reason]' <<<"$ban")" = '["1","operator","spam"]' ]
	(($(jq .ts <<<"$ban") - typed < 1000))
	run -1 say again
	grep -qx 'lv-chat: banned: You are banned from this chat.' said.err
	say elsewhere bob
	run -0 lv-chat read alice --url "$url" --count 2 < <(:)
	[[ $output != *first* ]]
	lv-auth --db "$DB" unban alice 1
	wait_event heard 30 '.type == "unban" and .by == "operator"' >/dev/null
	say back
	# every room at once, and an end that comes by itself
	lv-auth --db "$DB" ban '*' 1 --until "$(date -ud '+3 seconds' +%FT%TZ)"
	wait_event heard 30 '.type == "timeout" and .user == "1"' >/dev/null
	run -1 say here
	run -1 say there carol
	grep -qx 'lv-chat: timed_out: You may not write for a while.' said.err
	eventually 30 say there carol
}

@test "what moderators say is in the table: who, by whom, why, until; a new lv-chatd knows it" {
	lv-chat timeout alice 1 600 "calm down" --url "$url" --token-file mod
	eventually 30 test -n "$(sql 'select 1 from chat_bans')"
	[ "$(sql "select user_id, by_user, reason, round(extract(epoch from until - now())) between 500 and 600, lifted_at from chat_bans")" = '1|2|calm down|t|' ]
	kill "$chatd"
	wait "$chatd"
	: >events
	lv-chatd --listen "${url#ws://}" --token-secret secret --db "$DB" --events events 2>>chatd.log 3>&- &
	chatd=$!
	wait_event events 30 '.event == "server.ready"' >/dev/null
	say x carol
	eventually 30 refused x
	lv-chat unban alice 1 --url "$url" --token-file mod
	say free
	eventually 30 test -z "$(sql 'select 1 from chat_bans where lifted_at is null')"
	# one after the other: each is kept
	lv-chat timeout alice 1 1 again --url "$url" --token-file mod
	lv-chat ban alice 1 "for good" --url "$url" --token-file mod
	eventually 30 sql_is $'calm down|t\nagain|t\nfor good|f' 'select reason, lifted_at is not null from chat_bans order by id'
	say no || :
	grep -qx 'lv-chat: banned: You are banned from this chat.' said.err
}

@test "what an operator gives is told in the room, once for all of it and by one of two boxes; a back end's gift is written" {
	lv-chatd --listen 127.0.0.1:0 --token-secret secret --db "$DB" --events events.2 2>>chatd.log 3>&- &
	local second=$! two
	two=ws://127.0.0.1:$(wait_event events.2 30 '.event == "server.ready"' | jq .port)
	lv-chat read alice --url "$two" >heard.2 3>&- &
	local listener=$!
	wait_event heard.2 30 '.type == "joined"' >/dev/null
	ready() { [ "$(sql "select count(*) from pg_stat_activity where application_name = 'lv-chatd'")" = 2 ]; }
	eventually 30 ready
	sql "insert into users (id, name) values ('42', 'Ann')"
	lv-auth --db "$DB" gift alice 42 17 18 19 >/dev/null
	lv-auth --db "$DB" gift bob 42 17 >/dev/null
	told() { [ "$(cat heard heard.2 | jq -c 'select(.type == "gift") | [.user, .name, .count, .tier]')" = "$1" ]; }
	eventually 30 told '["42","Ann",3,1]'
	lv-auth --db "$DB" gift alice 42 20 >/dev/null
	eventually 30 told_twice
	[ "$(sql "select count(*) from gifts where told_at is null")" = 1 ] # nobody is in that room
	(umask 077; lv-auth token alice --token-secret secret --user billing --role service >service)
	run -0 lv-chat do alice --url "$url" --token-file service <<<'{"type":"gift","user":"7","count":50,"tier":2}'
	eventually 30 sql_is 'alice|2|50' "select stream, tier, count from gifts where user_id = '7'"
	[ "$(sql "select told_at is null from gifts where user_id = '7'")" = f ]
	kill "$second" "$listener"
	wait "$second" "$listener" || :
}
told_twice() { [ "$(cat heard heard.2 | jq -s 'map(select(.type == "gift").count) | sort' -c)" = '[1,3]' ]; }

@test "the database away: chat and moderation go on, and what was done is written when it returns" {
	pg_stop
	say one
	lv-chat ban alice 1 --url "$url" --token-file mod
	run -1 say two
	lv-chat ban alice 7 --url "$url" --token-file mod
	lv-chat unban alice 1 --url "$url" --token-file mod
	say three
	pg_start
	eventually 30 sql_is 7 'select user_id from chat_bans where lifted_at is null'
	[ "$(sql "select user_id from chat_bans where lifted_at is not null")" = 1 ]
	say four
}
sql_is() { [ "$(sql "$2" 2>/dev/null)" = "$1" ]; }

@test "a database with a password on the command line, or none at all, is refused" {
	run -64 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret secret --db postgresql://u:hush@h/x
	[ "$stderr" = "lv-chatd: --db: no password on a command line, where others see it; use PGPASSFILE" ]
	run -64 lv-chatd --listen 127.0.0.1:0 --token-secret secret --db 'no=such option'
}
