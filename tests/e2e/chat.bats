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
	lv-chatd --listen 127.0.0.1:0 --token-secret "$secret" --events "$BATS_FILE_TMPDIR/chat" "${lists[@]}" 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/chatd"
	CHAT=$(wait_event "$BATS_FILE_TMPDIR/chat" 10 '.event == "server.ready"' | jq .port)
	export CHAT
	site_open demo --chat ":$CHAT"
	cat "$BATS_FILE_TMPDIR/chatd" >>"$DIR/pids"
	token() { lv-auth token demo --token-secret "$secret" "$@"; }
	(umask 077 && token --user 9 --name Ann --role mod >"$DIR/ann" && token --user 2 --name Zoë >"$DIR/zoe")
	browser_open
	go "$URL/watch/demo#token=$(cat "$DIR/ann")"
	eventually 20 page_is '!document.getElementById("text").disabled'
}

teardown_file() { [ ! -e "$DIR/pids" ] || site_close; }

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

@test "after the server has gone and come back the page is there again by itself" {
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
		screen $size
		eventually 10 page_is "innerWidth == ${size% *}"
		run in_page 'JSON.stringify([document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight])'
		[ "$output" = "[0,0]" ] || { echo "$size: $output over"; false; }
		page_is 'document.getElementById("talk").clientHeight > 80'
		page_is '[document.getElementById("text"), document.getElementById("send")].every((e) => e.getBoundingClientRect().height >= 44 &&
			e.getBoundingClientRect().bottom <= innerHeight)'
	done
}
