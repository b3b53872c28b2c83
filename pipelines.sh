#!/usr/bin/env bash
# pipelines.sh: the platform on one page.
#
#   ./pipelines.sh deps [test|long]   install what building (and testing, at length) needs; Debian, as root or by sudo
#   ./pipelines.sh up            install, build and run everything on this machine, until Ctrl-C
#   ./pipelines.sh demo          the same, with a picture and a tone that publish themselves
#                     --s3 s3://BUCKET/PREFIX[,endpoint=URL,region=NAME]   and put everything into this bucket (the key: in
#                                  LV_HOME/s3.key, or as for aws); --s3 local: into one on this machine, for trying
#                     --postgres [URL]   keys, broadcasts and people are in this database, or in one of their own
#                     --redis [URL]      chat and the followers' inboxes are in this Redis, or in one of their own
#   ./pipelines.sh stream        what rtmp-accept runs for each broadcast: FLV on standard input
#   ./pipelines.sh status        what runs and what is live
#   ./pipelines.sh down          end what "up" or "demo" runs, from another terminal
#
# Settings: LV_HOME (keys, streams, archive), LV_RTMP_PORT (1935), LV_HTTP_PORT (8080), LV_CHAT_PORT (8090),
# LV_BIND (0.0.0.0: everybody), LV_STREAM_NAME (main), LV_LADDER (a file of rungs, see lv-transcode),
# LV_DB (keys and broadcasts are in this PostgreSQL database, see lv-auth; LV_HOME/keys).
set -euo pipefail
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
self=$here/${BASH_SOURCE[0]##*/}

build_packages=(gcc make pkg-config libc6-dev libev-dev libjansson-dev libpopt-dev libssl-dev zlib1g-dev
	libmicrohttpd-dev libwebsockets-dev libwebsockets-evlib-ev libavformat-dev libavcodec-dev libavfilter-dev
	libavutil-dev libswscale-dev libswresample-dev libseccomp-dev libjwt-dev libpq-dev
	libcurl4-openssl-dev libexpat1-dev libhiredis-dev)
run_packages=(ffmpeg curl jq)
test_packages=(git bats openssl libcmocka-dev clang libclang-rt-14-dev mandoc shellcheck procps xxd zsh python3 haproxy systemd dbus polkitd
	debhelper dpkg-dev lintian nftables iproute2
	python3-websockets postgresql redis-server redis-tools nginx-light libnginx-mod-rtmp chromium chromium-driver
	radosgw ceph-mon ceph-osd ceph-common awscli swift-proxy swift-account swift-container swift-object memcached attr faketime prometheus strace
	gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	gstreamer1.0-plugins-ugly gstreamer1.0-libav)
s3_packages=(radosgw ceph-mon ceph-osd ceph-common python3)
long_packages=(obs-studio obs-plugins xvfb xauth libgl1-mesa-dri dbus mmdebstrap)

say() { printf 'pipelines.sh: %s\n' "$*" >&2; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Install what is missing; Debian would start the services it installs, so it is told not to.
deps() ( # [test|long] [PACKAGE...]; a shell of its own, so that the trap is its own
	local want=("${build_packages[@]}" "${run_packages[@]}" "${@:2}") missing=() p
	case ${1:-} in
	test) want+=("${test_packages[@]}") ;;
	long) want+=("${test_packages[@]}" "${long_packages[@]}") ;;
	esac
	[ "${LV_S3:-}" != local ] || want+=("${s3_packages[@]}")
	command -v npm >/dev/null || want+=(nodejs npm) # for hls.js, which the player needs in most browsers
	for p in "${want[@]}"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
	done
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	as_root apt-get -qq update
	local quiet=/usr/sbin/policy-rc.d
	if [ ! -e "$quiet" ]; then
		trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 130' INT TERM
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$quiet" >/dev/null
		as_root chmod 755 "$quiet"
	fi
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
		"${missing[@]}" >/dev/null
)

