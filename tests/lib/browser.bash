# Shared by the tests that watch: a site with one stream on ports of its own, and Chromium, driven by WebDriver.
# All of it is below $DIR; what runs is named in $DIR/pids.

# site_open NAME [--OPTION VALUE] RUNG...: serves NAME, whose key is in $DIR/key, at URL, and lets it be published
# at DOOR; the option is for lv-serve.
site_open() {
	local name=$1 how=()
	shift
	[[ ${1:-} != --* ]] || { how=("$1" "$2"); shift 2; }
	export DIR=$BATS_FILE_TMPDIR LV_HOME=$BATS_FILE_TMPDIR/site LV_LADDER=$BATS_FILE_TMPDIR/ladder
	mkdir -p "$LV_HOME"/{live,archive}
	lv-auth --keys "$DIR/keys" add "$name" >"$DIR/key"
	printf '%s\n' "$@" >"$LV_LADDER"
	lv-serve --root "$LV_HOME" --listen 127.0.0.1:0 --events "$DIR/events" "${how[@]}" 3>&- &
	echo $! >"$DIR/pids"
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$DIR/run" --auth "lv-auth --keys '$DIR/keys'" --events "$DIR/media" \
		--drain-s 0 --grace-ms "${GRACE_MS:-90000}" -- "$ROOT/pipelines.sh" stream 3>&- &
	echo $! >>"$DIR/pids"
	URL=http://127.0.0.1:$(wait_event "$DIR/events" 10 '.event=="server.ready"' | jq .port)
	DOOR=rtmp://127.0.0.1:$(wait_event "$DIR/media" 10 '.event=="server.ready"' | jq .port)/live
	export URL DOOR
}

# shaka NAME: plays it by Shaka Player, on a page of another site.
shaka() {
	if [ ! -e "$DIR/shaka" ]; then
		python3 -u -m http.server --bind 127.0.0.1 --directory "$BUILD/shaka-judge" 0 >"$DIR/shaka" 2>/dev/null 3>&- &
		echo $! >>"$DIR/pids"
		eventually 10 grep -q 'port [0-9]' "$DIR/shaka"
	fi
	go "http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$DIR/shaka")/?$URL/live/$1/master.m3u8"
}

# Ends all that runs, the latest first.
site_close() {
	local pid
	[ ! -e "$DIR/session" ] || driver DELETE "" >/dev/null || :
	for pid in $(tac "$DIR/pids"); do
		kill "$pid" 2>/dev/null || :
	done
	for pid in $(cat "$DIR/pids"); do
		eventually 10 gone "$pid" || kill -9 "$pid" || :
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# driver METHOD PATH [JSON]: one WebDriver command, its path below the session.
driver() {
	curl -s -m 60 -X "$1" "http://127.0.0.1:$(cat "$DIR/driver.port")/session$(cat "$DIR/session" 2>/dev/null)$2" \
		-H 'Content-Type: application/json' ${3:+-d "$3"}
}

browser_open() {
	local session
	chromedriver --port=0 >"$DIR/driver.log" 2>&1 3>&- &
	echo $! >>"$DIR/pids"
	eventually 20 grep -q 'started successfully on port' "$DIR/driver.log"
	sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$DIR/driver.log" >"$DIR/driver.port"
	session=$(driver POST "" '{"capabilities":{"alwaysMatch":{"goog:chromeOptions":{"binary":"/usr/bin/chromium","args":
		["--headless","--no-sandbox","--disable-gpu","--no-first-run","--disable-background-networking","--disable-sync",
		"--disable-component-update","--autoplay-policy=no-user-gesture-required","--window-size=390,844"]},
		"goog:loggingPrefs":{"browser":"ALL"}}}}' | jq -r .value.sessionId)
	[ -n "$session" ] && [ "$session" != null ]
	echo "/$session" >"$DIR/session"
}

go() { driver POST /url "$(jq -n --arg u "$1" '{url: $u}')" >/dev/null; }

# screen WIDTH HEIGHT: a telephone's, touched, not clicked.
screen() {
	driver POST /goog/cdp/execute "{\"cmd\":\"Emulation.setDeviceMetricsOverride\",
		\"params\":{\"width\":$1,\"height\":$2,\"deviceScaleFactor\":2,\"mobile\":true}}" >/dev/null
}

in_page() { # JAVASCRIPT: its value
	driver POST /execute/sync "$(jq -n --arg s "return $1" '{script: $s, args: []}')" | jq -r .value
}

page_is() { [ "$(in_page "$1")" = true ]; }

# screen_fits WIDTH HEIGHT: on such a screen nothing of the page hangs over.
screen_fits() {
	screen "$1" "$2"
	eventually 10 page_is "innerWidth == $1"
	run in_page 'JSON.stringify([document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight])'
	[ "$output" = "[0,0]" ] || { echo "$1 by $2: $output over"; false; }
}
