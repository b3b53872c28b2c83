# The chat beside the picture, in Chromium: what others say, what is said here, and what moderators do.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/browser

setup_file() {
	local secret=$BATS_FILE_TMPDIR/secret
	command -v chromedriver >/dev/null || skip "no chromedriver"
	(umask 077 && openssl rand -hex 32 >"$secret")
	echo '*spoiler*' >"$BATS_FILE_TMPDIR/suspect"
	printf '%s\n' 'Kappa /player/icon.svg' 'Gone /player/gone.png' >"$BATS_FILE_TMPDIR/emotes"
	lists=(--hold "$BATS_FILE_TMPDIR/suspect" --emotes "$BATS_FILE_TMPDIR/emotes")
	redis-server --port 0 --unixsocket "$BATS_FILE_TMPDIR/redis.sock" --dir "$BATS_FILE_TMPDIR" --save '' >/dev/null 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/redis"
	eventually 10 redis_is_there
	lists+=(--redis "unix:$BATS_FILE_TMPDIR/redis.sock")
	lv-chatd --listen 127.0.0.1:0 --token-secret "$secret" --events "$BATS_FILE_TMPDIR/chat" "${lists[@]}" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/chatd"
	CHAT=$(wait_event "$BATS_FILE_TMPDIR/chat" 10 '.event == "server.ready"' | jq .port)
	export CHAT
	site_open demo --chat ":$CHAT"
	cat "$BATS_FILE_TMPDIR/chatd" "$BATS_FILE_TMPDIR/redis" >>"$DIR/pids"
	token() { lv-auth token demo --token-secret "$secret" "$@"; }
	(umask 077 && token --user 9 --name Ann --role mod >"$DIR/ann" && token --user 2 --name Zoë >"$DIR/zoe" &&
		token --user 5 --name Eve >"$DIR/eve" && token --user bot --role service >"$DIR/bot")
	browser_open
	go "$URL/watch/demo#token=$(cat "$DIR/ann")"
	eventually 20 page_is '!document.getElementById("text").disabled'
}

teardown_file() { [ ! -e "$DIR/pids" ] || site_close; }