# Where everything is kept, and the commands: beside this script when installed, else its build.
if [ "$(id -u)" = 0 ]; then default_home=/var/lib/lv; else default_home=${XDG_DATA_HOME:-$HOME/.local/share}/lv; fi
export LV_HOME=${LV_HOME:-$default_home}
if [ -x "$here/rtmp-accept" ]; then bin=$here; else bin=${BUILD:-$here/build}/bin; fi
case $bin in /*) ;; *) bin=$here/$bin ;; esac
export PATH=$bin:$PATH
pictures=$here/examples/vod-pictures
[ -x "$pictures" ] || pictures=$here/vod-pictures
name=${LV_STREAM_NAME:-main}
bind=${LV_BIND:-0.0.0.0}

# One broadcast.  When one stage ends so does the other, and rtmp-accept's keeper starts both again.
stream() {
	local live=$LV_HOME/live/$LV_STREAM ended
	mkdir -p "$live"
	trap : TERM # the stages get it too: their ends are waited for
	set +e      # and told
	lv-transcode ${LV_LADDER:+--ladder "$LV_LADDER"} --state "$live/.ladder.json" --poster "$live/poster.jpg" |
		lv-segment --dir "$live" --archive "$LV_HOME/archive/$LV_STREAM"
	ended=("${PIPESTATUS[@]}")
	case ${ended[0]} in
	0 | 74) exit "${ended[1]}" ;; # 74: lost its reader, whose status tells more
	*) exit "${ended[0]}" ;;
	esac
}

door() {
	local auth="lv-auth $judge '${LV_DB:-$LV_HOME/keys}'"
	# What the database misses while it is away, and who is known meanwhile.
	[ -z "${LV_DB:-}" ] || auth+=" --state '$LV_HOME/notices' --cache-s 86400"
	exec setsid rtmp-accept --listen "$bind:${LV_RTMP_PORT:-1935}" --run-dir "$LV_HOME/run" \
		--auth "$auth --metrics 'unix:$LV_HOME/run/lv-auth.metrics'" --metrics "unix:$LV_HOME/run/rtmp-accept.metrics" \
		--events "$LV_HOME/events.ndjson" -- "$self" stream
}
chat() {
	exec setsid lv-chatd --listen "$bind:${LV_CHAT_PORT:-8090}" --token-secret "$LV_HOME/chat.secret" \
		${LV_REDIS:+--redis "$LV_REDIS"} ${LV_DB:+--db "$LV_DB"} \
		--metrics "unix:$LV_HOME/run/lv-chatd.metrics" --events "$LV_HOME/events.ndjson"
}
# Followers hear of a broadcast: the database knows them, Redis has their inboxes.
followers() {
	local me=$BASHPID
	trap 'exit 0' TERM
	tail -n +1 -f --pid="$me" "$LV_HOME/events.ndjson" | jq --unbuffered -c 'select(.event == "broadcast.started")' |
		lv-notify --db "$LV_DB" --redis "$LV_REDIS" --metrics "unix:$LV_HOME/run/lv-notify.metrics" \
			--events "$LV_HOME/events.ndjson" &
	wait "$!"
}
# A PostgreSQL and a Redis of our own, on sockets that are this user's alone; their data is kept.
postgres() {
	local data=$LV_HOME/postgres pid
	[ -s "$data/PG_VERSION" ] || initdb -D "$data" -A peer -E UTF8 --locale=C.UTF-8 >/dev/null
	setsid postgres -D "$data" -k "$LV_HOME/run" -c listen_addresses= 2>>"$LV_HOME/postgres.log" &
	pid=$!
	trap 'kill -INT "$pid"' TERM # at once, whoever is connected
	while kill -0 "$pid" 2>/dev/null; do wait "$pid" || :; done
}
redis() {
	mkdir -p "$LV_HOME/redis"
	exec setsid redis-server --port 0 --unixsocket "$LV_HOME/run/redis.sock" --unixsocketperm 700 --dir "$LV_HOME/redis" \
		--save 60 1 --logfile "$LV_HOME/redis.log"
}
# Our own are started, and waited for; a database gets the tables of this version.
stores() {
	local bins
	if [ "${LV_REDIS:-}" = own ]; then
		LV_REDIS=unix:$LV_HOME/run/redis.sock
		start redis
		within_20_s redis-cli -s "$LV_HOME/run/redis.sock" ping
	fi
	if [ "${LV_DB:-}" = own ]; then
		LV_DB="postgresql:///lv?host=$LV_HOME/run"
		bins=(/usr/lib/postgresql/*/bin) # the newest is the last
		PATH=$PATH:${bins[-1]}
		start postgres
		within_20_s pg_isready -q -h "$LV_HOME/run"
		psql -XAtqc 'select 1' "$LV_DB" >/dev/null 2>&1 || createdb -h "$LV_HOME/run" lv
	fi
	[ -z "${LV_DB:-}" ] || lv-auth schema | psql -Xq "$LV_DB"
	if [ -n "${LV_DB:-}" ]; then judge=--db; else judge=--keys; fi
}
within_20_s() {
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	say "$1 gets no answer; see $LV_HOME/*.log"
	return 1
}
origin() {
	exec setsid lv-serve --root "$LV_HOME" --listen "$bind:${LV_HTTP_PORT:-8080}" --archive --chat ":$(port_of lv-chatd)" \
		--metrics "unix:$LV_HOME/run/lv-serve.metrics" --events "$LV_HOME/events.ndjson"
}
# The figures of what comes and goes with a stream; for lv-stat, which asks everybody in run.
figures() {
	local me=$BASHPID
	exec lv-stat --metrics "unix:$LV_HOME/run/events.metrics" - < <(exec tail -n +1 -f --pid="$me" "$LV_HOME/events.ndjson")
}
# A recording of each broadcast that has ended, one after another and behind everything else; those
# that were missed, too.
recorder() {
	local me=$BASHPID
	trap 'recordings; exit 0' TERM
	while read -r _; do recordings; done < <(echo && tail -n +1 -f --pid="$me" "$LV_HOME/events.ndjson" |
		jq --unbuffered -c 'select(.event == "broadcast.ended")')
}
recordings() {
	local dir ended
	for dir in "$LV_HOME"/archive/*/*; do
		if [ -e "$dir/recording.json" ] || [ "$(jq .live "$dir/broadcast.json" 2>/dev/null)" != false ]; then continue; fi
		ended=0
		lv-vod --quiet --jobs 1 --playlist "$dir" -o "$dir/recording.mp4" --chapters auto \
			--report "$dir/.recording.json" --events "$LV_HOME/events.ndjson" || ended=$?
		case $ended in
		0)
			nice -n 19 ionice -c 3 "$pictures" "$dir/recording.mp4" 2>/dev/null || say "no pictures of $dir"
			[ -z "${LV_DB:-}" ] || lv-auth --db "$LV_DB" vod "${dir##*/}" "${dir#"$LV_HOME/"}/recording.mp4" ||
				[ $? = 1 ] || { say "the database does not know of $dir/recording.mp4 yet"; continue; } # 1: not its broadcast
			say "recorded: /watch/${dir#"$LV_HOME/archive/"}"
			;;
		65) ;; # there is nothing to record, ever
		*) say "no recording of $dir yet: status $ended"; continue ;;
		esac
		mv "$dir/.recording.json" "$dir/recording.json"
	done
}
# A bucket on this machine; it forgets all when it ends, so what was pushed is forgotten as well.
store() {
	local server=$here/examples/s3-server
	[ -x "$server" ] || server=$here/../share/lv/examples/s3-server
	rm -rf "$LV_HOME/.lv-s3push"
	exec setsid "$server" "$LV_HOME/.s3" "${LV_S3_PORT:-8333}" lv-site
}
pusher() {
	local dest=$LV_S3 key=() i names=(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN)
	if [ "$LV_S3" = local ]; then
		export AWS_ACCESS_KEY_ID=lvkey AWS_SECRET_ACCESS_KEY=lvsecret
		dest="s3://lv-site,endpoint=$(store_url),region=us-east-1,addressing=path"
	elif [ -s "$LV_HOME/s3.key" ]; then
		key=(--credentials "$LV_HOME/s3.key")
	else
		for i in "${!s3_key[@]}"; do [ -z "${s3_key[i]}" ] || export "${names[i]}=${s3_key[i]}"; done
	fi
	exec setsid lv-s3push --root "$LV_HOME" --dest "$dest" "${key[@]}" --expire-s 600 --exclude 'software/*' \
		--metrics "unix:$LV_HOME/run/lv-s3push.metrics" --events "$LV_HOME/events.ndjson"
}
store_url() {
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		[ ! -s "$LV_HOME/.s3/url" ] || { cat "$LV_HOME/.s3/url"; return; }
		sleep 0.1
	done
	say "the S3 server does not answer: see $LV_HOME/.s3/log"
	return 1
}
# Thirty frames a second, a key frame every two seconds, and a tone.
picture() {
	exec ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine=r=48000 \
		-c:v libx264 -preset ultrafast -tune zerolatency -b:v 2500k -g 60 -pix_fmt yuv420p \
		-c:a aac -b:a 128k -f flv "rtmp://127.0.0.1:$(port_of rtmp-accept)/live/$(cat "$LV_HOME/$name.key")"
}

