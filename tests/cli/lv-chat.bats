bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/chat

setup() {
	cd "$BATS_TEST_TMPDIR"
	chat_tokens --name Zoë
	serve
}

teardown() {
	local p
	for p in "${pids[@]}"; do
		kill "$p" 2>/dev/null || :
		wait "$p" 2>/dev/null || :
	done
}

pids=() n=0
serve() { # [PORT]: a chat of the test's own
	n=$((n + 1))
	lv-chatd --listen "127.0.0.1:${1:-0}" --token-secret secret --events "events.$n" 3>&- 8>&- 2>>chatd.log &
	pids+=("$!")
	chatd=$!
	port=$(wait_event "events.$n" 30 '.event == "server.ready"' | jq .port)
	url=ws://127.0.0.1:$port
}

reader() { # FILE [OPTION...]: what is heard in the room, line by line, in the background
	lv-chat read alice --url "$url" "${@:2}" >"$1" 2>"$1.err" 3>&- &
	pids+=("$!")
	reader=$!
	wait_event "$1" 30 '.type == "joined"' >/dev/null
}

@test "read prints what is said, send says it line by line" {
	reader heard
	run -0 lv-chat send alice --url "$url" --token-file viewer < <(printf 'one\n\ntwo "quoted" ü\nthree')
	[ -z "$output" ]
	wait_event heard 30 '.text == "three"' >/dev/null
	run -0 jq -r 'select(.type == "message") | .name + ": " + .text' heard
	[ "$output" = $'Zoë: one\nZoë: two "quoted" ü\nZoë: three' ]
	kill "$reader"
	wait "$reader"
	# the last messages for a newcomer
	run -0 lv-chat read alice --url "$url" --count 4
	[ "$(jq -r '.text // .type' <<<"$output" | tr '\n' ' ')" = 'joined one two "quoted" ü three ' ]
	# from an offset on, and so many lines
	local id
	id=$(jq -r 'select(.text == "one") | .id' heard)
	run -0 lv-chat read alice --url "$url" --offset "$id" --count 3
	[ "$(jq -r .text <<<"$output" | tr '\n' ' ')" = 'null two "quoted" ü three ' ]
	[ "$(jq -c .recovered <<<"${lines[0]}")" = true ]
	run -0 --separate-stderr lv-chat read alice --url "$url" --offset 1-1 --count 1
	[ "$stderr" = "lv-chat: warning: alice: not all that was said meanwhile is known any more" ]
}

@test "more lines than the limit allows are sent in time, none is lost" {
	reader heard
	SECONDS=0
	run -0 lv-chat send alice --url "$url" --token-file viewer < <(seq 30)
	((SECONDS >= 4))
	wait_event heard 30 '.text == "30"' >/dev/null
	[ "$(jq -r 'select(.type == "message").text' heard)" = "$(seq 30)" ]
}

@test "moderation: one thing, one answer, one status" {
	reader heard
	lv-chat send alice --url "$url" --token-file viewer <<<hello
	local id
	id=$(wait_event heard 30 '.text == "hello"' | jq -r .id)
	run -0 lv-chat pin alice "$id" --url "$url" --token-file mod
	[ "$(jq -r .message.text <<<"$output")" = hello ]
	run -0 lv-chat delete alice "$id" --url "$url" --token-file mod
	[ "$(jq -r '.type + " " + .target + " " + .by' <<<"$output")" = "delete $id 2" ]
	run -1 --separate-stderr lv-chat delete alice "$id" --url "$url" --token-file mod
	[ "$stderr" = "lv-chat: message_unknown: There is no such message any more." ]
	run -0 lv-chat modes alice slow=10 followers=off subs=on --url "$url" --token-file mod
	[ "$(jq -c '[.slow, .followers, .subs]' <<<"$output")" = '[10,-1,true]' ]
	lv-chat modes alice slow=off subs=off --url "$url" --token-file mod
	run -0 lv-chat timeout alice 1 600 "calm down" --url "$url" --token-file mod
	[ "$(jq -c '[.user, .seconds, .reason]' <<<"$output")" = '["1",600,"calm down"]' ]
	run -1 --separate-stderr lv-chat send alice --url "$url" --token-file viewer <<<again
	[ "$stderr" = "lv-chat: timed_out: You may not write for a while." ]
	run -0 lv-chat unban alice 1 --url "$url" --token-file mod
	run -0 lv-chat ban alice 1 --url "$url" --token-file mod
	run -0 lv-chat clear alice --url "$url" --token-file mod
	run -0 lv-chat unpin alice --url "$url" --token-file mod
	run -1 lv-chat clear alice --url "$url" --token-file viewer
	[ "$(wait_event heard 30 '.type == "unpin"' | jq -r .by)" = 2 ]
}

