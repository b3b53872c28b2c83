bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/auth
load ../lib/postgres

setup_file() {
	pg_create
}

teardown_file() {
	pg_remove
}

# A database for each test, with the tables in it.
setup() {
	cd "$BATS_TEST_TMPDIR"
	umask 022
	PGDATABASE=t$BATS_TEST_NUMBER
	createdb "$PGDATABASE" 2>/dev/null || { pg_start && createdb "$PGDATABASE"; } # a test that failed left none
	DB="postgresql:///$PGDATABASE?host=$PG&user=lv"
	STORE=(--db "$DB")
	lv-auth schema | psql -Xq
}

teardown() {
	local pid
	for pid in ${running:-}; do
		kill -9 "$pid" 2>/dev/null || :
	done
}

# box N [OPTION...]: another lv-auth; on N and hear_of N are said and heard with it.
box() {
	local n=$1
	shift
	mkfifo "in$n" "out$n"
	lv-auth "${STORE[@]}" --box "box$n" --events "events$n" "$@" <"in$n" >"out$n" 2>"err$n" 3>&- 41>&- 42>&- 61>&- 62>&- &
	eval "box$n=\$! running=\"\${running:-} \$!\""
	eval "exec $((40 + n))>in$n $((60 + n))<out$n"
}
on() {
	local n=$1
	shift
	"$@" >&$((40 + n))
}
hear_of() {
	read -rt 20 heard <&$((60 + $1))
}
leave() {
	local n=$1 pid
	eval "pid=\$box$n; exec $((40 + n))>&-"
	wait "$pid"
}
drop() { # as when the machine is gone
	local n=$1 pid
	eval "pid=\$box$n"
	kill -9 "$pid"
	wait "$pid" || :
	eval "exec $((40 + n))>&- $((60 + n))<&-"
	rm -f "in$n" "out$n"
}

# start N KEY SESSION: published and started; $broadcast and $epoch are what it got.
start() {
	on "$1" publish "$3" "$2" "$3"
	hear_of "$1"
	jq -e .allow <<<"$heard" >/dev/null || { echo "$heard" >&2; return 1; }
	broadcast=$(jq -r .broadcast <<<"$heard") epoch=$(jq -r .epoch <<<"$heard")
	on "$1" notice started "$3" "$broadcast"
}

# password ID USER PASSWORD: a request of an encoder that has these.
password() {
	local md5 inner
	md5() { openssl md5 -binary | base64; }
	inner=$(printf '%slv%s' "$2" "$3" | md5)
	printf '{"ask":"publish","id":"%s","app":"live","key":"","session":"%s","password":{"user":"%s","challenge":"c","own":"o","response":"%s"}}\n' \
		"$1" "$1" "$2" "$(printf '%sco' "$inner" | md5)"
}

row_is() { # QUERY VALUE
	[ "$(pg "$1")" = "$2" ]
}