# port_of SERVER [PID]: the port that it says it listens on, once it does; it has ended when that process has.
port_of() {
	local port tries
	for ((tries = 0; tries < 200; tries++)); do
		port=$(jq -r "select(.event == \"server.ready\" and .src == \"$1\" and .proto != \"metrics\").port" \
			"$LV_HOME/events.ndjson" 2>/dev/null | tail -n 1)
		[ -z "$port" ] || { echo "$port"; return; }
		[ -z "${2:-}" ] || kill -0 "$2" 2>/dev/null || return 1
		sleep 0.05
	done
	say "$1 does not answer"
	return 1
}

pids=() s3_key=() # the key's id, its secret, a session's token: for the pusher alone
declare -A job
start() { # NAME: one of the functions above, in the background
	"$1" 9>&- &
	pids+=("$!")
	job[$!]=$1
}

# Sources first: what they sent then goes through to its end.
stop() {
	local what pid
	trap '' INT TERM
	for what in picture door recorder followers chat origin pusher store figures redis postgres; do
		for pid in "${pids[@]}"; do
			[ "${job[$pid]}" = "$what" ] || continue
			kill "$pid" 2>/dev/null || :
			wait "$pid" 2>/dev/null || :
		done
	done
	rm -f "$LV_HOME/run/up.pid"
}