@test "held messages: the sender is told, a moderator lets it through or not" {
	reader heard
	reader moderator --token-file mod
	lv-chat modes alice links=hold --url "$url" --token-file mod >/dev/null
	run -0 --separate-stderr lv-chat send alice --url "$url" --token-file viewer < <(printf '%s\n' 'see example.com' 'and example.org')
	[ "$stderr" = $'lv-chat: warning: held: A moderator looks at it first.\nlv-chat: warning: held: A moderator looks at it first.' ]
	wait_event moderator 30 '.type == "held" and .text == "and example.org"' >/dev/null
	local ids
	mapfile -t ids < <(jq -r 'select(.type == "held").id' moderator)
	run -0 lv-chat deny alice "${ids[0]}" --url "$url" --token-file mod
	run -0 lv-chat approve alice "${ids[1]}" --url "$url" --token-file mod
	[ "$(jq -r .type <<<"$output")" = approve ]
	wait_event heard 30 '.text == "and example.org" and .type == "message"' >/dev/null
	[ "$(jq -r 'select(.text).text' heard)" = "and example.org" ]
	run -64 lv-chat modes alice links=some --url "$url" --token-file mod
}

@test "a bot is a pipeline: bad words are deleted" {
	reader heard
	mkfifo words
	lv-chat read alice --url "$url" >words 3>&- &
	pids+=("$!")
	jq -c --unbuffered 'select(.type == "message" and (.text | test("bad"))) | {type: "delete", id}' <words 3>&- |
		lv-chat do alice --url "$url" --token-file mod >done 2>&1 3>&- &
	pids+=("$!")
	lv-chat send alice --url "$url" --token-file viewer < <(printf '%s\n' good bad fine)
	local id
	id=$(wait_event heard 30 '.text == "bad"' | jq -r .id)
	[ "$(wait_event heard 30 '.type == "delete"' | jq -r .target)" = "$id" ]
	[ "$(wait_event done 30 '.type == "delete"' | jq -r .target)" = "$id" ]
}

@test "do says what it is told, and what is no object is told of" {
	run -65 --separate-stderr lv-chat do alice --url "$url" --token-file viewer \
		< <(printf '%s\n' '{"type":"emote","emote":"Kappa","ref":"mine"}' nonsense '{"type":"message","text":"x"}')
	[ "$(jq -r '.type + " " + (.ref | if . == "mine" then . else "ours" end)' <<<"$output")" = $'emote mine\nmessage ours' ]
	[ "$stderr" = "lv-chat: not a JSON object: nonsense" ]
}

@test "the server ends and comes back: reading goes on, what was not answered is said again" {
	reader heard
	mkfifo in
	lv-chat send alice --url "$url" --token-file viewer <in 2>send.err 3>&- &
	local sender=$!
	pids+=("$sender")
	exec 8>in
	echo before >&8
	wait_event heard 30 '.text == "before"' >/dev/null
	kill -9 "$chatd"
	wait "$chatd" || :
	echo after >&8
	serve "$port"
	wait_event heard 30 '.text == "after"' >/dev/null
	exec 8>&-
	wait "$sender"
	[ "$(jq -r 'select(.type == "message").text' heard)" = $'before\nafter' ]
	grep -qx 'lv-chat: warning: alice: not all that was said meanwhile is known any more' heard.err
}

@test "what is wrong on the command line, and with the token, is said" {
	run -64 --separate-stderr lv-chat read
	run -64 --separate-stderr lv-chat sing alice
	[ "$stderr" = 'lv-chat: no command "sing"; try "lv-chat --help"' ]
	run -64 --separate-stderr lv-chat send alice
	[ "$stderr" = 'lv-chat: send needs --token-file FILE; "lv-auth token" makes one' ]
	run -64 --separate-stderr lv-chat ban alice --token-file mod
	[ "$stderr" = "lv-chat: ban takes ROOM USER [REASON]" ]
	run -64 lv-chat timeout alice 1 soon --token-file mod
	run -64 lv-chat modes alice slow=x --token-file mod
	run -64 lv-chat modes alice pink --token-file mod
	run -64 lv-chat read a/b
	run -64 lv-chat read alice --url http://localhost
	run -64 lv-chat read alice --offset x
	run -66 lv-chat send alice --url "$url" --token-file none
	chmod 644 viewer
	run -77 --separate-stderr lv-chat send alice --url "$url" --token-file viewer
	[ "$stderr" = "lv-chat: viewer can be read by others: chmod 600 viewer" ]
	(umask 077; echo a.b.c >wrong)
	run -77 --separate-stderr lv-chat send alice --url "$url" --token-file wrong
	[ "$stderr" = "lv-chat: the token in wrong is not good for alice" ]
	run -69 --separate-stderr lv-chat read alice --url ws://127.0.0.1:1
	[[ $stderr == "lv-chat: ws://127.0.0.1:1 cannot be reached: "* ]]
	run -74 --separate-stderr bash -c "lv-chat read alice --url '$url' >/dev/full"
	[ "$stderr" = "lv-chat: cannot write to standard output: No space left on device" ]
}