@test "a database of the simple kind is taken over without loss, its keys hashed; and again" {
	createdb sketch
	export PGDATABASE=sketch
	psql -Xq <<-'END'
		create table stream_keys (id serial primary key, user_id int not null,
			key varchar(64) not null unique, is_active boolean default true);
		create table live_streams (user_id int not null, stream_key_id int unique references stream_keys,
			started_at timestamp not null default now(),
			status varchar(10) not null default 'live' check (status in ('live', 'offline')));
		insert into stream_keys (user_id, key, is_active) values
			(7, 'first-key', true), (7, 'second-key', true), (8, 'old-key', false), (9, 'wörd', null);
		insert into live_streams (user_id, stream_key_id, started_at, status) values
			(7, 1, '2025-01-02 03:04:05.678', 'offline'), (7, 2, '2025-01-02 03:04:05.678', 'live');
	END
	for _ in 1 2; do
		run -0 --separate-stderr bash -c 'lv-auth schema | psql -X'
		[ -z "$output$stderr" ]
	done
	STORE=(--db "postgresql:///sketch?host=$PG&user=lv")
	diff -u - <(lv-auth "${STORE[@]}" list) <<-END
		7 sha256:$(printf first-key | sha256sum | head -c 8)... user=7
		7-2 sha256:$(printf second-key | sha256sum | head -c 8)... user=7
		8 sha256:$(printf old-key | sha256sum | head -c 8)... user=8 off
		9 sha256:$(printf wörd | sha256sum | head -c 8)... user=9 off
	END
	run -0 lv-auth "${STORE[@]}" check <<<first-key
	[ "$output" = 7 ]
	run -1 lv-auth "${STORE[@]}" check <<<old-key
	[ "$(pg 'select count(*), count(distinct broadcast), min(started_at) from live_streams')" = \
		"2|2|2025-01-02 03:04:05.678$(pg "select to_char('2025-01-02'::timestamptz, 'TZH')")" ]
	[ "$(pg "select status, stream from live_streams order by stream_key_id")" = $'offline|7\nlive|7-2' ]
	[ -z "$(pg "select 1 from stream_keys where key !~ '^sha256:[0-9a-f]{64}$'")" ]
	# and lives on: the first key publishes twice, where its row was unique
	box 1
	start 1 first-key s1
	on 1 notice ended s1 "$broadcast"
	on 1 notice broadcast-ended s1 "$broadcast"
	start 1 first-key s2
	leave 1
	[ "$(pg 'select count(*) from live_streams where stream_key_id = 1')" = 3 ]
	[ "$(pg "select count(*) from live_streams where user_id = 7 and status = 'live' and stream = '7'")" = 1 ]
	run -3 psql -Xq -v ON_ERROR_STOP=1 <<<"insert into live_streams (user_id, stream_key_id, status) values (7, 1, 'live')"
	lv-auth schema | psql -Xq
}

@test "add, list, revoke, rotate and check are the keys file's" {
	local s out
	for s in file db; do
		if [ "$s" = file ]; then STORE=(--keys keys); else STORE=(--db "$DB"); fi
		{
			lv-auth "${STORE[@]}" add alice --user 42 --max-kbps 8000 >key
			lv-auth "${STORE[@]}" add alice --until 2001-01-01T00:00:00Z >key2
			lv-auth "${STORE[@]}" add bob --app studio >key3
			grep -cE '^[0-9a-z]{32}$' key
			lv-auth "${STORE[@]}" check <key
			lv-auth "${STORE[@]}" check <key2 || echo "status $?"
			lv-auth "${STORE[@]}" check --app live <key3 || echo "status $?"
			lv-auth "${STORE[@]}" check --app studio <key3
			lv-auth "${STORE[@]}" check <<<wrong || echo "status $?"
			lv-auth "${STORE[@]}" list
			lv-auth "${STORE[@]}" rotate alice >new
			lv-auth "${STORE[@]}" check <key || echo "status $?"
			lv-auth "${STORE[@]}" check <new
			lv-auth "${STORE[@]}" revoke alice
			lv-auth "${STORE[@]}" revoke alice || echo "status $?"
			lv-auth "${STORE[@]}" rotate carol || echo "status $?"
			lv-auth "${STORE[@]}" list alice
		} 2>&1 | sed -E 's/sha256:[0-9a-f]{8}/sha256:X/; s/in (keys|the database)$/in X/' >"said.$s"
	done
	diff -u said.file said.db
	[ "$(wc -l <said.db)" -gt 15 ]
	[ -z "$(pg "select 1 from stream_keys where key !~ '^sha256:'")" ]
}

@test "verdicts: allowed once, busy, resumed after a drop, new after the end" {
	verdicts_in_turn
	[ "$(pg "select string_agg(status || ' ' || coalesce(reason, '-'), ',' order by id) from live_streams")" = \
		"ended ended" ]
	[ "$(pg "select string_agg(session || ' ' || epoch || ' ' || reason, ',' order by session) from sessions")" = \
		"s1 1 ended,s3 2 ended" ]
	run ! grep -rF "$key" err "$PG/log"
}

@test "killed, it comes back knowing broadcasts and epochs; live and sync rebuild the rest" {
	verdicts_after_kill
}

@test "bad lines are answered when they have an id, and never end it" {
	verdicts_on_bad_lines
}