limits() {
	local pages
	[ "$(ulimit -n)" -ge 4096 ] || ulimit -n 4096 2>/dev/null ||
		say "warning: only $(ulimit -n) open files; raise the limit with \"ulimit -n 65536\""
	pages=$(cat /proc/sys/fs/pipe-user-pages-soft)
	[ "$pages" = 0 ] || [ "$pages" -ge 16384 ] ||
		say "warning: pipes share $((pages * 4)) KB; raise it with \"sysctl fs.pipe-user-pages-soft=65536\""
}

# Everything, as the user that owns it; a server that dies is started again.
run() {
	local pid ended at
	mapfile -tn 3 s3_key # from up
	exec </dev/null
	umask 0007
	mkdir -p "$LV_HOME"/{live,archive,run}
	chmod 700 "$LV_HOME/run"
	exec 9>>"$LV_HOME/run/up.lock"
	flock -n 9 || { say "already running: \"$0 down\" ends it"; exit 75; }
	echo $$ >"$LV_HOME/run/up.pid"
	limits
	: >"$LV_HOME/events.ndjson"
	rm -f "$LV_HOME"/run/*.metrics # of those that were killed
	trap stop EXIT
	trap 'exit 0' INT TERM
	stores
	# A key that is not known here may be one of a store that was used before.
	if [ ! -s "$LV_HOME/$name.key" ] || ! lv-auth "$judge" "${LV_DB:-$LV_HOME/keys}" check <"$LV_HOME/$name.key" >/dev/null 2>&1; then
		(umask 077 && lv-auth "$judge" "${LV_DB:-$LV_HOME/keys}" add "$name" >"$LV_HOME/$name.key.new")
		mv "$LV_HOME/$name.key.new" "$LV_HOME/$name.key"
	fi
	[ -s "$LV_HOME/chat.secret" ] || (umask 077 && head -c 32 /dev/urandom | base64 >"$LV_HOME/chat.secret")
	start door
	port_of rtmp-accept "$!" >/dev/null || exit 69 # it has said why
	start chat
	port_of lv-chatd "$!" >/dev/null || exit 69
	start origin
	port_of lv-serve "$!" >/dev/null || exit 69
	start recorder
	start figures
	rm -f "$LV_HOME/.s3/url"
	[ "${LV_S3:-}" != local ] || start store
	[ -z "${LV_S3:-}" ] || start pusher
	[ -z "${LV_DB:-}" ] || [ -z "${LV_REDIS:-}" ] || start followers
	cat <<-END
		Publish to  rtmp://$(host):$(port_of rtmp-accept)/live   (server)
		            $(cat "$LV_HOME/$name.key")   (stream key)
		Watch at    http://$(host):$(port_of lv-serve)/watch/$name
		            $(owner_link)   (there its owner talks)
		Everything is kept in $LV_HOME; Ctrl-C ends it.
	END
	case ${LV_S3:-} in
	'') ;;
	local) echo "In S3       $(store_url)/lv-site/live/$name/master.m3u8   (examples/nginx-cdn.conf before it)" ;;
	*) at=${LV_S3%%,*} && echo "In S3       ${at%/}/live/$name/master.m3u8" ;;
	esac
	if [ "$1" = demo ]; then
		start picture
		first_picture &
	fi
	while :; do
		ended=0
		wait -n -p pid "${pids[@]}" || ended=$?
		if [ "${job[$pid]}" = pusher ] && [[ $ended =~ ^(64|77|78)$ ]]; then # it has said why, and would again
			say "nothing goes to $LV_S3 until that is mended and \"up\" is begun again; all the rest runs"
		else
			say "${job[$pid]} ended with status $ended; starting it again"
			sleep 1
			start "${job[$pid]}"
		fi
		unset "job[$pid]"
		pids=("${!job[@]}")
	done
}
host() { if [ "$bind" = 0.0.0.0 ]; then hostname -I 2>/dev/null | awk '{ print $1 ? $1 : "127.0.0.1" }'; else echo "$bind"; fi; }

# Who opens it is the owner of the stream's chat for a day.
owner_link() {
	printf 'http://%s:%s/watch/%s#token=%s' "$(host)" "$(port_of lv-serve)" "$name" "$(lv-auth token "$name" \
		--token-secret "$LV_HOME/chat.secret" --user owner --name "$name" --role owner --for-s 86400)"
}

first_picture() {
	local began=${EPOCHREALTIME/./} url
	url=http://127.0.0.1:$(port_of lv-serve)/live/$name/master.m3u8
	until curl -sf -o /dev/null "$url"; do sleep 0.05; done
	echo "Live        $(((${EPOCHREALTIME/./} - began) / 1000)) ms after the first frame was made"
}

# Of what aws knows, all but the secrets: those go through a pipe, where no other process can read them.
s3_site=(AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_PROFILE AWS_SHARED_CREDENTIALS_FILE AWS_CA_BUNDLE)
s3_secrets() {
	local file=${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}
	[ -n "${LV_S3:-}" ] || return 0
	if [ -n "${AWS_ACCESS_KEY_ID:-}" ]; then
		printf '%s\n' "$AWS_ACCESS_KEY_ID" "${AWS_SECRET_ACCESS_KEY:-}" "${AWS_SESSION_TOKEN:-}"
	elif [ "$(id -u)" = 0 ] && [ -r "$file" ]; then # which the user lv cannot read
		awk -v section="[${AWS_PROFILE:-default}]" '
			{ gsub(/^[ \t]+|[ \t\r]+$/, "") }
			/^\[/ { within = $0 == section; next }
			within && match($0, /[ \t]*=[ \t]*/) { value[substr($0, 1, RSTART - 1)] = substr($0, RSTART + RLENGTH) }
			END { print value["aws_access_key_id"] "\n" value["aws_secret_access_key"] "\n" value["aws_session_token"] }
		' "$file"
	fi
}

