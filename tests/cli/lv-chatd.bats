bats_require_minimum_version 1.5.0
load ../lib/common

# Scenes are played by tests/lib/chat.py: WebSocket clients of python3-websockets.
scene() { run -0 timeout 120 "$ROOT/tests/lib/chat.py" "$@"; }

@test "only the token says who somebody is" { scene identity; }
@test "bad tokens, other rooms', and a new secret on SIGHUP" { scene tokens; }
@test "a token that is over writes no more, a new one does" { scene expiry; }
@test "20 messages in 5 s, a person's, with the true wait, in order" { scene limits; }
@test "history for newcomers, what was missed for who returns" { scene history; }
@test "a message sent again is there once" { scene resent; }
@test "no input ends the process; who must log in, pages from elsewhere, who leaves, who is silent; pings are spread" {
	scene hostile login origins leaving silent spread # together: they wait for clocks
}
@test "frames as no client makes them and mutated messages do not end it; --long: five million" {
	local count=50000
	[ -z "${LONG:-}" ] || count=5000000
	run -0 timeout 900 "$ROOT/tests/lib/chat_frames.py" "$count"
	echo "# $output" >&3
}
@test "connections of an address, a person and all" { scene caps; }
@test "wrong requests are refused in HTTP, /healthz answers" { scene wrong_requests; }
@test "a slow reader is cut, the others miss nothing" { scene slow_reader; }
@test "SIGTERM: everybody learns when to return" { scene drain; }
@test "deleting, time-outs, bans" { scene moderation; }
@test "modes, pins, replies" { scene modes; }
@test "blocked words are refused in their rooms" { scene words; }
@test "subscriptions, gifts, raids" { scene service; }
@test "emotes within a text, from a list" { scene emotes; }

@test "several boxes, one Redis: one room; Redis away and back, a box dead: nothing lost, doubled or reordered; /notify" {
	command -v redis-server >/dev/null || skip "no redis-server"
	scene boxes outage notify refusing sequence
}

@test "none of the faults of a chat written quickly is there; --long: each is found in one that has them" {
	command -v redis-server >/dev/null || skip "no redis-server"
	run -0 timeout 200 "$ROOT/tests/lib/chat_faults.py" ours
	[ -z "$output" ]
	[ -n "${LONG:-}" ] || return 0
	cp -r "$ROOT/tests/bench/chat-sketch" "$BATS_TEST_TMPDIR/sketch"
	(cd "$BATS_TEST_TMPDIR/sketch" && npm ci --silent --ignore-scripts --no-audit --no-fund)
	run -0 timeout 240 "$ROOT/tests/lib/chat_faults.py" "$BATS_TEST_TMPDIR/sketch"
	[ "$(wc -l <<<"$output")" = 9 ]
}

@test "held messages: moderators decide, on one box and on two; links by the room's mode" {
	command -v redis-server >/dev/null || skip "no redis-server"
	scene held
}

@test "options that cannot be are refused before anything is opened" {
	run -64 --separate-stderr lv-chatd
	[[ $stderr == *"--listen ADDR:PORT and --token-secret FILE are needed"* ]]
	local o
	for o in --history=1001 --messages=0 --messages=21 --window-ms=-1 --ping-s=0 --per-user=0 \
		--origin=example.org --origin=https://example.org/ --listen=nowhere --redis=localhost --redis=redis://:secret@h \
		--redis=redis://h:0 --redis=redis://h/x --redis-password-file=x; do
		echo "a secret of thirty-two bytes, no less" >"$BATS_TEST_TMPDIR/s"
		chmod 600 "$BATS_TEST_TMPDIR/s"
		run -64 lv-chatd --listen 127.0.0.1:0 --token-secret "$BATS_TEST_TMPDIR/s" "$o"
	done
}

@test "the secret has to be there, long enough, and secret" {
	local s=$BATS_TEST_TMPDIR/s
	run -66 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret "$s"
	[ "$stderr" = "lv-chatd: cannot open $s: No such file or directory" ]
	(umask 077; echo short >"$s")
	run -65 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret "$s"
	[ "$stderr" = "lv-chatd: $s is no secret of 32 bytes or more, nor a PEM file" ]
	chmod 644 "$s"
	run -77 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret "$s"
	[ "$stderr" = "lv-chatd: $s can be read by others: chmod 600 $s" ]
}