@test "one command, the same answers: the file and the database word for word" {
	local s
	for s in file db; do
		if [ "$s" = file ]; then STORE=(--keys keys); else STORE=(--db "$DB"); fi
		good=$(lv-auth "${STORE[@]}" add alice --user 42)
		old=$(lv-auth "${STORE[@]}" add bob --until 2001-01-01T00:00:00Z)
		other=$(lv-auth "${STORE[@]}" add carol --app studio --max-kbps 700)
		off=$(lv-auth "${STORE[@]}" add dave)
		lv-auth "${STORE[@]}" revoke dave
		lv-auth "${STORE[@]}" add erin --adobe >/dev/null
		erin=$(lv-auth "${STORE[@]}" rotate erin)
		{
			for k in wrong "$old" "$other" "$off" '' "$(printf '%255s' x)" "$(printf '%256s' x)" "$good"; do
				publish "$k" "$k" s0
			done
			printf '{"ask":"publish","id":"app","app":"studio","key":"%s","session":"s9"}\n' "$other"
			publish again "$good" s1
			password p1 frank "$erin"
			password p2 erin wrong
			password p3 alice "$good" # who has a key, and no password
			password p4 erin "$erin"
			notice abandoned s0 0000000000
		} | lv-auth "${STORE[@]}" 2>&1 | sed "s/$good/GOOD/; s/$old/OLD/; s/$other/OTHER/; s/$off/OFF/;
			s/\"broadcast\":\"[0-9a-z]*\",\"origin_ms\":[0-9]*/B/" | sort >"said.$s"
	done
	diff -u said.file said.db
	[ "$(grep -c '"allow":true' said.db)" = 3 ]
	grep -q '"id":"p4","allow":true,"stream":"erin"' said.db
}

@test "a revoked stream is kicked at once" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	start 1 "$key" s1
	eventually 20 row_is "select state from airings" live
	lv-auth "${STORE[@]}" rotate alice >new
	lv-auth "${STORE[@]}" revoke alice
	hear_of 1
	[ "$heard" = '{"kick":{"stream":"alice"},"reason":"the key was revoked"}' ]
	leave 1
}

@test "two boxes, one stream: one publishes; in grace the other goes on with it, under a higher epoch" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	box 2
	start 1 "$key" s1
	first=$broadcast
	on 2 publish 1 "$key" s2
	hear_of 2
	[ "$heard" = '{"id":"1","allow":false,"reason":"already publishing","busy":true,"stream":"alice"}' ]
	on 1 notice ended s1 "$first"
	eventually 20 row_is "select state from airings" held
	start 2 "$key" s2
	[ "$broadcast $epoch" = "$first 2" ]
	eventually 20 row_is "select state, box from airings" 'live|box2'
	on 1 notice broadcast-ended s1 "$first" # the first box's grace is over, and no business of the other
	on 1 publish 2 "$key" s3
	hear_of 1
	jq -e .busy <<<"$heard"
	[ "$(pg 'select status from live_streams')" = live ]
	on 2 notice ended s2 "$first"
	on 2 notice broadcast-ended s2 "$first"
	eventually 20 row_is 'select status, reason from live_streams' 'ended|ended'
	[ "$(pg 'select session, box, epoch from sessions order by epoch')" = $'s1|box1|1\ns2|box2|2' ]
	leave 1
	leave 2
}

@test "fifty at once for one stream from two boxes: one is let in" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	box 2
	for i in {1..25}; do
		on 1 publish "a$i" "$key" "a$i"
		on 2 publish "b$i" "$key" "b$i"
	done
	for i in {1..25}; do
		hear_of 1
		echo "$heard"
		hear_of 2
		echo "$heard"
	done >verdicts
	[ "$(grep -c '"allow":true' verdicts)" = 1 ]
	[ "$(grep -c '"busy":true' verdicts)" = 49 ]
	leave 1
	leave 2
}