# As root: install, make the user, and go on as it; nothing that touches the network runs as root.
up() {
	local site=() packages=() v secrets
	secrets=$(s3_secrets)
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
	[ "${LV_DB:-}" != own ] || packages+=(postgresql)
	[ -z "${LV_DB:-}" ] || command -v psql >/dev/null || packages+=(postgresql-client)
	[ "${LV_REDIS:-}" != own ] || packages+=(redis-server)
	deps '' "${packages[@]}"
	make -s -C "$here" -j"$(nproc)" all >&2
	[ "$(id -u)" = 0 ] || exec "$self" run "$1" <<<"$secrets"
	id lv >/dev/null 2>&1 || useradd --system --user-group --home-dir "$LV_HOME" --shell /usr/sbin/nologin lv
	install -d -o lv -g lv -m 750 "$LV_HOME"
	make -s -C "$here" install DESTDIR= PREFIX="$LV_HOME/software" >&2
	install -m 755 "$self" "$pictures" "$LV_HOME/software/bin"
	for v in LV_RTMP_PORT LV_HTTP_PORT LV_CHAT_PORT LV_BIND LV_STREAM_NAME LV_LADDER LV_DB LV_REDIS LV_S3 LV_S3_PORT \
		"${s3_site[@]}"; do
		[ -z "${!v:-}" ] || site+=("$v=${!v}")
	done
	cd /
	exec setpriv --reuid lv --regid lv --init-groups --inh-caps=-all env -i PATH="$PATH" HOME="$LV_HOME" \
		LV_HOME="$LV_HOME" LANG=C.UTF-8 "${site[@]}" "$LV_HOME/software/bin/pipelines.sh" run "$1" <<<"$secrets"
}

