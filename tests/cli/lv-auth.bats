bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	umask 022
}

# publish ID KEY SESSION: a request line.
publish() {
	printf '{"ask":"publish","id":"%s","app":"live","key":"%s","session":"%s"}\n' "$@"
}

notice() {
	printf '{"notice":"%s","session":"%s","broadcast":"%s"}\n' "$@"
}

# The filter as a coprocess: say LINE, then hear the answer in $heard.
open_auth() {
	mkfifo in out
	lv-auth --keys keys "$@" <in >out 2>err 3>&- &
	auth=$!
	exec 7>in 8<out
}

hear() {
	read -rt 20 heard <&8
}

close_auth() {
	exec 7>&-
	local status=0
	wait "$auth" || status=$?
	exec 8<&-
	rm in out
	return "$status"
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
	[ "$stderr" = "lv-auth: which keys? give --keys FILE" ]
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
	key=$(lv-auth --keys keys add alice --user 42 --max-kbps 8000)
	open_auth
	publish 1 "$key" s1 >&7
	hear
	jq -e '.id == "1" and .allow and .stream == "alice" and .user == "42" and .max_kbps == 8000 and
		.epoch == 1 and .resumed == false and (.broadcast | test("^[0-9a-z]{10,26}$"))' <<<"$heard"
	first=$(jq -r .broadcast <<<"$heard")
	notice started s1 "$first" >&7
	publish 2 "$key" s2 >&7
	hear
	[ "$heard" = '{"id":"2","allow":false,"reason":"already publishing","busy":true,"stream":"alice"}' ]
	notice ended s1 "$first" >&7
	publish 3 "$key" s3 >&7
	hear
	jq -e --arg b "$first" '.allow and .resumed and .broadcast == $b and .epoch > 1' <<<"$heard"
	notice started s3 "$first" >&7
	notice ended s3 "$first" >&7
	notice broadcast-ended s3 "$first" >&7
	publish 4 "$key" s4 >&7
	hear
	jq -e --arg b "$first" '.allow and .resumed == false and .broadcast > $b' <<<"$heard"
	publish 5 wrong s5 >&7
	hear
	[ "$heard" = '{"id":"5","allow":false,"reason":"unknown key"}' ]
	close_auth
	[ ! -s err ]
	! grep -F "$key" keys.state
}

@test "killed, it comes back knowing broadcasts and epochs; live and sync rebuild the rest" {
	key=$(lv-auth --keys keys add alice)
	open_auth
	publish 1 "$key" s1 >&7
	hear
	first=$(jq -r .broadcast <<<"$heard")
	notice started s1 "$first" >&7
	publish 2 "$key" s2 >&7
	hear
	kill -9 "$auth"
	close_auth || :
	open_auth
	notice live s1 "$first" >&7
	echo '{"notice":"sync"}' >&7
	publish 3 "$key" s3 >&7
	hear
	jq -e .busy <<<"$heard"
	kill -9 "$auth"
	close_auth || :
	open_auth
	echo '{"notice":"sync"}' >&7
	publish 4 "$key" s4 >&7
	hear
	jq -e --arg b "$first" '.resumed and .broadcast == $b and .epoch == 2' <<<"$heard"
	close_auth
	open_auth --hold-s 0
	publish 5 "$key" s5 >&7
	hear
	jq -e --arg b "$first" '.resumed == false and .broadcast > $b and .epoch == 3' <<<"$heard"
	close_auth
}

@test "bad lines are answered when they have an id, and never end it" {
	key=$(lv-auth --keys keys add alice)
	{
		echo junk
		echo '{"ask":"publish","id":"1","app":7,"key":"x"}'
		printf '{"ask":"publish","id":"2","key":"\xff"}\n'
		echo '{"ask":"play","id":"3"}'
		head -c 100000 /dev/zero | tr '\0' x
		echo
		publish 4 "$key" s
		printf '{"half'
	} | { run -0 --separate-stderr lv-auth --keys keys; printf '%s\n' "$output" >verdicts; printf '%s\n' "$stderr" >said; }
	jq -e -s 'map(.id) == ["1", "2", "3", "4"] and map(.allow) == [false, false, false, true] and
		.[1].reason == "unknown key"' verdicts
	[ "$(grep -c . said)" = 3 ]
	grep -qx 'lv-auth: a line on standard input is over 16 KB' said
	! grep -F "$key" said
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
