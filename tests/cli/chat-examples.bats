bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/chat

# Bots of examples/ in a room, and the room behind a proxy with TLS.

setup() {
	cd "$BATS_TEST_TMPDIR"
	chat_tokens --name Zoë
	lv-chatd --listen 127.0.0.1:0 --token-secret secret --events events 3>&- &
	pids=("$!")
	port=$(wait_event events 30 '.event == "server.ready"' | jq .port)
	url=ws://127.0.0.1:$port
}

teardown() {
	local p
	for p in "${pids[@]}"; do
		kill -- "$p" 2>/dev/null || :
		wait "$p" 2>/dev/null || :
	done
}

bot() { # NAME [ARGUMENT...]: in a group of its own, which teardown ends, once it is in the room
	local before
	before=$(connections)
	setsid "$ROOT/examples/$@" >"$1.out" 2>"$1.err" 3>&- &
	pids+=("-$!")
	more() { (($(connections) > before)); }
	eventually 30 more
}
connections() { curl -sf "http://127.0.0.1:$port/healthz" | jq .connections; }
say() { lv-chat send alice --url "$url" --token-file viewer <<<"$1"; }
reader() {
	lv-chat read alice --url "$url" >heard 3>&- &
	pids+=("$!")
	wait_event heard 30 '.type == "joined"' >/dev/null
}

@test "chat-filter deletes what matches, and nothing else" {
	reader
	bot chat-filter alice 'b.?a.?d' --url "$url" --token-file mod
	say good
	say 'so B-a-D'
	say fine
	local id
	id=$(wait_event heard 30 '.text == "so B-a-D"' | jq -r .id)
	[ "$(wait_event heard 30 '.type == "delete"' | jq -r .target)" = "$id" ]
	run -0 lv-chat read alice --url "$url" --count 3
	[ "$(jq -r 'select(.text).text' <<<"$output")" = $'good\nfine' ]
	run -64 "$ROOT/examples/chat-filter" alice
}

@test "chat-uptime answers who asks, for as long as the broadcast has been running" {
	mkdir -p site/live/alice
	lv-serve --root site --listen 127.0.0.1:0 --events serve 3>&- &
	pids+=("$!")
	local site
	site=http://127.0.0.1:$(wait_event serve 30 '.event == "server.ready"' | jq .port)
	say '!uptime'
	reader
	bot chat-uptime alice "$site" --url "$url" --token-file mod
	say '!uptime'
	wait_event heard 30 '.text == "@Zoë: not live"' >/dev/null
	printf '{"stream":"alice","broadcast":"01x","origin_ms":%d,"live":true}\n' "$(($(date +%s%3N) - 7380000))" >site/live/alice/stream.json
	say '!uptime'
	wait_event heard 30 '.text == "@Zoë: 2 h 3 min"' >/dev/null
}

@test "chat-archive writes what is said beside the recording, with the media time, each entry once" {
	local dir=site/archive/alice/01x origin
	mkdir -p "$dir" site/live/alice
	origin=$(($(date +%s%3N) - 60000))
	printf '{"stream":"alice","broadcast":"01x","started_at":"x","origin_ms":%d,"live":true}\n' "$origin" >site/live/alice/stream.json
	bot chat-archive alice site --url "$url"
	say one
	say 'two "ts":5 \ ü'
	wait_event "$dir/chat.ndjson" 30 '.text == "two \"ts\":5 \\ ü"' >/dev/null
	kill -- "${pids[-1]}"
	eventually 30 test "$(connections)" -le 1
	say three
	bot chat-archive alice site --url "$url"
	wait_event "$dir/chat.ndjson" 30 '.text == "three"' >/dev/null
	[ "$(jq -r .text "$dir/chat.ndjson")" = $'one\ntwo "ts":5 \\ ü\nthree' ]
	[ "$(jq -c "[.at_ms == .ts - $origin, .at_ms > 59000, .name]" "$dir/chat.ndjson" | sort -u)" = '[true,true,"Zoë"]' ]
	# off air it is nobody's
	sed -i s/true/false/ site/live/alice/stream.json
	say four
	reader
	wait_event heard 30 '.text == "four"' >/dev/null
	[ "$(wc -l <"$dir/chat.ndjson")" = 3 ]
}

@test "wss:// through HAProxy: read, send and moderate; a certificate of nobody's is refused" {
	command -v haproxy >/dev/null || skip "no haproxy"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 30 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
	cat cert key >both
	local tls secure
	tls=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >haproxy.cfg <<-END
		defaults
		  mode http
		  option forwardfor
		  timeout connect 5s
		  timeout client 60s
		  timeout server 60s
		listen chat
		  bind 127.0.0.1:$tls ssl crt $PWD/both
		  server s 127.0.0.1:$port
	END
	haproxy -db -f haproxy.cfg >haproxy.log 2>&1 3>&- &
	pids+=("$!")
	secure=wss://localhost:$tls
	answers() { curl -sf --cacert cert "https://localhost:$tls/healthz"; }
	eventually 30 answers
	export SSL_CERT_FILE=$PWD/cert
	lv-chat read alice --url "$secure" >heard 3>&- &
	pids+=("$!")
	wait_event heard 30 '.type == "joined"' >/dev/null
	run -0 lv-chat send alice --url "$secure" --token-file viewer < <(seq 15)
	wait_event heard 30 '.text == "15"' >/dev/null
	[ "$(jq -r 'select(.type == "message").text' heard)" = "$(seq 15)" ]
	run -0 lv-chat timeout alice 1 60 --url "$secure" --token-file mod
	unset SSL_CERT_FILE
	run -69 --separate-stderr lv-chat read alice --url "$secure"
	[[ $stderr == "lv-chat: $secure cannot be reached: "* ]]
}
