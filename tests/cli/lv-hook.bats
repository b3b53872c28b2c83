bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	echo hush >secret
	chmod 600 secret
	start_backend 0
}

teardown() {
	kill $backend ${hook:-} 2>/dev/null || :
	wait
}

# start_backend PORT: 0 takes any.
start_backend() {
	rm -f port.new
	python3 "$ROOT/tests/lib/backend.py" asked hush "$1" >port.new 3>&- 7>&- &
	backend=$!
	eventually 20 test -s port.new
	port=$(<port.new)
	URL=http://127.0.0.1:$port
}

event() { # NAME FIELDS
	printf '{"ts":"2026-01-01T00:00:00.000Z","src":"t","event":"%s",%s}\n' "$@"
}

@test "wrong use: a message, and its status" {
	run -64 lv-hook
	run -64 lv-hook ftp://h/
	run -64 lv-hook --format xml http://h/
	run -64 --separate-stderr lv-hook http://lv:hush@h/
	[[ $stderr != *hush* ]]
	chmod 640 secret
	run -77 lv-hook --hook-secret-file secret http://h/ </dev/null
	(umask 077; echo >empty)
	run -66 --separate-stderr lv-hook --hook-secret-file empty http://h/ </dev/null
	[ "$stderr" = "lv-hook: cannot read empty: No data available" ]
	echo nonsense >queue
	chmod 600 queue
	run -65 --separate-stderr lv-hook --queue queue http://h/ </dev/null
	[ "$stderr" = "lv-hook: cannot read queue: it is no queue of lv-hook" ]
}

@test "our own JSON: every event as it is, in order, signed, named" {
	for i in {1..100}; do event some.thing "\"n\":$i"; done >events
	lv-hook --hook-private --hook-secret-file secret "$URL/json" <events
	jq -c .facts asked | diff -u - events
	jq -s -e 'all(.[]; .signed and .type == "application/json") and (map(.id) | unique | length) == 100' asked
	[ "$(jq -r .id asked | head -n 1)" = "$(head -n 1 events | tr -d '\n' | sha256sum | head -c 32)" ]
}

@test "what it says itself comes in again and is not told: a refusal does not breed refusals" {
	touch events
	mkfifo fifo
	tail -n +1 -f events >fifo 3>&- &
	local reader=$!
	lv-hook --hook-private --events events "$URL/gone" <fifo 2>err 3>&- &
	hook=$!
	event some.thing '"n":1' >>events
	wait_event events 20 '.event == "hook.dropped"'
	event some.thing '"n":2' >>events
	eventually 20 eval '[ "$(grep -c hook.dropped events)" = 2 ]'
	event some.thing '"n":3' >>events
	eventually 20 eval '[ "$(wc -l <asked)" = 3 ]'
	kill "$reader"
	wait "$hook"
	[ "$(jq -c .facts.n asked | xargs)" = "1 2 3" ]
}

@test "SRS: on_unpublish, on_play, on_stop, on_hls, as its back ends read them" {
	{
		event publish.started '"stream":"alice","broadcast":"01kat3y000","session":"s1","app":"live","remote":"[2001:db8::1]:7","client":"OBS"'
		event segment.written '"stream":"alice","broadcast":"01kat3y000","track":"720p","seq":42,"path":"720p/01kat3y000-1-42.m4s","dur_ms":2000'
		event playlist.written '"stream":"alice"'
		event play.started '"stream":"alice","remote":"203.0.113.9:5","agent":"vlc","session":"v1"'
		event play.ended '"stream":"alice","remote":"203.0.113.9:5","agent":"vlc","session":"v1"'
		event publish.ended '"stream":"alice","broadcast":"01kat3y000","session":"s1","remote":"[2001:db8::1]:7"'
	} | lv-hook --hook-private --format srs --cwd /srv/live "$URL/srs"
	[ "$(jq -r .facts.action asked | xargs)" = "on_publish on_hls on_play on_stop on_unpublish" ]
	jq -s -e '.[0].facts as $p | $p.client_id == "s1" and $p.ip == "2001:db8::1" and $p.stream_url == "/live/alice" and
		.[4].facts.client_id == "s1" and .[2].facts.client_id == "v1" and .[3].facts.client_id == "v1" and .[4].facts.app == "live" and (.[2].facts | has("pageUrl")) and
		(.[1].facts | .duration == 2 and .file == "alice/720p/01kat3y000-1-42.m4s" and .seq_no == 42 and
			.m3u8 == "alice/720p/index.m3u8" and .cwd == "/srv/live")' asked
}

@test "nginx-rtmp: publish_done and play as forms; --event picks" {
	{
		event publish.started '"stream":"alice","session":"s1","app":"live"'
		event publish.ended '"stream":"alice","session":"s1"'
		event segment.written '"stream":"alice"'
	} | lv-hook --hook-private --format nginx --event publish.ended "$URL/nginx?token=good"
	[ "$(jq -c '[.facts.call, .facts.name, .facts.clientid]' asked)" = '[["publish_done"],["alice"],["s1"]]' ]
}