as() { # the page, by a link of the site for that person
	go "about:blank"
	go "$URL/watch/demo#token=$(cat "$DIR/$1")"
	eventually 20 page_is '!document.getElementById("text").disabled'
}
redis_is_there() { redis-cli -s "$BATS_FILE_TMPDIR/redis.sock" ping >/dev/null 2>&1; }
zoe() { lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/zoe" "$@"; }
talk() { in_page '[...document.querySelectorAll("#talk .said")].map((l) => l.querySelector("b").textContent + ": " + l.querySelector(".text").textContent).join("\n")'; }
said() { [ "$(talk)" = "$1" ]; }

@test "the token is gone from the address, and what others say is text" {
	[ "$(in_page location.hash)" = "" ]
	zoe send demo <<<'hé <img src=x onerror="document.title=1"> <b>bold</b>'
	eventually 10 said 'Zoë: hé <img src=x onerror="document.title=1"> <b>bold</b>'
	[ "$(in_page 'document.querySelectorAll("#talk img").length + document.title')" = "0demo – live" ]
}

@test "what is said here is heard there, a reply shows what it answers" {
	in_page '(document.querySelector("#talk .said").click(), document.querySelector("[data-act=reply]").click(),
		document.getElementById("text").value = "hello yourself", document.getElementById("send").click(), 0)' >/dev/null
	shown() { [[ $(talk) == *$'\nAnn: hello yourself' ]]; }
	eventually 10 shown
	[[ $(in_page 'document.querySelector("#talk .said:last-child .reply").textContent') == '↪ hé <img'* ]]
	[ "$(in_page 'document.querySelector("#talk .said:last-child .mark").textContent')" = mod ]
}

@test "emotes are pictures in their places, and text where the picture does not come" {
	zoe send demo <<<'😀 Kappa and Gone <b>'
	drawn() { in_page '[...document.querySelector("#talk .said:last-child .text").childNodes].map((n) => n.alt ? `[${n.alt}]` : n.textContent).join("")'; }
	emotes_are() { [ "$(drawn)" = "$1" ]; }
	eventually 10 emotes_are '😀 [Kappa] and Gone <b>'
	eventually 10 page_is 'document.querySelector("#talk .said:last-child img").naturalWidth > 0'
	[ "$(in_page 'document.querySelectorAll("#talk .said:last-child .text *").length')" = 1 ]
}

@test "a moderator sees what is held, and lets it through or not" {
	zoe send demo < <(printf '%s\n' 'first <i>spoiler' 'second spoiler')
	waiting() { [ "$(in_page '[...document.querySelectorAll("#held .text")].map((e) => e.textContent).join("|")')" = "$1" ]; }
	eventually 10 waiting 'first <i>spoiler|second spoiler'
	in_page '(document.querySelector("#held [data-act=approve]").click(), 0)' >/dev/null
	eventually 10 waiting 'second spoiler'
	let_through() { [[ $(talk) == *$'\nZoë: first <i>spoiler' ]]; }
	eventually 10 let_through
	in_page '(document.querySelector("#held [data-act=deny]").click(), 0)' >/dev/null
	eventually 10 page_is 'document.getElementById("held").hidden'
	let_through
}

@test "a moderator takes a message away with two touches, a ban all that the person wrote" {
	zoe send demo < <(printf '%s\n' one two three)
	has() { [[ $(talk) == *"Zoë: three" ]]; }
	eventually 10 has
	in_page '([...document.querySelectorAll("#talk .said")].find((l) => l.textContent.includes("two")).click(),
		document.querySelector("[data-act=delete]").click(), 0)' >/dev/null
	without() { [[ $(talk) == *"one"*"three"* && $(talk) != *two* ]]; }
	eventually 10 without
	in_page '([...document.querySelectorAll("#talk .said")].find((l) => l.textContent.includes("three")).click(),
		document.querySelector("[data-act=ban]").click(), 0)' >/dev/null
	eventually 10 said 'Ann: hello yourself'
	run zoe send demo <<<again
	[ "$status" != 0 ]
}

@test "what is deleted on one box, and who is banned there, goes from the page that is on another" {
	box() { # a second one, at PORT
		lv-chatd --listen "127.0.0.1:$1" --token-secret "$BATS_FILE_TMPDIR/secret" --events "$DIR/box.$1" "${lists[@]}" 3>&- &
		box=$!
		echo "$box" >>"$DIR/pids"
		wait_event "$DIR/box.$1" 10 '.event == "redis.back"' >/dev/null
	}
	local lists=(--redis "unix:$BATS_FILE_TMPDIR/redis.sock") box port gone later
	local at=(lv-chat --url "ws://127.0.0.1:$CHAT" --token-file)
	say() { jq -nc --arg t "$1" '{type: "message", text: $t}' | "${at[@]}" "$DIR/tom" "do" demo | jq -r .id; }
	shows() { talk | grep -qx "Tom: $1"; }
	hides() { ! shows "$1"; }
	(umask 077 && lv-auth token demo --token-secret "$BATS_FILE_TMPDIR/secret" --user 7 --name Tom >"$DIR/tom")
	box 0
	port=$(jq 'select(.event == "server.ready").port' "$DIR/box.0")
	lv-serve --root "$LV_HOME" --listen 127.0.0.1:0 --events "$DIR/events.box" --chat ":$port" 3>&- &
	echo $! >>"$DIR/pids"
	go "http://127.0.0.1:$(wait_event "$DIR/events.box" 10 '.event=="server.ready"' | jq .port)/watch/demo"
	eventually 20 page_is 'document.getElementById("watching").textContent != ""'
	gone=$(say "gone") later=$(say "gone later")
	say "stays" >/dev/null
	eventually 10 shows stays
	shows gone
	"${at[@]}" "$DIR/ann" delete demo "$gone" >/dev/null
	eventually 10 hides gone
	shows "gone later"
	# while the page's box is away: the page hears of it when it goes on
	kill -9 "$box"
	"${at[@]}" "$DIR/ann" delete demo "$later" >/dev/null
	say "back" >/dev/null
	box "$port"
	eventually 40 shows back
	shows stays
	hides "gone later"
	# a page that comes anew has it from the history
	in_page '(location.reload(), 0)' >/dev/null
	eventually 20 shows back
	hides gone
	hides "gone later"
	"${at[@]}" "$DIR/ann" ban demo 7 >/dev/null
	eventually 10 hides back
	hides stays
	run lv-chat --url "ws://127.0.0.1:$port" --token-file "$DIR/tom" send demo <<<again
	[ "$status" != 0 ]
}

@test "a pinned message is above the others, for newcomers too, until it is unpinned or taken away" {
	local id
	pinned() { [ "$(in_page 'document.getElementById("pin").hidden ? "" : document.getElementById("pinned").textContent')" = "$1" ]; }
	ann() { lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/ann" "$@"; }
	pinnable() { echo '{"type":"message","text":"read <b>this"}' | ann "do" demo | jq -r .id; }
	id=$(pinnable)
	ann pin demo "$id" >/dev/null
	eventually 10 pinned 'Ann: read <b>this'
	as ann
	eventually 10 pinned 'Ann: read <b>this'
	in_page '(document.getElementById("unpin").click(), 0)' >/dev/null
	eventually 10 pinned ''
	ann pin demo "$id" >/dev/null
	eventually 10 pinned 'Ann: read <b>this'
	ann delete demo "$id" >/dev/null
	eventually 10 pinned ''
	as ann
	pinned ''
}

@test "what is taken away is not shown by those who answered it either" {
	local id
	local at=(lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/ann")
	quote() { in_page '[...document.querySelectorAll("#talk .said .reply")].pop()?.textContent'; }
	quotes() { [ "$(quote)" = "$1" ]; }
	id=$(echo '{"type":"message","text":"unsayable"}' | "${at[@]}" "do" demo | jq -r .id)
	jq -nc --arg id "$id" '{type: "message", text: "oh", reply: $id}' | "${at[@]}" "do" demo >/dev/null
	eventually 10 quotes '↪ unsayable'
	"${at[@]}" delete demo "$id" >/dev/null
	eventually 10 quotes '↪ …'
	[[ $(in_page 'document.body.textContent') != *unsayable* ]]
}

@test "a page that is loaded anew says what is new; what was not taken is there to be said again" {
	local text
	tell() { in_page "(document.getElementById('text').value = '$1', document.getElementById('send').click(), 0)" >/dev/null; }
	for text in "before the reload" "after it"; do
		as eve
		tell "$text"
		last_is() { [[ $(talk) == *"Eve: $text" ]]; }
		eventually 10 last_is
	done
	tell "$(printf 'a\u202eb')"
	eventually 10 page_is 'document.getElementById("hint").textContent.includes("characters") && document.getElementById("text").value == "a\u202eb"'
	in_page '(document.getElementById("text").value = "", 0)' >/dev/null
	# the colour of a person is always the same, and another's is another
	[ "$(in_page 'new Set([...document.querySelectorAll("#talk .said")].filter((l) => l.dataset.user == "5").map((l) => l.querySelector("b").style.color)).size')" = 1 ]
	[ "$(in_page 'new Set([...document.querySelectorAll("#talk .said")].map((l) => l.querySelector("b").style.color)).size')" -gt 1 ]
}

@test "slow mode: the button counts down after one's own message" {
	as eve
	lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/ann" modes demo slow=3 >/dev/null
	eventually 10 page_is 'document.getElementById("modes").textContent == "slow: 3 s"'
	in_page '(document.getElementById("text").value = "slowly", document.getElementById("send").click(), 0)' >/dev/null
	eventually 10 page_is 'document.getElementById("send").disabled && /^[123] s$/.test(document.getElementById("send").textContent)'
	eventually 10 page_is '!document.getElementById("send").disabled && document.getElementById("send").textContent == "Send"'
	lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/ann" modes demo slow=off >/dev/null
}

@test "a stream that the viewer follows begins: it is told, and a touch goes there; not for the page's own" {
	local redis=(redis-cli -s "$BATS_FILE_TMPDIR/redis.sock")
	as eve
	listening() { [ "$("${redis[@]}" pubsub numsub notify:5 | tail -n 1)" = 1 ]; }
	eventually 20 listening
	"${redis[@]}" publish notify:5 '{"type":"stream_started","stream":"demo"}' >/dev/null
	"${redis[@]}" publish notify:5 '{"type":"stream_started","stream":"bob"}' >/dev/null
	eventually 10 page_is 'document.querySelector(".began a")?.textContent == "bob is live. Watch"'
	in_page '(document.querySelector(".began a").click(), 0)' >/dev/null
	eventually 20 page_is 'location.pathname == "/watch/bob"'
	# on the list of streams too
	go "$URL/"
	carol_begins() { # told again until the new page listens too
		"${redis[@]}" publish notify:5 '{"type":"stream_started","stream":"carol"}' >/dev/null
		page_is 'document.querySelector(".began a")?.pathname == "/watch/carol"'
	}
	eventually 20 carol_begins
}

@test "after a sleep, when the old connection is dead and does not know it, the page goes on where it was" {
	local hole
	"$ROOT/tests/lib/hole.py" "$CHAT" >"$DIR/hole" 3>&- &
	hole=$!
	echo "$hole" >>"$DIR/pids"
	eventually 10 test -s "$DIR/hole"
	lv-serve --root "$LV_HOME" --listen 127.0.0.1:0 --events "$DIR/events.2" --chat ":$(cat "$DIR/hole")" 3>&- &
	echo $! >>"$DIR/pids"
	go "http://127.0.0.1:$(wait_event "$DIR/events.2" 10 '.event=="server.ready"' | jq .port)/watch/demo"
	eventually 20 page_is 'document.getElementById("watching").textContent != ""'
	kill -USR1 "$hole"
	lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/ann" send demo <<<'while you slept'
	sleep 10 # so long a silence is not looked into
	in_page '(window.dispatchEvent(new Event("online")), 0)' >/dev/null
	ended_with() { [[ $(talk) == *"Ann: $1" ]]; }
	eventually 20 ended_with 'while you slept'
	[ "$(talk | grep -c 'while you slept')" = 1 ]
}

@test "fifty messages a second on a telephone leave the page most of its time" {
	screen 390 844
	go "$URL/watch/demo"
	eventually 20 page_is 'document.getElementById("watching").textContent != ""'
	busy() { driver POST /goog/cdp/execute '{"cmd":"Performance.getMetrics","params":{}}' |
		jq '.value.metrics | map({(.name): .value}) | add | [.Timestamp, .TaskDuration, .ScriptDuration, .LayoutDuration + .RecalcStyleDuration]' -c; }
	driver POST /goog/cdp/execute '{"cmd":"Performance.enable","params":{}}' >/dev/null
	in_page '(window.frames_ = [], (function f(t) { frames_.push(t); requestAnimationFrame(f); })(performance.now()), 0)' >/dev/null
	local before after
	before=$(busy)
	for i in {1..300}; do
		echo '{"type":"message","text":"number '"$i"' of those that come fifty a second, long enough for two lines"}'
		sleep 0.018
	done | lv-chat --url "ws://127.0.0.1:$CHAT" --token-file "$DIR/bot" "do" demo >/dev/null
	after=$(busy)
	last_is() { [[ $(talk) == *"number 300 of"* ]]; }
	eventually 20 last_is
	local share
	share=$(jq -n --argjson a "$before" --argjson b "$after" '($b[1] - $a[1]) / ($b[0] - $a[0])')
	echo "# main thread busy $(jq -n "$share * 100 | floor") %, frames: $(in_page '(() => {
		const d = frames_.slice(1).map((t, i) => t - frames_[i]).sort((a, b) => a - b);
		return `${d.length}, half within ${d[d.length >> 1].toFixed(1)} ms, 95 of 100 within ${d[Math.floor(d.length * .95)].toFixed(1)} ms`; })()')" >&3
	jq -en "$share < 0.5"
}

@test "after the server has gone and come back the page is there again by itself" {
	screen 390 844
	as ann
	kill "$(cat "$DIR/chatd")"
	eventually 10 page_is 'document.getElementById("text").disabled'
	lv-chatd --listen "127.0.0.1:$CHAT" --token-secret "$DIR/secret" 3>&- &
	echo $! >>"$DIR/pids"
	eventually 40 page_is '!document.getElementById("text").disabled'
}

@test "on a telephone picture and chat share the screen, upright and across" {
	local size
	for size in "390 844" "844 390" "320 568"; do
		# shellcheck disable=SC2086 # two numbers
		screen_fits $size
		page_is 'document.getElementById("talk").clientHeight > 80'
		page_is '[document.getElementById("text"), document.getElementById("send")].every((e) => e.getBoundingClientRect().height >= 44 &&
			e.getBoundingClientRect().bottom <= innerHeight)'
	done
}