@test "faulty lists of words and emotes are named by their line" {
	local d=$BATS_TEST_TMPDIR
	(umask 077; echo "a secret of thirty-two bytes, no less" >"$d/s")
	printf '%s\n' good '@' >"$d/words"
	printf '%s\n' '# ours' 'Kappa kappa.png' >"$d/emotes"
	run -78 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret "$d/s" --hold "$d/words"
	[ "$stderr" = "lv-chatd: $d/words:2: no word, or @ROOM and a word" ]
	run -78 --separate-stderr lv-chatd --listen 127.0.0.1:0 --token-secret "$d/s" --emotes "$d/emotes"
	[ "$stderr" = "lv-chatd: $d/emotes:2: not NAME, NAME /PATH, or these behind @ROOM" ]
	run -66 lv-chatd --listen 127.0.0.1:0 --token-secret "$d/s" --blocked "$d/none"
}

@test "a port that is taken: 69, with the reason" {
	local s=$BATS_TEST_TMPDIR/s port
	(umask 077; echo "a secret of thirty-two bytes, no less" >"$s")
	lv-chatd --listen 127.0.0.1:0 --token-secret "$s" --events "$BATS_TEST_TMPDIR/e" 3>&- &
	port=$(wait_event "$BATS_TEST_TMPDIR/e" 30 '.event == "server.ready"' | jq .port)
	run -69 --separate-stderr lv-chatd --listen "127.0.0.1:$port" --token-secret "$s"
	[ "$stderr" = "lv-chatd: cannot listen on 127.0.0.1:$port: Address already in use" ]
	kill %1
	wait %1
}

# ES256: lv-auth has the private key, lv-chatd only the public one; another library judges.
@test "tokens of a private key are good where the public one is" {
	local d=$BATS_TEST_TMPDIR
	(umask 077; openssl ecparam -name prime256v1 -genkey -noout -out "$d/private.pem" 2>/dev/null)
	openssl ec -in "$d/private.pem" -pubout -out "$d/public.pem" 2>/dev/null
	run -0 lv-auth token alice --token-secret "$d/private.pem" --user 42 --role mod
	local token=$output
	printf '%s' "${token%.*}" >"$d/signed"
	# JWS has r and s side by side (RFC 7518, 3.4), openssl wants them as DER
	/usr/bin/python3 - "$token" >"$d/der" <<-'END'
		import base64, sys
		raw = base64.urlsafe_b64decode(sys.argv[1].split(".")[2] + "==")
		assert len(raw) == 64
		def number(b):
		    b = b.lstrip(b"\0") or b"\0"
		    b = b"\0" + b if b[0] & 0x80 else b
		    return bytes([2, len(b)]) + b
		body = number(raw[:32]) + number(raw[32:])
		sys.stdout.buffer.write(bytes([0x30, len(body)]) + body)
	END
	openssl dgst -sha256 -verify "$d/public.pem" -signature "$d/der" "$d/signed"
	lv-chatd --listen 127.0.0.1:0 --token-secret "$d/public.pem" --events "$d/e" 3>&- &
	local port
	port=$(wait_event "$d/e" 30 '.event == "server.ready"' | jq .port)
	run -0 /usr/bin/python3 - "ws://127.0.0.1:$port/chat?stream=alice&token=$token" <<-'END'
		import asyncio, sys, websockets
		async def main():
		    async with websockets.connect(sys.argv[1]) as ws:
		        print(await ws.recv())
		asyncio.run(main())
	END
	[ "$(jq -r '[.type, .user, .role] | join(" ")' <<<"$output")" = "welcome 42 mod" ]
	kill %1
	wait %1
}

@test "lv-auth token: what is asked for is in it, what cannot be is refused" {
	local s=$BATS_TEST_TMPDIR/s claims
	(umask 077; echo "a secret of thirty-two bytes, no less" >"$s")
	run -0 lv-auth token alice --token-secret "$s" --user 42 --name Zoë --role owner --badge a --badge b \
		--tier 2 --followed 2020-01-01T00:00:00Z --for-s 60
	claims=$(jq -R 'split(".")[1] | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson' <<<"$output")
	[ "$(jq -c '[.iss,.aud,.sub,.name,.stream,.role,.badges,.tier,.followed_at,.exp - .iat]' <<<"$claims")" = \
		'["lv-auth","lv-chatd","42","Zoë","alice","owner",["a","b"],2,1577836800,60]' ]
	run -64 --separate-stderr lv-auth token alice --token-secret "$s"
	[ "$stderr" = "lv-auth: whose token? give --user ID" ]
	run -64 lv-auth token alice --token-secret "$s" --user 1 --role king
	run -64 lv-auth token a/b --token-secret "$s" --user 1
	run -64 lv-auth token --token-secret "$s" --user 1
	run -64 lv-auth token alice --user 1
	run -66 lv-auth token alice --token-secret "$s.none" --user 1
	chmod 644 "$s"
	run -77 lv-auth token alice --token-secret "$s" --user 1
}
