bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/auth

setup() {
	cd "$BATS_TEST_TMPDIR"
	umask 022
}

@test "--adobe keeps a password's hash beside the key, rotate renews it" {
	key=$(lv-auth --keys keys add alice --adobe)
	hash() { printf 'alicelv%s' "$1" | openssl md5 -binary | base64; }
	grep -q "^alice sha256:[0-9a-f]* adobe=$(hash "$key")$" keys
	run -0 lv-auth --keys keys list
	[[ $output == *"... adobe" ]]
	key=$(lv-auth --keys keys rotate alice)
	grep -q "adobe=$(hash "$key")$" keys
	run -64 --separate-stderr lv-auth --keys keys rotate alice --adobe
	[ "$stderr" = "lv-auth: --adobe goes with add only" ]
}

@test "add prints a key alone, keeps its digest alone, in a file of mode 0600" {
	run -0 --separate-stderr lv-auth --keys keys add alice --user 42 --max-kbps 8000
	[[ $output =~ ^[0-9a-z]{32}$ ]]
	[ "$(stat -c %a keys)" = 600 ]
	[ "$(cat keys)" = "alice sha256:$(printf %s "$output" | sha256sum | cut -d ' ' -f 1) user=42 max_kbps=8000" ]
}

@test "check reads a key from standard input: 0 and the stream, or 1 and the same words for all" {
	key=$(lv-auth --keys keys add alice)
	old=$(lv-auth --keys keys add bob --until 2001-01-01T00:00:00Z)
	other=$(lv-auth --keys keys add carol --app studio)
	off=$(lv-auth --keys keys add dave)
	lv-auth --keys keys revoke dave
	run -0 --separate-stderr lv-auth --keys keys check <<<"$key"
	[ "$output" = alice ]
	for no in wrong "$old" "$off" '' "$(printf '%300s' x)"; do
		run -1 --separate-stderr lv-auth --keys keys check <<<"$no"
		[ "$stderr" = "lv-auth: unknown key" ]
	done
	run -1 lv-auth --keys keys check --app live <<<"$other"
	run -0 lv-auth --keys keys check --app studio <<<"$other"
	run -1 --separate-stderr lv-auth --verbose --keys keys check <<<"$old"
	[ "${stderr_lines[0]}" = "lv-auth: the key has expired" ]
}

@test "list, revoke and rotate; comments stay" {
	key=$(lv-auth --keys keys add alice --user 42)
	sed -i '1i # ours' keys
	new=$(lv-auth --keys keys rotate alice)
	run -1 lv-auth --keys keys check <<<"$key"
	run -0 lv-auth --keys keys check <<<"$new"
	run -0 lv-auth --keys keys list
	[[ $output =~ ^alice\ sha256:[0-9a-f]{8}\.\.\.\ user=42$ ]]
	lv-auth --keys keys revoke alice
	run -1 lv-auth --keys keys check <<<"$new"
	run -1 --separate-stderr lv-auth --keys keys revoke alice
	[ "$stderr" = "lv-auth: no key of alice is in force in keys" ]
	run -1 lv-auth --keys keys rotate alice
	[ "$(head -n 1 keys)" = "# ours" ]
}

@test "twenty adds at once lose none" {
	for i in {1..20}; do
		lv-auth --keys keys add "s$i" >"shown$i" 3>&- &
	done
	wait
	[ "$(lv-auth --keys keys list | wc -l)" = 20 ]
	[ "$(cat shown* | sort -u | wc -l)" = 20 ]
}

