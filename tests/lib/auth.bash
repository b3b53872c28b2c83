# lv-auth as a door sees it, on a keys file or on a database: $STORE says on which.
# shellcheck shell=bash
STORE=(--keys keys)

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
	lv-auth "${STORE[@]}" "$@" <in >out 2>err 3>&- &
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

# Verdicts: allowed once, busy, resumed after a drop, new after the end.
verdicts_in_turn() {
	key=$(lv-auth "${STORE[@]}" add alice --user 42 --max-kbps 8000)
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
}

# Killed, it comes back knowing broadcasts and epochs; live and sync rebuild the rest.
verdicts_after_kill() {
	key=$(lv-auth "${STORE[@]}" add alice)
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

# Bad lines are answered when they have an id, and never end it.
verdicts_on_bad_lines() {
	key=$(lv-auth "${STORE[@]}" add alice)
	{
		echo junk
		echo '{"ask":"publish","id":"1","app":7,"key":"x"}'
		printf '{"ask":"publish","id":"2","key":"\xff"}\n'
		echo '{"ask":"play","id":"3"}'
		head -c 100000 /dev/zero | tr '\0' x
		echo
		publish 4 "$key" s
		printf '{"half'
	} | { run -0 --separate-stderr lv-auth "${STORE[@]}"; printf '%s\n' "$output" >verdicts; printf '%s\n' "$stderr" >said; }
	jq -e -s 'map(.id) == ["1", "2", "3", "4"] and map(.allow) == [false, false, false, true] and
		.[1].reason == "unknown key"' verdicts
	[ "$(grep -c . said)" = 3 ]
	grep -qx 'lv-auth: a line on standard input is over 16 KB' said
	! grep -F "$key" said
}