@test "a box killed -9: its lease runs out, another takes the stream over, and the dead one is told when it wakes" {
	[ "$(pg 'select lv_lease()')" = 00:00:15 ]
	# shorter here, for the sake of the clock; it is renewed every 5 s
	pg "create or replace function lv_lease() returns interval language sql immutable as \$\$ select interval '8 s' \$\$"
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	start 1 "$key" s1
	first=$broadcast
	eventually 20 row_is "select state from airings" live
	began=$SECONDS
	kill -STOP "$box1" # as good as dead, but it will come back
	box 2
	refused=0
	until on 2 publish 1 "$key" s2 && hear_of 2 && jq -e .allow <<<"$heard"; do
		refused=$((refused + 1))
		((SECONDS - began < 60))
		sleep 0.5
	done
	((refused >= 3))
	((SECONDS - began >= 2)) # a lease of 8 s less a renewal of 5 s, and a second of rounding
	jq -e --arg b "$first" '.resumed and .broadcast == $b and .epoch == 2' <<<"$heard"
	on 2 notice started s2 "$first"
	eventually 20 row_is "select state, box from airings" 'live|box2'
	kill -CONT "$box1"
	hear_of 1
	[ "$heard" = '{"kick":{"stream":"alice"},"reason":"published elsewhere"}' ]
	on 1 notice ended s1 "$first"
	eventually 20 row_is "select state, box from airings" 'live|box2'
	[ "$(pg "select reason from sessions where session = 's1'")" = lost ]
	drop 2
	box 2
	on 2 printf '{"notice":"live","session":"s2","broadcast":"%s","stream":"alice","epoch":2}\n' "$first"
	on 2 echo '{"notice":"sync"}'
	on 2 publish 2 "$key" s4
	hear_of 2
	jq -e .busy <<<"$heard"
	leave 1
	leave 2
}

@test "what nobody renews is over in time: the row says lost" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	start 1 "$key" s1
	eventually 20 row_is "select state from airings" live
	drop 1
	pg "update airings set lease_until = now() - interval '1 minute', seen_at = now() - interval '1 minute'"
	box 2 --hold-s 30
	eventually 40 row_is "select status, reason from live_streams" 'ended|lost'
	[ "$(pg 'select state from airings')" = ended ]
	[ "$(pg 'select reason from sessions')" = lost ]
	leave 2
}

@test "the database away in mid-publish: refusals, the running go on, ends are written later" {
	key=$(lv-auth "${STORE[@]}" add alice)
	bob=$(lv-auth "${STORE[@]}" add bob)
	box 1 --state box1.state
	start 1 "$key" s1
	alice=$broadcast
	start 1 "$bob" s2
	eventually 20 row_is "select count(*) from airings where state = 'live'" 2
	pg_stop
	wait_event events1 20 '.event == "database.lost"'
	on 1 publish 3 "$key" s3
	hear_of 1
	[ "$heard" = '{"id":"3","allow":false,"reason":"try again later"}' ]
	on 1 notice ended s1 "$alice"
	on 1 notice broadcast-ended s1 "$alice"
	eventually 20 grep -q broadcast-ended box1.state
	ended_ms=$(tail -n 1 box1.state | jq .at_ms)
	drop 1 # even so
	[ "$(stat -c %a box1.state)" = 600 ]
	box 1 --state box1.state
	on 1 printf '{"notice":"live","session":"s2","broadcast":"%s","stream":"bob","epoch":1}\n' "$broadcast"
	on 1 echo '{"notice":"sync"}'
	on 1 publish 4 "$bob" s4
	hear_of 1
	[ "$heard" = '{"id":"4","allow":false,"reason":"try again later"}' ]
	read -rt 2 heard <&61 || : # nobody was kicked
	[[ $heard != *kick* ]]
	grep -q 'new publishers are refused until it answers' err1
	pg_start
	wait_event events1 20 '.event == "database.connected"'
	eventually 20 row_is "select status, reason, abs(extract(epoch from ended_at) * 1000 - $ended_ms) < 1
		from live_streams where stream = 'alice'" 'ended|ended|t'
	[ "$(pg "select reason from sessions where session = 's1'")" = ended ]
	on 1 publish 5 "$bob" s5
	hear_of 1
	jq -e .busy <<<"$heard"
	eventually 20 test ! -s box1.state
	[ "$(pg "select state from airings where stream = 'bob'")" = live ]
	on 1 notice ended s2 "$broadcast"
	on 1 notice broadcast-ended s2 "$broadcast"
	leave 1
	[ "$(pg "select count(*) from live_streams where ended_at is not null and status = 'ended'")" = 2 ]
	[ "$(grep -c 'cannot use the database' err1)" -le 2 ]
}

@test "a state file that ends in half a line: what is written after it is told after the next kill too" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1 --state box1.state
	start 1 "$key" s1
	pg_stop
	wait_event events1 20 '.event == "database.lost"'
	drop 1
	printf '{"notice":"ended","sess' >>box1.state
	box 1 --state box1.state
	on 1 notice ended s1 "$broadcast"
	on 1 notice broadcast-ended s1 "$broadcast"
	eventually 20 grep -q broadcast-ended box1.state
	drop 1
	box 1 --state box1.state
	pg_start
	eventually 20 row_is "select reason from sessions where session = 's1'" ended
	leave 1
	[ "$(grep -c 'not understood' err1)" = 0 ]
}