@test "wrong use and bad files: a clear message and its status" {
	run -64 --separate-stderr lv-auth
	[ "$stderr" = "lv-auth: which keys? give --keys FILE or --db URL" ]
	run -64 lv-auth --keys keys frob
	run -64 lv-auth --keys keys add
	run -64 lv-auth --keys keys add ../x
	run -64 lv-auth --keys keys add alice --until tomorrow
	run -64 lv-auth --keys keys check secret
	[[ $output != *secret* ]]
	run -66 --separate-stderr lv-auth --keys keys list
	[ "$stderr" = "lv-auth: cannot open keys: No such file or directory" ]
	run -66 lv-auth --keys keys revoke alice
	[ ! -e keys.lock ]
	lv-auth --keys keys add alice
	chmod 640 keys
	for command in list check 'add bob' ''; do
		run -77 --separate-stderr lv-auth --keys keys $command </dev/null
		[[ $stderr = *'chmod 600 keys'* ]]
	done
	chmod 600 keys
	echo 'bob sha256:12' >>keys
	run -78 --separate-stderr lv-auth --keys keys </dev/null
	[ "$stderr" = "lv-auth: keys:2: the second word is not sha256: and 64 hexadecimal digits" ]
}

@test "a key that nobody saw is told of" {
	run -74 --separate-stderr bash -c 'lv-auth --keys keys add alice >/dev/full'
	[ "$stderr" = "lv-auth: cannot write to standard output; nobody has seen the new key of alice: rotate it" ]
}

@test "verdicts: allowed once, busy, resumed after a drop, new after the end" {
	verdicts_in_turn
	! grep -F "$key" keys.state
}

@test "killed, it comes back knowing broadcasts and epochs; live and sync rebuild the rest" {
	verdicts_after_kill
}

@test "bad lines are answered when they have an id, and never end it" {
	verdicts_on_bad_lines
}

@test "a changed keys file counts at once; a revoked stream is kicked, a broken file changes nothing" {
	key=$(lv-auth --keys keys add alice)
	open_auth --events events
	bob=$(lv-auth --keys keys add bob)
	publish 1 "$bob" s1 >&7
	hear
	jq -e .allow <<<"$heard"
	notice started s1 "$(jq -r .broadcast <<<"$heard")" >&7
	chmod 644 keys
	wait_event events 20 '.event == "keys.rejected"'
	publish 2 "$key" s2 >&7
	hear
	jq -e .allow <<<"$heard"
	chmod 600 keys
	lv-auth --keys keys revoke bob
	hear
	[ "$heard" = '{"kick":{"stream":"bob"},"reason":"the key was revoked"}' ]
	close_auth
}

@test "a second one on the same state waits, says so and exits 75" {
	lv-auth --keys keys add alice
	open_auth
	publish 1 x s >&7
	hear
	run -75 --separate-stderr lv-auth --keys keys </dev/null
	[ "$stderr" = "lv-auth: cannot use keys.state: another lv-auth is at it" ]
	close_auth
}

@test "once it has answered, no key is left in its memory" {
	lv-auth --keys keys add alice >key
	python3 - <<-'END'
		import json, os, subprocess
		key = open("key").read().strip()
		p = subprocess.Popen(["lv-auth", "--keys", "keys"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		for i in range(5):
		    ask = {"ask": "publish", "id": str(i), "app": "live", "key": key, "session": f"s{i}"}
		    p.stdin.write(json.dumps(ask).encode() + b"\n")
		    p.stdin.flush()
		    answer = json.loads(p.stdout.readline())
		    assert answer["allow"] == (i == 0), answer
		# The last one, whose line is taken away when it has been answered.
		p.stdin.write(b'{"notice":"sync"}\n{"ask":"none","id":"9"}\n')
		p.stdin.flush()
		p.stdout.readline()
		found = 0
		with open(f"/proc/{p.pid}/maps") as maps, open(f"/proc/{p.pid}/mem", "rb") as memory:
		    for line in maps:
		        low, high = (int(n, 16) for n in line.split()[0].split("-"))
		        if "rw" not in line.split()[1] or high - low > 1 << 28:
		            continue
		        try:
		            memory.seek(low)
		            found += memory.read(high - low).count(key[16:].encode())  # the beginning may be written over
		        except OSError:
		            continue
		p.stdin.close()
		assert p.wait() == 0
		assert found == 0, found
	END
}