@test "every call of SRS and of nginx-rtmp: in one URL as the main ones, or each in its own by --call" {
	{
		event publish.started '"stream":"alice","broadcast":"01kat3y000","session":"s1","app":"live","remote":"203.0.113.9:7"'
		event play.started '"stream":"alice","remote":"203.0.113.9:5","agent":"vlc"'
		event publish.ended '"stream":"alice","session":"s1","remote":"203.0.113.9:7","size_bytes":4711'
		event vod.ready '"stream":"alice","broadcast":"01kat3y000","path":"archive/alice/01kat3y000/recording.mp4"'
	} >events
	tell() {
		: >asked
		lv-hook --hook-private --format "$@" <events
	}
	tell srs "$URL/srs"
	[ "$(jq -r .facts.action asked | xargs)" = "on_publish on_play on_unpublish on_dvr" ]
	jq -s -e '.[3].facts | .file == "archive/alice/01kat3y000/recording.mp4" and .stream == "alice" and .vhost == "__defaultVhost__"' asked
	tell srs --call on_connect "$URL/srs"
	[ "$(jq -c '.facts | [.action, .client_id, .ip, .app, .pageUrl, .stream]' asked)" = '["on_connect","s1","203.0.113.9","live","",null]' ]
	tell srs --call on_close "$URL/srs"
	[ "$(jq -c '.facts | [.action, .client_id, .send_bytes, .recv_bytes]' asked)" = '["on_close","s1",0,4711]' ]
	tell nginx "$URL/nginx?token=good"
	[ "$(jq -r '.facts.call[0]' asked | xargs)" = "publish play publish_done record_done" ]
	jq -s -e '.[1].facts | .start == ["0"] and .duration == ["0"] and .reset == ["0"]' asked
	jq -s -e '.[3].facts | .path == ["archive/alice/01kat3y000/recording.mp4"] and .name == ["alice"] and .recorder == [""]' asked
	tell nginx --call disconnect "$URL/nginx?token=good"
	[ "$(jq -c '[.facts.call, .facts.clientid, .facts.name]' asked)" = '[["disconnect"],["s1"],null]' ]
	run -64 --separate-stderr lv-hook --format srs --call publish http://h/
	[ "$stderr" = 'lv-hook: --call publish: no call of --format srs that is told; "man lv-hook" lists them' ]
	run -64 lv-hook --call on_close http://h/
}

@test "a back end that fails is asked again; one that refuses is not" {
	event some.thing '"n":1' | lv-hook --hook-private --events out "$URL/down"
	[ "$(jq -s length asked)" = 3 ]
	[ "$(jq -s 'map(.id) | unique | length' asked)" = 1 ]
	[ "$(jq -r .event out | xargs)" = "hook.stalled hook.resumed" ]
	: >asked
	{
		event some.thing '"n":1'
		event some.thing '"n":2'
	} | lv-hook --hook-private --format json "$URL/gone" 2>err
	[ "$(jq -s length asked)" = 2 ]
	[ "$(grep -c 'does not take an event: status 410' err)" = 2 ]
}

@test "nobody there: what waits is kept, in order, over kill -9 and the end, until it was told" {
	kill "$backend"
	wait "$backend" || :
	mkfifo pipe
	lv-hook --hook-private --queue queue "$URL/json" <pipe 2>err 3>&- &
	hook=$!
	exec 7>pipe
	for i in {1..50}; do event some.thing "\"n\":$i"; done >&7
	eventually 20 grep -q '"n":50' queue
	[ "$(stat -c %a queue)" = 600 ]
	run -75 lv-hook --queue queue "$URL/json" </dev/null
	kill -9 "$hook"
	wait "$hook" || :
	exec 7>&-
	event some.thing '"n":51' | lv-hook --hook-private --queue queue "$URL/json" 2>err
	grep -q '51 events are kept in queue' err
	event some.thing '"n":52' | { run -75 --separate-stderr lv-hook --hook-private "$URL/json"; [[ $stderr == *'1 events were not told'* ]]; }
	start_backend "$port"
	lv-hook --hook-private --queue queue "$URL/json" </dev/null
	[ "$(jq -r .facts.n asked | xargs)" = "$(seq -s ' ' 51)" ]
	[ "$(wc -l <queue)" = 1 ]
}

@test "a start on a full disk loses nothing of what waits" {
	kill "$backend"
	wait "$backend" || :
	for i in {1..50}; do event some.thing "\"n\":$i"; done >events
	lv-hook --hook-private --queue queue "$URL/json" <events
	(trap '' XFSZ; ulimit -f 1; exec lv-hook --hook-private --queue queue "$URL/json" </dev/null 2>&1) | cat >err
	grep -q 'cannot write queue' err
	start_backend "$port"
	lv-hook --hook-private --queue queue "$URL/json" </dev/null
	jq -c .facts asked | diff -u - events
}

@test "the queue is bounded: the oldest go, and are counted" {
	kill "$backend"
	wait "$backend" || :
	pad=$(printf '%1000s' x)
	for i in {1..1200}; do event some.thing "\"n\":$i,\"pad\":\"$pad\""; done |
		lv-hook --hook-private --queue queue --queue-mb 1 --events out "$URL/json" 2>err
	dropped=$(jq -s 'map(select(.event == "hook.dropped").count) | add' out)
	((dropped > 100 && dropped < 600))
	start_backend "$port"
	: >asked
	timeout 60 lv-hook --hook-private --queue queue "$URL/json" </dev/null || :
	local n
	n=$(jq -s length asked)
	((n >= 100))
	[ "$(jq -r .facts.n asked | sed -n 2p)" -gt 100 ]
}

@test "private addresses are not told, redirects not followed" {
	event some.thing '"n":1' | { run -0 --separate-stderr lv-hook --queue queue2 "http://localhost:$port/json"; [[ $stderr == *'its address is a private one'* ]]; }
	[ ! -s asked ]
	event some.thing '"n":1' | lv-hook --hook-private --queue queue "$URL/redirect"
	[ "$(jq -s 'map(select(.path != "/redirect")) | length' asked)" = 0 ]
}