@test "--cache-s: while the database is away those it knew lately are let in, and it hears of all of it" {
	key=$(lv-auth "${STORE[@]}" add alice --user 42 --max-kbps 800)
	bob=$(lv-auth "${STORE[@]}" add bob)
	carol=$(lv-auth "${STORE[@]}" add carol)
	dave=$(lv-auth "${STORE[@]}" add dave --adobe)
	erin=$(lv-auth "${STORE[@]}" add erin)
	cached() { on 1 publish "$@" && hear_of 1 && jq -e .allow <<<"$heard"; }
	refused() { on 1 publish "$@" && hear_of 1 && jq -e '.allow == false' <<<"$heard"; }
	box 1 --state s --cache-s 3600
	start 1 "$key" s1 # goes on
	alice=$broadcast
	start 1 "$bob" s2 # comes back in grace
	bobs=$broadcast
	on 1 notice ended s2 "$bobs"
	start 1 "$carol" s3 # has ended
	on 1 notice ended s3 "$broadcast"
	on 1 notice broadcast-ended s3 "$broadcast"
	start 1 "$dave" s4
	on 1 notice ended s4 "$broadcast"
	on 1 notice broadcast-ended s4 "$broadcast"
	eventually 20 row_is "select count(*) from airings where state = 'ended'" 2
	[ "$(stat -c %a s.cache s.cache.secret | xargs)" = "600 600" ]
	run ! grep -F -e "$key" -e "$bob" s.cache
	pg_stop
	wait_event events1 20 '.event == "database.lost"'
	grep -q 'new publishers are judged by the cache until it answers' err1
	refused 5 "$erin" s5 # never seen
	[ "$heard" = '{"id":"5","allow":false,"reason":"try again later"}' ]
	refused 6 "$key" s6
	jq -e .busy <<<"$heard"
	cached 7 "$bob" s7
	jq -e --arg b "$bobs" '.resumed and .broadcast == $b and .epoch > 1000' <<<"$heard"
	on 1 notice started s7 "$bobs"
	cached 8 "$carol" s8
	carols=$(jq -r .broadcast <<<"$heard")
	jq -e --arg b "$broadcast" '(.resumed | not) and .broadcast > $b' <<<"$heard"
	on 1 notice started s8 "$carols"
	drop 1 # and what is on the disk is still good
	box 1 --state s --cache-s 3600
	for live in "s1 $alice alice 1" "s7 $bobs bob 1001" "s8 $carols carol 1001"; do
		on 1 printf '{"notice":"live","session":"%s","broadcast":"%s","stream":"%s","epoch":%d}\n' $live
	done
	on 1 echo '{"notice":"sync"}'
	on 1 password 9 dave wrong
	hear_of 1
	jq -e '.allow | not' <<<"$heard"
	on 1 password 10 dave "$dave"
	hear_of 1
	jq -e '.allow and .stream == "dave"' <<<"$heard"
	on 1 notice started 10 "$(jq -r .broadcast <<<"$heard")"
	[ "$(jq -s -c 'map(select(.event == "cache.used").stream)' events1)" = '["bob","carol","dave"]' ]
	pg_start
	wait_event events1 20 '.event == "database.connected"'
	eventually 20 row_is "select string_agg(stream, ' ' order by stream) from live_streams where status = 'live'" "alice bob carol dave"
	[ "$(pg "select count(*), count(distinct broadcast) from live_streams")" = '6|6' ]
	[ "$(pg "select string_agg(session, ' ' order by session) from sessions where ended_at is null")" = "10 s1 s7 s8" ]
	read -rt 7 heard <&61 || heard= # a renewal has passed, and nobody was thrown out
	[ -z "$heard" ]
	pg "update stream_keys set is_active = false where stream = 'carol'"
	hear_of 1
	[ "$heard" = '{"kick":{"stream":"carol"},"reason":"the key was revoked"}' ]
	on 1 notice ended s8 "$carols"
	on 1 notice broadcast-ended s8 "$carols"
	eventually 20 row_is "select status from live_streams where broadcast = '$carols'" ended
	pg_stop
	refused 11 "$carol" s11 # which was heard of, and is on the disk
	leave 1
	pg_start
}

