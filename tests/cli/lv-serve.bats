bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	mkdir -p root/live/demo/source player
	printf '<!doctype html><title>watch</title>' >player/watch.html
	printf '<!doctype html><title>index</title>' >player/index.html
	printf '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsource/index.m3u8\n' >root/live/demo/master.m3u8
	{
		printf '#EXTM3U\n#EXT-X-TARGETDURATION:2\n'
		for i in {1..40}; do printf '#EXTINF:2.000,\n0123456789-1-%d.m4s\n' "$i"; done
	} >root/live/demo/source/index.m3u8
	head -c 100000 /dev/urandom >root/live/demo/source/0123456789-1-1.m4s
	printf '{"stream":"demo","broadcast":"0123456789","origin_ms":1,"live":true}' \
		>root/live/demo/stream.json
	printf '{}' >root/live/demo/.state.json
	printf secret >secret.m4s
}

teardown() {
	[ -z "${PID-}" ] || kill "$PID" 2>/dev/null || :
	[ -z "${BACK-}" ] || kill "$BACK" 2>/dev/null || :
	[ -z "${FRONT-}" ] || kill "$FRONT" 2>/dev/null || :
}

serve() {
	lv-serve --root root --player player --listen 127.0.0.1:0 --events events "$@" \
		>out 2>&1 3>&- &
	PID=$!
	PORT=$(wait_event events 10 '.event == "server.ready"' | jq .port)
	U=http://127.0.0.1:$PORT
}

status() {
	curl -s --path-as-is -o /dev/null -w '%{http_code}' "$@"
}

header() { # NAME CURL-ARGUMENT...: that header's value
	local name=$1
	shift
	curl -s -D - -o /dev/null "$@" | tr -d '\r' | sed -n "s/^$name: //Ip"
}

@test "files come whole, labelled, and with the time they may be kept" {
	serve
	curl -s "$U/live/demo/source/0123456789-1-1.m4s" | cmp - root/live/demo/source/0123456789-1-1.m4s
	S=$U/live/demo/source
	[ "$(header cache-control "$S/0123456789-1-1.m4s")" = "public, max-age=86400, immutable" ]
	[ "$(header cache-control "$S/index.m3u8")" = "public, max-age=1" ]
	[ "$(header cache-control "$S/none.m4s")" = "public, max-age=1" ]
	[ "$(header content-type "$S/index.m3u8")" = application/vnd.apple.mpegurl ]
	[ "$(header access-control-allow-origin "$S/index.m3u8")" = "*" ]
	[ "$(status "$S/none.m4s")" = 404 ]
	[ "$(status -X POST -d x "$S/index.m3u8")" = 405 ]
	[ "$(status -X OPTIONS "$S/index.m3u8")" = 204 ]
	[ "$(curl -sI "$S/0123456789-1-1.m4s" | tr -d '\r' | sed -n 's/^Content-Length: //p')" = 100000 ]
}

@test "byte ranges: a part, the end, beyond, and several at once" {
	serve
	F=root/live/demo/source/0123456789-1-1.m4s S=$U/live/demo/source/0123456789-1-1.m4s
	curl -s -r 100-299 "$S" | cmp - <(tail -c +101 $F | head -c 200)
	curl -s -r -50 "$S" | cmp - <(tail -c 50 $F)
	[ "$(header content-range -r 99990- "$S")" = "bytes 99990-99999/100000" ]
	[ "$(status -r 100000- "$S")" = 416 ]
	[ "$(status -r 0-1,5-6 "$S")" = 200 ]
	[ "$(status -r 0-1 -H 'If-Range: "other"' "$S")" = 200 ]
	[ "$(status -r 0-1 -H "If-Range: $(header etag "$S")" "$S")" = 206 ]
}

