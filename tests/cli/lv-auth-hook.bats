bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/auth

setup() {
	cd "$BATS_TEST_TMPDIR"
	echo hush >secret
	chmod 600 secret
	python3 "$ROOT/tests/lib/backend.py" asked hush >port 3>&- &
	backend=$!
	eventually 20 test -s port
	URL=http://127.0.0.1:$(<port)
	STORE=(--hook "$URL/srs" --hook-private --state state)
}

teardown() {
	kill "$backend" ${door:-} 2>/dev/null || :
	wait
}

# ask ID NAME QUERY SESSION: a question with a query.
ask() {
	printf '{"ask":"publish","id":"%s","app":"live","key":"%s","query":"%s","session":"%s","tcurl":"rtmp://h/live","remote":"203.0.113.9:50122","client":"FMLE/3.0"}\n' "$@"
}

@test "SRS: what the back end reads, and both of its answers in each form" {
	for path in srs srs-plain srs-201; do
		{
			ask 1 alice token=good s1
			ask 2 bob token=bad s2
		} | lv-auth --hook "$URL/$path" --hook-private --state "$path.state" >said
		jq -s -e 'sort_by(.id) | .[0].allow and .[0].stream == "alice" and .[0].epoch == 1 and
			.[1] == {"id":"2","allow":false,"reason":"not allowed"}' said
	done
	[ "$(jq -c 'select(.path == "/srs" and .facts.stream == "alice") | .facts | del(.server_id, .service_id, .stream_id)' asked)" = \
		'{"action":"on_publish","client_id":"s1","ip":"203.0.113.9","vhost":"__defaultVhost__","app":"live","tcUrl":"rtmp://h/live","stream":"alice","param":"?token=good","stream_url":"/live/alice"}' ]
}

@test "a refusal takes the reservation back: the next is judged anew, the stream is free" {
	open_auth
	ask 1 alice token=bad s1 >&7
	hear
	ask 2 alice token=good s2 >&7
	hear
	jq -e '.allow and .resumed == false' <<<"$heard"
	notice started s2 "$(jq -r .broadcast <<<"$heard")" >&7
	ask 3 alice token=good s3 >&7
	hear
	jq -e .busy <<<"$heard"
	[ "$(jq -s length asked)" = 2 ] # about a stream that is taken nobody is asked
	close_auth
}

@test "nginx-rtmp: a form, with the publisher's query but without what passes for ours" {
	{
		ask 1 alice 'token=good&name=other&n%61me=x&call=play' s1
		ask 2 bob 'x=1' s2
	} | lv-auth --hook "$URL/nginx" --hook-format nginx --hook-private --state state >said
	jq -s -e 'sort_by(.id) | map(.allow) == [true, false]' said
	jq -s -e 'map(select(.facts.name == ["alice"]))[0] | .type == "application/x-www-form-urlencoded" and (.facts | .call == ["publish"] and
		.app == ["live"] and .addr == ["203.0.113.9"] and .clientid == ["s1"] and .flashver == ["FMLE/3.0"] and
		.tcurl == ["rtmp://h/live"] and .token == ["good"])' asked
}

@test "our own JSON: signed, and the reason goes to the publisher" {
	{
		ask 1 alice token=good s1
		ask 2 bob token=bad s2
	} | lv-auth --hook "$URL/json" --hook-format json --hook-secret-file secret --hook-private --state state >said
	jq -s -e 'sort_by(.id) | .[0].allow and .[1].reason == "no subscription"' said
	jq -s -e 'all(.[]; .signed) and any(.[]; .facts.ask == "publish" and .facts.session == "s1" and
		.facts.remote == "203.0.113.9:50122" and (.facts.broadcast | length >= 10))' asked
}

@test "behind a keys file: the keys are asked first, and the key goes nowhere" {
	key=$(lv-auth --keys keys add alice --user 42)
	STORE=(--keys keys --hook "$URL/srs" --hook-private)
	open_auth
	ask 1 wrong token=good s1 >&7
	hear
	[ "$heard" = '{"id":"1","allow":false,"reason":"unknown key"}' ]
	[ ! -s asked ]
	ask 2 "$key" token=bad s2 >&7
	hear
	[ "$heard" = '{"id":"2","allow":false,"reason":"not allowed"}' ]
	ask 3 "$key" token=good s3 >&7
	hear
	jq -e '.allow and .stream == "alice" and .user == "42"' <<<"$heard"
	close_auth
	run ! grep -F "$key" asked err
}

@test "no answer, a late one, a redirect, nobody there, a private address: refused in time" {
	for path in slow silent redirect; do
		began=$(date +%s%3N)
		ask 1 alice token=good s1 | lv-auth --hook "$URL/$path" --hook-private --state state >said 2>err
		(($(date +%s%3N) - began < 5000)) # 3 s, and what a busy machine adds
		jq -e '.allow == false' said
	done
	[ "$(jq -s 'map(select(.path == "/srs")) | length' asked)" = 0 ]
	run -0 --separate-stderr lv-auth --hook http://127.0.0.1:1/ --hook-private --state state <<<"$(ask 1 alice token=good s1)"
	[ "$output" = '{"id":"1","allow":false,"reason":"try again later"}' ]
	[[ $stderr == "lv-auth: cannot ask http://127.0.0.1:1/: "*"; publishers are refused" ]]
	: >asked
	for host in 127.0.0.1 localhost '[::ffff:127.0.0.1]' 0x7f.1; do
		run -0 --separate-stderr lv-auth --hook "http://$host:$(<port)/srs" --state state <<<"$(ask 1 alice token=good s1)"
		[ "$output" = '{"id":"1","allow":false,"reason":"try again later"}' ]
		[[ $stderr == *'its address is a private one'* ]]
	done
	[ ! -s asked ]
}

@test "wrong use: a message, and 64" {
	run -64 --separate-stderr lv-auth --hook "$URL/srs"
	[ "$stderr" = "lv-auth: --hook alone: where are the broadcasts kept? give --state PATH" ]
	run -64 lv-auth --hook ftp://h/ --state state
	run -64 --separate-stderr lv-auth --hook http://lv:hush@h/ --state state
	[[ $stderr != *hush* ]]
	run -64 lv-auth --hook http://h/ --hook-format xml --state state
	run -64 lv-auth --keys keys --hook-private
	chmod 644 secret
	run -77 lv-auth --hook http://h/ --hook-secret-file secret --state state
}

@test "publishers at the door: a back end written for SRS lets one in and refuses the other" {
	printf '#!/bin/sh\nexec cat >"$LV_STREAM.flv"\n' >program
	chmod +x program
	rtmp-accept --listen 127.0.0.1:0 --run-dir run --grace-ms 100 --events events \
		--auth "lv-auth --hook $URL/srs --hook-private --state state" -- ./program 2>door.err 3>&- &
	door=$!
	port=$(wait_event events 20 '.event == "server.ready" and .proto == "rtmp"' | jq .port)
	publish_to() {
		timeout 30 ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=15:d=2 -f lavfi -i sine=d=2 \
			-c:v libx264 -preset ultrafast -g 15 -c:a aac -f flv "rtmp://127.0.0.1:$port/live/$1"
	}
	publish_to 'alice?token=good'
	run ! publish_to 'bob?token=bad'
	wait_event events 20 '.event == "publish.refused" and .reason == "not allowed"'
	wait_event events 20 '.event == "broadcast.ended" and .stream == "alice"'
	ffprobe -v error -show_entries stream=codec_name -of csv=p=0 alice.flv | grep -q h264
	[ ! -e bob.flv ]
}