@test "the cache: its age counts, and a line that this box did not sign lets nobody in" {
	key=$(lv-auth "${STORE[@]}" add alice)
	bob=$(lv-auth "${STORE[@]}" add bob)
	box 1 --state s --cache-s 3600
	start 1 "$key" s1
	on 1 notice ended s1 "$broadcast"
	leave 1
	sed "s/ alice sha256:[0-9a-f]*/ bob sha256:$(printf %s "$bob" | sha256sum | head -c 64)/" s.cache >forged
	[ "$(wc -l <forged)" = 1 ]
	cat forged >>s.cache
	local gone="postgresql:///none?host=$PG/none&user=lv"
	ask() { { publish 1 "$1" s2; publish 2 wrong s3; } | lv-auth --db "$gone" --state s "${@:2}" 2>err | jq -s -c 'sort_by(.id) | map(.allow)'; }
	[ "$(ask "$key" --cache-s 3600)" = '[true,false]' ]
	grep -q 's.cache: 1 lines were not signed by this box and are left out' err
	[ "$(ask "$bob" --cache-s 3600)" = '[false,false]' ]
	sleep 1.2
	[ "$(ask "$key" --cache-s 1)" = '[false,false]' ]
	head -c 32 /dev/urandom | xxd -p -c 64 >s.cache.secret
	[ "$(ask "$key" --cache-s 3600)" = '[false,false]' ]
	chmod 644 s.cache.secret
	run -77 --separate-stderr lv-auth --db "$DB" --state s --cache-s 1 </dev/null
	[[ $stderr == *'s.cache.secret is open to others'* ]]
	run -64 lv-auth --db "$DB" --cache-s 1
	run -64 lv-auth --keys keys --cache-s 1 --state s
	run -64 lv-auth --keys keys --takeover
}

@test "the cache: on a full disk a key that is off is not let in after a restart either" {
	key=$(lv-auth "${STORE[@]}" add alice)
	bob=$(lv-auth "${STORE[@]}" add bob)
	trap '' XFSZ
	box 1 --state box1.state --cache-s 3600
	trap - XFSZ
	start 1 "$bob" s0
	start 1 "$key" s1
	on 1 notice ended s1 "$broadcast"
	on 1 notice broadcast-ended s1 "$broadcast"
	prlimit --pid "$box1" --fsize=100: # enough for a message
	lv-auth "${STORE[@]}" revoke alice
	eventually 20 grep -q 'cannot write' err1
	pg_stop
	drop 1
	box 1 --state box1.state --cache-s 3600
	on 1 publish 2 "$key" s2
	hear_of 1
	[ "$heard" = '{"id":"2","allow":false,"reason":"try again later"}' ]
	pg_start
}

@test "--takeover: another box has the stream at once, and the first is told" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	box 2 --takeover
	start 1 "$key" s1
	first=$broadcast
	eventually 20 row_is "select state from airings" live
	start 2 "$key" s2 # which a lease of fifteen seconds would have forbidden
	[ "$broadcast $epoch" = "$first 2" ]
	began=$SECONDS
	hear_of 1
	[ "$heard" = '{"kick":{"stream":"alice"},"reason":"published elsewhere"}' ]
	((SECONDS - began <= 4)) # it was woken: its own renewal is every five seconds
	on 1 notice ended s1 "$first"
	on 1 notice broadcast-ended s1 "$first"
	on 1 publish 3 "$key" s3 # it has no leave to take it back
	hear_of 1
	jq -e .busy <<<"$heard"
	on 2 publish 4 "$key" s4 # on the same box the door's own policy counts
	hear_of 2
	jq -e .busy <<<"$heard"
	eventually 20 row_is 'select session, reason from sessions order by epoch' $'s1|taken over\ns2|'
	[ "$(pg 'select state, box, epoch from airings')" = 'live|box2|2' ]
	[ "$(pg 'select status from live_streams')" = live ]
	leave 1
	leave 2
}