@test "conditions and gzip, once a version" {
	serve
	S=$U/live/demo/source/index.m3u8
	curl -s --compressed "$S" | cmp - root/live/demo/source/index.m3u8
	[ "$(header content-encoding --compressed "$S")" = gzip ]
	[ -z "$(header content-encoding "$S")" ]
	tag=$(header etag --compressed "$S") plain=$(header etag "$S")
	[ "$tag" != "$plain" ]
	[ "$(status --compressed -H "If-None-Match: $tag" "$S")" = 304 ]
	[ "$(status -H "If-None-Match: $plain" "$S")" = 304 ]
	[ "$(status -H 'If-None-Match: "x"' "$S")" = 200 ]
	[ "$(status -H "If-Modified-Since: $(header last-modified "$S")" "$S")" = 304 ]
	[ "$(status -H "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" "$S")" = 200 ]
	printf '#EXTM3U\n#new\n' >root/live/demo/source/.x.tmp
	mv root/live/demo/source/.x.tmp root/live/demo/source/index.m3u8
	eventually 5 bash -c "curl -s $S | grep -q '#new'"
	[ "$(status -H "If-None-Match: $plain" "$S")" = 200 ]
}

@test "there is no way out of the folder" {
	ln -s ../../../secret.m4s root/live/demo/link.m4s
	ln -s ../.. root/live/up
	mkfifo root/live/demo/fifo.m4s
	printf x >root/live/demo/left.m4s.tmp
	serve
	for p in /../secret.m4s /live/../../secret.m4s /live/demo/../../../secret.m4s \
		/live/%2e%2e/%2e%2e/secret.m4s /live/..%2f..%2fsecret.m4s '/live/..\..\secret.m4s' \
		//etc/passwd /live//etc/passwd /live/demo/link.m4s /live/up/secret.m4s /secret.m4s \
		/live/demo/.state.json /live/demo/%2estate.json /live/demo/left.m4s.tmp /live/demo/fifo.m4s \
		/live/demo/ /live/demo /live /player/../events /player/../watch.html \
		/live/demo/stream.json%00.m4s /watch/../x /watch/a.b "/live/$(printf 'a%.0s' {1..3000})"; do
		code=$(status "$U$p")
		case $code in 400 | 404 | 414) ;; *) echo "$p: $code" && return 1 ;; esac
	done
	[ "$(status "$U/live/demo/stream.json")" = 200 ]
}

@test "pages, what is live, health" {
	serve
	[[ $(curl -s "$U/") = *index* ]]
	[[ $(curl -s "$U/watch/demo") = *watch* ]]
	[[ $(header content-security-policy "$U/watch/demo") = *"script-src 'self';"* ]]
	[ "$(curl -s "$U/streams.json" | jq -r '.streams[].stream')" = demo ]
	[ "$(curl -s "$U/healthz" | jq -r .status)" = ok ]
}

@test "a viewer is told of once, and again when the server ends" {
	serve
	for _ in 1 2 3; do curl -s -A tv -o /dev/null "$U/live/demo/source/index.m3u8"; done
	wait_event events 10 '.event == "play.started" and .stream == "demo" and .agent == "tv"'
	kill "$PID"
	wait "$PID"
	PID=
	[ "$(jq -s 'map(select(.event == "play.started")) | length' events)" = 1 ]
	[ "$(jq -s 'map(select(.event == "play.ended")) | length' events)" = 1 ]
	# a back end that is told knows by it who has gone
	jq -s -e 'map(select(.event | startswith("play.")).session) | .[0] == .[1] and (.[0] | test("^[0-9a-f]{16}$"))' events
}

@test "SIGTERM lets a response finish" {
	head -c 20000000 /dev/zero >root/live/demo/source/big.m4s
	serve
	curl -s --limit-rate 20M -o got "$U/live/demo/source/big.m4s" 3>&- &
	client=$!
	eventually 10 test -s got
	kill "$PID"
	wait "$PID"
	PID=
	wait "$client"
	cmp got root/live/demo/source/big.m4s
}

@test "TLS with a certificate of ours" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
	chmod 644 key.pem
	run -77 --separate-stderr lv-serve --root root --listen 127.0.0.1:0 --player player --cert cert.pem \
		--key key.pem
	[[ $stderr = *"can be read by others"* ]]
	chmod 600 key.pem
	serve --cert cert.pem --key key.pem
	curl -s --cacert cert.pem "https://127.0.0.1:$PORT/live/demo/source/0123456789-1-1.m4s" |
		cmp - root/live/demo/source/0123456789-1-1.m4s
}