up_pid() { if [ -s "$LV_HOME/run/up.pid" ] && ! flock -n "$LV_HOME/run/up.lock" true; then cat "$LV_HOME/run/up.pid"; fi; }

status() {
	local pid
	pid=$(up_pid)
	[ -n "$pid" ] || { echo "nothing runs in $LV_HOME"; return 1; }
	echo "running since $(ps -o lstart= -p "$pid"), process $pid, in $LV_HOME"
	lv-stat --once "$LV_HOME/run"
}

down() {
	local pid
	pid=$(up_pid)
	[ -n "$pid" ] || { say "nothing runs in $LV_HOME"; return 0; }
	kill "$pid"
	flock -w 60 "$LV_HOME/run/up.lock" true || { say "process $pid does not end"; return 75; }
}

usage() { sed -n 's/^#   //p' "$self"; }

case ${1:-} in
deps) deps "${2:-}" ;;
up | demo)
	what=$1
	shift
	while (($#)); do
		case $1 in
		--s3)
			[ -n "${2:-}" ] || { say "$what --s3: where to? s3://BUCKET/PREFIX, or local"; exit 64; }
			export LV_S3=$2 && shift 2
			;;
		--s3=*) export LV_S3=${1#*=} && shift ;;
		--postgres=*) export LV_DB=${1#*=} && shift ;;
		--redis=*) export LV_REDIS=${1#*=} && shift ;;
		--postgres | --redis) # a URL may follow
			url=own
			[[ ${2:---} == --* ]] || url=$2
			if [ "$1" = --redis ]; then export LV_REDIS=$url; else export LV_DB=$url; fi
			if [ "$url" = own ]; then shift; else shift 2; fi
			;;
		*) say "$what: unknown option $1"; exit 64 ;;
		esac
	done
	up "$what"
	;;
run) run "${2:-up}" ;;
stream | status | down) "$1" ;;
-h | --help) usage ;;
*) usage >&2; exit 64 ;;
esac