@test "within one lease of the database's start no lease is too old" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	start 1 "$key" s1
	eventually 20 row_is "select state from airings" live
	drop 1
	pg "update airings set lease_until = now() - interval '1 minute', seen_at = now() - interval '1 minute'"
	pg_stop
	pg_start
	box 2
	on 2 publish 1 "$key" s2
	hear_of 2
	jq -e .busy <<<"$heard"
	leave 2
}

@test "a database that hangs: an answer in time, and it is well again by itself" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	on 1 publish 1 wrong s0
	hear_of 1
	backend=$(pg "select pid from pg_stat_activity where application_name = 'lv-auth'")
	kill -STOP "$backend"
	began=$(date +%s%3N)
	on 1 publish 2 "$key" s2
	hear_of 1
	[ "$heard" = '{"id":"2","allow":false,"reason":"try again later"}' ]
	(($(date +%s%3N) - began < 5000)) # 3 s, and what a busy machine adds
	on 1 publish 3 "$key" s3
	hear_of 1
	jq -e .allow <<<"$heard"
	kill -CONT "$backend"
	leave 1
}

@test "a stream that is locked in the database costs its publisher an answer, not the others" {
	key=$(lv-auth "${STORE[@]}" add alice)
	bob=$(lv-auth "${STORE[@]}" add bob)
	box 1
	start 1 "$key" s1
	on 1 notice ended s1 "$broadcast"
	eventually 20 row_is "select state from airings" held
	mkfifo hold
	psql -Xq <hold >/dev/null 3>&- 41>&- 61<&- &
	running="$running $!"
	exec 30>hold
	echo "begin; select * from airings for update;" >&30
	eventually 20 row_is "select count(*) from pg_stat_activity where state = 'idle in transaction'" 1
	on 1 publish 2 "$key" s2
	on 1 publish 3 "$bob" s3
	hear_of 1
	[ "$heard" = '{"id":"2","allow":false,"reason":"try again later"}' ]
	hear_of 1
	jq -e '.id == "3" and .allow' <<<"$heard"
	exec 30>&-
	leave 1
}

@test "no tables, no database, a password in sight: a message and a status each" {
	createdb bare
	run -69 --separate-stderr lv-auth --db "postgresql:///bare?host=$PG&user=lv" list
	[ "$stderr" = 'lv-auth: cannot ask the database: relation "stream_keys" does not exist; "lv-auth schema | psql" makes the tables' ]
	run -0 --separate-stderr lv-auth --db "postgresql:///bare?host=$PG&user=lv" <<<"$(publish 1 x s1)"
	[ "$output" = '{"id":"1","allow":false,"reason":"try again later"}' ]
	[[ $stderr == *'"lv-auth schema | psql" makes'* ]]
	run -69 --separate-stderr lv-auth --db "postgresql:///none?host=$PG&user=lv" list
	[[ $stderr == *'database "none" does not exist'* ]]
	for url in "postgresql://lv:hush@/x?host=$PG" "postgresql:///x?password=hush" "host=$PG password=hush"; do
		run -64 --separate-stderr lv-auth --db "$url" list
		[[ $stderr == *PGPASSFILE* && $stderr != *hush* ]]
		run -64 --separate-stderr lv-auth --db "$url"
		[[ $stderr == *PGPASSFILE* && $stderr != *hush* ]]
	done
	run -64 --separate-stderr lv-auth --db nonsense list
	[[ $stderr == 'lv-auth: --db: '* ]]
	run -64 lv-auth --db "$DB" --keys keys list
	run -64 lv-auth --keys keys --box b
}

@test "twenty adds at once lose none; a key that nobody saw is told of" {
	for i in {1..20}; do
		lv-auth "${STORE[@]}" add "s$i" >"shown$i" 3>&- &
	done
	wait
	[ "$(lv-auth "${STORE[@]}" list | wc -l)" = 20 ]
	[ "$(cat shown* | sort -u | wc -l)" = 20 ]
	run -74 --separate-stderr bash -c "lv-auth --db '$DB' add alice >/dev/full"
	[ "$stderr" = "lv-auth: cannot write to standard output; nobody has seen the new key of alice: rotate it" ]
}