@test "wrong options say what and why" {
	run -64 --separate-stderr lv-serve --root root
	run -64 --separate-stderr lv-serve --root root --listen nowhere
	[ "$stderr" = 'lv-serve: --listen nowhere: not ADDR:PORT' ] || [[ $stderr = *"not ADDR:PORT" ]]
	run -66 --separate-stderr lv-serve --root /no/such --listen 127.0.0.1:0
	[ "$stderr" = "lv-serve: cannot open /no/such: No such file or directory" ]
	serve
	run -69 --separate-stderr lv-serve --root root --player player --listen "127.0.0.1:$PORT"
	[[ $stderr = *"cannot listen on 127.0.0.1:$PORT: Address already in use" ]]
}

@test "with a secret a stream is there for those who have a link, until it is over" {
	head -c 20 /dev/urandom | xxd -p >secret
	chmod 644 secret
	run -77 --separate-stderr lv-serve --root root --player player --listen 127.0.0.1:0 --token-secret secret
	[[ $stderr == *'secret can be read by others: chmod 600 secret'* ]]
	chmod 600 secret
	(umask 077 && echo short >short)
	run -65 --separate-stderr lv-serve --root root --player player --listen 127.0.0.1:0 --token-secret short
	[[ $stderr == *'short is not a secret of 16 bytes or more'* ]]
	mkdir root/live/other
	echo '#EXTM3U' >root/live/other/master.m3u8
	serve --token-secret secret
	# The manual's own lines make the link.
	sed -n '/^exp=/,/^echo/p' "$ROOT/man/lv-serve.1" | sed 's/alice/demo/g; s/\\e$/\\/' >link
	sed -n '/^exp=/,/^mac=.*/p' link | grep -q exp=
	P=$(bash link | sed 's|http://tv.example:8080\(.*\)/watch/demo|\1|')
	[[ $P == /p/*/* ]]
	[ "$(status "$U$P/live/demo/master.m3u8")" = 200 ]
	[ "$(status -r 0-9 "$U$P/live/demo/source/0123456789-1-1.m4s")" = 206 ]
	[ "$(status -I "$U$P/live/demo/source/index.m3u8")" = 200 ]
	[ "$(status "$U$P/watch/demo")" = 200 ]
	[ "$(curl -s "$U/streams.json")" = '{"streams":[]}' ]
	local exp=${P#/p/} mac=${P##*/} bad
	exp=${exp%/*}
	for bad in /live/demo/master.m3u8 "$P/live/other/master.m3u8" "$P/live/demo/../other/master.m3u8" "/p/$exp/live/demo/master.m3u8" \
		"/p/$((exp + 1))/$mac/live/demo/master.m3u8" "/p/$exp/${mac%?}x/live/demo/master.m3u8" "/p/$exp/${mac^^}/live/demo/master.m3u8" \
		"/p/$exp/$mac/$P/live/demo/master.m3u8" "/p//$mac/live/demo/master.m3u8" "/p/$exp/$mac/master.m3u8" /%6cive/demo/master.m3u8 \
		//live/demo/master.m3u8 /p/../live/demo/master.m3u8 /p/%2e%2e/live/demo/master.m3u8 /live/demo/source/0123456789-1-1.m4s; do
		[[ $(status "$U$bad") == 40[034] ]] || { echo "$bad: $(status "$U$bad")"; false; }
		[[ $(status -r 0-3 "$U$bad") == 40[034] ]]
	done
	exp=$(($(date +%s) - 1))
	mac=$(printf %s "$exp/demo" | openssl dgst -sha256 -hmac "$(cat secret)" | sed 's/.* //')
	[ "$(curl -s "$U/p/$exp/$mac/live/demo/master.m3u8")" = "this link is no longer good" ]
	[ "$(status "$U/p/$exp/$mac/live/demo/master.m3u8")" = 403 ]
}

@test "the archive is there when it is asked for, and then its pages are" {
	mkdir -p root/archive/demo/0123456789/source
	printf '#EXTM3U\n' >root/archive/demo/0123456789/vod.m3u8
	head -c 1000 /dev/urandom >root/archive/demo/0123456789/source/a.m4s
	serve
	[ "$(status "$U/archive/demo/0123456789/vod.m3u8")" = 404 ]
	[ "$(status "$U/watch/demo/0123456789")" = 404 ]
	kill "$PID" && rm events
	serve --archive
	[ "$(status "$U/archive/demo/0123456789/vod.m3u8")" = 200 ]
	[ "$(status -r 0-9 "$U/archive/demo/0123456789/source/a.m4s")" = 206 ]
	[ "$(status "$U/watch/demo/0123456789")" = 200 ]
	[ "$(status "$U/watch/demo/0123456789/x")" = 404 ]
	[ "$(status "$U/archive/")" = 404 ]
	echo '{"stream":"demo","started_at":"2026-01-02T03:04:05.678Z","live":false}' >root/archive/demo/0123456789/broadcast.json
	echo '{"dur_ms":12000,"found":[]}' >root/archive/demo/0123456789/recording.json
	mkdir -p root/archive/demo/9123456789 root/archive/demo/5123456789 root/archive/other/6123456789
	touch root/archive/demo/9123456789/vod.m3u8 root/archive/other/6123456789/vod.m3u8
	: >root/archive/demo/9123456789/recording-poster.jpg
	[ "$(curl -sf "$U/archive/demo/recordings.json" | jq -c '.recordings[] | [.stream, .broadcast, .started_at, .dur_ms, .poster]')" = \
		"$(printf '%s\n' '["demo","9123456789",null,null,"recording-poster.jpg"]' \
		'["demo","0123456789","2026-01-02T03:04:05.678Z",12000,null]')" ]
	[ "$(curl -sf "$U/recordings.json" | jq -r '.recordings[].broadcast' | tr '\n' ' ')" = '9123456789 6123456789 0123456789 ' ]
	[ "$(curl -sf "$U/archive/nobody/recordings.json")" = '{"recordings":[]}' ]
	kill "$PID" && rm events
	(umask 077 && head -c 20 /dev/urandom | xxd -p >secret)
	serve --archive --token-secret secret
	[ "$(status "$U/archive/demo/0123456789/vod.m3u8")" = 403 ]
	local exp mac
	exp=$(($(date +%s) + 100))
	mac=$(printf %s "$exp/demo" | openssl dgst -sha256 -hmac "$(cat secret)" | sed 's/.* //')
	[ "$(status "$U/p/$exp/$mac/archive/demo/0123456789/vod.m3u8")" = 200 ]
	[ "$(status "$U/p/$exp/$mac/watch/demo/0123456789")" = 200 ]
	[ "$(status "$U/recordings.json")" = 404 ] # who has no link to a stream is not told of it
	[ "$(status "$U/archive/demo/recordings.json")" = 403 ]
	[ "$(curl -sf "$U/p/$exp/$mac/archive/demo/recordings.json" | jq '.recordings | length')" = 2 ]
	[ "$(status "$U/p/$exp/$mac/archive/other/recordings.json")" = 403 ]
}

@test "no more connections than allowed, over all addresses; the next waits for its turn" {
	serve --listen 127.0.0.1:0 --max-connections 4
	wait_event events 5 '.event == "server.ready" and .port != '"$PORT" >/dev/null
	exec 7<>"/dev/tcp/127.0.0.1/$PORT" 8<>"/dev/tcp/127.0.0.1/$PORT"
	two() { [ "$(curl -s "http://127.0.0.1:$(jq -r 'select(.event == "server.ready").port' events | tail -n 1)/healthz" | jq .connections)" = 3 ]; }
	eventually 5 two
	run ! curl -s -m 1 "$U/healthz"
	exec 7>&-
	eventually 5 curl -sf -m 1 -o /dev/null "$U/healthz"
}

# front EXAMPLE: nginx before what is served, as the example says; at $F.
front() {
	local port=$((20000 + RANDOM % 20000)) tries # nginx takes no port 0
	command -v nginx >/dev/null || PATH=$PATH:/usr/sbin
	openssl req -x509 -newkey rsa:2048 -nodes -keyout tls.key -out tls.pem -days 2 -subj /CN=localhost 2>/dev/null
	for tries in {1..10}; do
		{
			echo "pid $PWD/nginx.pid; error_log $PWD/nginx.log; daemon off; master_process off; events { } http { access_log off;"
			for t in client_body proxy fastcgi uwsgi scgi; do echo "${t}_temp_path $PWD/tmp-$t;"; done
			sed "s|/var/cache/nginx/|$PWD/cache-|; s|127.0.0.1:8080|127.0.0.1:$PORT|; s|listen 443|listen 127.0.0.1:$port|
				/listen \[::\]/d; s|/etc/ssl/live.example.org.pem|$PWD/tls.pem|; s|/etc/ssl/private/live.example.org.key|$PWD/tls.key|
				s|proxy_cache lv;|& add_header X-Cache \$upstream_cache_status;|" "$ROOT/examples/$1"
			echo "}"
		} >nginx.conf
		nginx -p "$PWD" -c "$PWD/nginx.conf" 2>nginx.err 3>&- &
		FRONT=$!
		eventually 3 curl -sk -o /dev/null "https://127.0.0.1:$port/healthz" && break
		kill "$FRONT" 2>/dev/null || :
		port=$((port + 1))
	done
	F=https://127.0.0.1:$port
}

@test "nginx in front, as in the example: HTTP/2, ranges, media from its cache" {
	serve --proxied
	front nginx-front.conf
	local h2=(curl -sk --http2 -w '%{http_version} %{http_code}') S=$F/live/demo
	[ "$("${h2[@]}" -o list "$S/source/index.m3u8")" = "2 200" ]
	cmp list root/live/demo/source/index.m3u8
	[ "$("${h2[@]}" -r 10-19 -o part "$S/source/0123456789-1-1.m4s")" = "2 206" ]
	cmp part <(tail -c +11 root/live/demo/source/0123456789-1-1.m4s | head -c 10)
	[ "$("${h2[@]}" -o whole "$S/source/0123456789-1-1.m4s")" = "2 200" ]
	cmp whole root/live/demo/source/0123456789-1-1.m4s
	[ "$(header x-cache -k "$S/source/0123456789-1-1.m4s")" = HIT ]
	[ -z "$(header x-cache -k "$S/source/index.m3u8")" ]
	[ "$("${h2[@]}" -o none "$S/none.m4s")" = "2 404" ]
	kill "$FRONT"
	wait_event events 5 '.event == "play.started" and .remote == "127.0.0.1"' >/dev/null
}

# link [OPTION...]: a viewer's prefix for the stream demo.
link() { lv-auth token --view demo --token-secret secret "$@"; }

@test "links by lv-auth token --view: to the end of their time, for one address" {
	(umask 077 && head -c 20 /dev/urandom | xxd -p >secret)
	serve --archive --token-secret secret --proxied
	from() { status -H "X-Forwarded-For: $1" "$U$2" "${@:3}"; }
	[ "$(status "$U$(link)/live/demo/master.m3u8")" = 200 ]
	[ "$(status "$U$(link)/watch/demo")" = 200 ]
	[ "$(status "$U$(link)/check/demo")" = 200 ]
	[ "$(status "$U/check/demo")" = 403 ]
	[ "$(status "$U$(link)/live/other/master.m3u8")" = 403 ]
	local here=203.0.113.9 P
	P=$(link --address "$here")
	[[ $P == /p/*@"$here"/* ]]
	[ "$(from "$here" "$P/live/demo/master.m3u8")" = 200 ]
	[ "$(from "10.0.0.1, $here" "$P/live/demo/source/0123456789-1-1.m4s")" = 200 ]
	[ "$(from 203.0.113.90 "$P/live/demo/master.m3u8")" = 403 ]
	[ "$(from "$here" "$P/live/demo/master.m3u8" -H 'X-Forwarded-For: 203.0.113.90')" = 403 ] # the proxy's own line
	[ "$(curl -s "$U$P/live/demo/master.m3u8")" = "this link is for another address" ]
	[ "$(from "$here" "${P/@*\//\/}/live/demo/master.m3u8")" = 403 ] # the address is signed
	[ "$(from 203.0.113.9 "$(link --address ::ffff:203.0.113.9)/live/demo/master.m3u8")" = 200 ]
	[ "$(from 2001:DB8::1 "$(link --address 2001:db8:0::1)/live/demo/master.m3u8")" = 200 ]
	P=$(link --for-s 1)
	gone() { [ "$(curl -s "$U$P/live/demo/master.m3u8")" = "this link is no longer good" ]; }
	eventually 5 gone
	run -64 --separate-stderr lv-auth token --view demo --token-secret secret --address 1.2.3
	[ "$stderr" = "lv-auth: --address 1.2.3: no address; expected as 203.0.113.9 or 2001:db8::1" ]
	run -64 lv-auth token --view '*' --token-secret secret
	run -64 lv-auth token --view demo --token-secret secret --user 4
	run -64 lv-auth token demo --token-secret secret --user 4 --address 1.2.3.4
	(umask 077 && echo short >short)
	run -65 --separate-stderr lv-auth token --view demo --token-secret short
	[ "$stderr" = "lv-auth: short is no secret of 16 bytes or more" ]
	chmod 644 secret
	run -77 lv-auth token --view demo --token-secret secret
}

@test "nginx as a shield, as in the example: every viewer's link is checked, one copy is kept for all" {
	(umask 077 && head -c 20 /dev/urandom | xxd -p >secret)
	serve --token-secret secret --proxied
	front nginx-private.conf
	local one two bad seg=live/demo/source/0123456789-1-1.m4s
	one=$(link) two=$(link --for-s 3000 --address 127.0.0.1)
	cached() { header x-cache -k "$F$1/$seg"; }
	[ "$(cached "$one")" = MISS ]
	[ "$(cached "$two")" = HIT ]
	cmp <(curl -sk "$F$two/$seg") "root/$seg"
	[ "$(status -k "$F$one/live/demo/source/index.m3u8")" = 200 ]
	for bad in "${one%?}x" "${two/127.0.0.1/127.0.0.2}" "$(link --address 127.0.0.9)" '' "$(link --for-s 1000 | sed 's/[0-9]\{5\}/99999/')"; do
		[ "$(status -k "$F$bad/$seg")" = 403 ]
	done
	[ "$(curl -sk -o /dev/null -w '%{http_code}' --path-as-is "$F$one/live/demo/../other/x.m4s")" = 403 ]
	kill "$FRONT"
}

@test "--referer: pages of these hosts only, and our own; requests without a page if they may" {
	serve --referer example.org --referer '*.tv.example' --referer .both.example
	local u=$U/live/demo/master.m3u8 good bad
	for good in https://example.org https://EXAMPLE.org:8443 https://a.tv.example http://a.b.tv.example \
		https://both.example https://x.both.example "http://127.0.0.1:9"; do
		[ "$(status -H "Origin: $good" "$u")" = 200 ]
		[ "$(status -H "Referer: $good/page?x=1" "$u")" = 200 ]
	done
	for bad in https://tv.example https://example.org.evil.example https://evil.example/example.org null \
		https://notexample.org https://example.org@evil.example https://xtv.example ''; do
		[ "$(status -H "Origin: $bad" "$u")" = 403 ] || { [ -z "$bad" ] && [ "$(status "$u")" = 403 ]; }
		[ "$(status -H "Referer: $bad/" "$u")" = 403 ]
	done
	[ "$(status -H "Origin: https://evil.example" -H "Referer: https://example.org/" "$u")" = 403 ]
	[ "$(status "$U/watch/demo")" = 200 ]
	[ "$(curl -s "$u")" = "not from this page" ]
	kill "$PID" && rm events
	serve --referer example.org --referer none
	[ "$(status "$U/live/demo/master.m3u8")" = 200 ]
	[ "$(status -H "Origin: https://evil.example" "$U/live/demo/master.m3u8")" = 403 ]
	run -64 --separate-stderr lv-serve --root root --listen 127.0.0.1:0 --referer https://example.org
	[[ $stderr == *"--referer https://example.org: expected a host"* ]]
}

# back_end: somebody's, that says yes to token=good; asked is what it heard.
back_end() {
	python3 "$ROOT/tests/lib/backend.py" asked hush >port 3>&- &
	BACK=$!
	eventually 20 test -s port
	B=http://127.0.0.1:$(<port)
}

@test "--play-hook: a back end written for SRS says who may watch, once a viewer, and hears when he has gone" {
	back_end
	serve --play-hook "$B/srs" --hook-private --proxied
	local u=live/demo/master.m3u8 seg=live/demo/source/0123456789-1-1.m4s
	as() { status -A "$1" -H 'X-Forwarded-For: 203.0.113.9' "$U/$2"; }
	[ "$(as one "$u?token=good")" = 200 ]
	[ "$(as one "$seg")" = 200 ]
	[ "$(as one live/demo/source/index.m3u8)" = 200 ]
	[ "$(as two "$u?token=bad")" = 403 ]
	[ "$(as two "$u?token=bad")" = 403 ]
	[ "$(as two "$seg")" = 403 ] # another query: asked anew
	[ "$(as two "$u?token=good")" = 200 ]
	[ "$(as three check/demo)" = 403 ]
	[ "$(as three watch/demo)" = 200 ] # the page is everybody's
	[ "$(jq -s -c 'map([.facts.action, .facts.param])' asked)" = \
		'[["on_play","?token=good"],["on_play","?token=bad"],["on_play",""],["on_play","?token=good"],["on_play",""]]' ]
	jq -s -e '.[0].facts | .stream == "demo" and .ip == "203.0.113.9" and .app == "live" and .pageUrl == "" and (.client_id | length) == 16' asked
	[ "$(header cache-control -A one -H 'X-Forwarded-For: 203.0.113.9' "$U/$seg")" = "private, max-age=86400, immutable" ]
	kill "$PID"
	wait "$PID"
	[ "$(jq -s -c 'map(select(.facts.action == "on_stop").facts.client_id) | sort' asked)" = \
		"$(jq -s -c 'map(select(.facts.param == "?token=good").facts.client_id) | sort' asked)" ]
	kill "$BACK"
}

@test "--play-hook: nobody is kept waiting for a back end that is slow, and without an answer nobody is let in" {
	back_end
	serve --play-hook "$B/silent" --hook-private
	local u=live/demo/master.m3u8 i pids=() began
	began=$(date +%s%3N)
	for i in 1 2 3 4 5; do # one viewer, five requests: one question
		status "$U/$u" >"said$i" &
		pids+=("$!")
	done
	eventually 5 test -s asked
	[ "$(curl -s -m 2 "$U/healthz" | jq -r .status)" = ok ]
	[ "$(status "$U/watch/demo")" = 200 ]
	wait "${pids[@]}"
	(($(date +%s%3N) - began < 8000)) # 3 s, and what a busy machine adds
	[ "$(cat said?)" = 403403403403403 ]
	[ "$(wc -l <asked)" = 1 ]
	kill "$PID" "$BACK" && rm events
	serve --play-hook "http://127.0.0.1:1/" --hook-private
	[ "$(status "$U/$u")" = 403 ]
	grep -q "cannot ask http://127.0.0.1:1/: .*; new viewers are turned away" out
	kill "$PID" && rm events
	serve --play-hook "$B/srs"
	[ "$(status "$U/$u?token=good")" = 403 ]
	grep -q "its address is a private one" out
	run -64 lv-serve --root root --listen 127.0.0.1:0 --hook-private
	run -64 lv-serve --root root --listen 127.0.0.1:0 --play-hook ftp://h/
	run -64 --separate-stderr lv-serve --root root --listen 127.0.0.1:0 --play-hook http://lv:hush@h/
	[[ $stderr != *hush* ]]
}