@test "ban, unban, follow, unfollow: rows, and who listens is woken" {
	mkfifo hears
	psql -XAtq <hears >heard 3>&- &
	running="${running:-} $!"
	exec 30>hears
	echo 'listen lv_bans; select 1;' >&30
	eventually 20 grep -q 1 heard
	lv-auth "${STORE[@]}" ban alice 17 --by 42 --reason "links to \$'s" --until 2100-01-01T00:00:00Z
	[ "$(pg 'select stream, user_id, by_user, reason, extract(year from until) from chat_bans')" = \
		"alice|17|42|links to \$'s|2100" ]
	echo 'select 2;' >&30
	eventually 20 grep -q lv_bans heard
	exec 30>&-
	lv-auth "${STORE[@]}" ban alice 17
	lv-auth "${STORE[@]}" ban '*' 17
	[ "$(pg 'select stream, by_user, reason, until from chat_bans where lifted_at is null order by stream')" = $'*|operator||\nalice|operator||' ]
	[ "$(pg 'select by_user, lifted_at between created_at and now() from chat_bans where lifted_at is not null')" = '42|t' ] # replaced, and kept
	lv-auth "${STORE[@]}" unban alice 17
	run -1 --separate-stderr lv-auth "${STORE[@]}" unban alice 17
	[ "$stderr" = "lv-auth: no such user is banned from alice" ]
	[ "$(pg 'select count(*) from chat_bans where lifted_at is null')" = 1 ]
	lv-auth "${STORE[@]}" ban alice 17 --until 2001-01-01T00:00:00Z # over already
	run -1 lv-auth "${STORE[@]}" unban alice 17
	lv-auth "${STORE[@]}" follow alice 17
	lv-auth "${STORE[@]}" follow alice 17
	lv-auth "${STORE[@]}" follow alice "o'neil\"\\"
	[ "$(pg 'select count(*) from followers')" = 2 ]
	lv-auth "${STORE[@]}" unfollow alice 17
	run -1 --separate-stderr lv-auth "${STORE[@]}" unfollow alice 17
	[ "$stderr" = "lv-auth: no such user follows alice" ]
	for wrong in 'ban alice' 'ban ../x 17' 'follow alice 17 18' 'follow * 17' 'unban alice 17 --by 4' \
		'add bob --by 4' 'ban alice 17 --until tomorrow' 'follow alice 17 --until 2100-01-01T00:00:00Z' \
		'gift alice 42' 'vod NO x' 'ban alice 17 --user 4'; do
		set -f
		run -64 lv-auth "${STORE[@]}" $wrong
		set +f
	done
	run -64 --separate-stderr lv-auth --keys keys ban alice 17
}

@test "a gift for several is one gift; what is left of a subscription is kept" {
	run -0 --separate-stderr lv-auth "${STORE[@]}" gift alice 42 17 18 'a,"\{b}' 17
	[ "$output" = 1 ]
	[ "$(pg 'select stream, user_id, count from gifts')" = 'alice|42|3' ]
	[ "$(pg "select count(*), bool_and(gift_id = 1 and ends_at between now() + interval '27 days' and
		now() + interval '32 days') from subscriptions")" = '3|t' ]
	[ "$(pg "select count(*) from subscriptions where user_id = 'a,\"\{b}'")" = 1 ]
	pg "update subscriptions set ends_at = null where user_id = '18'"
	pg "update subscriptions set ends_at = now() - interval '1 year' where user_id = 'a,\"\{b}'"
	run -0 lv-auth "${STORE[@]}" gift alice 43 17 18 'a,"\{b}'
	[ "$output" = 2 ]
	[ "$(pg "select count(*) from subscriptions where ends_at > now() + interval '54 days'")" = 1 ]
	[ "$(pg "select count(*) from subscriptions where ends_at is null")" = 1 ]
	[ "$(pg "select count(*) from subscriptions where ends_at between now() and now() + interval '32 days'")" = 1 ]
}

@test "vod: where the recording of a broadcast is" {
	key=$(lv-auth "${STORE[@]}" add alice)
	box 1
	start 1 "$key" s1
	on 1 notice ended s1 "$broadcast"
	on 1 notice broadcast-ended s1 "$broadcast"
	leave 1
	lv-auth "${STORE[@]}" vod "$broadcast" "s3://vod/alice/$broadcast.mp4"
	[ "$(pg 'select vod_path from live_streams')" = "s3://vod/alice/$broadcast.mp4" ]
	run -1 --separate-stderr lv-auth "${STORE[@]}" vod 0123456789 x
	[ "$stderr" = "lv-auth: there is no broadcast 0123456789" ]
}
