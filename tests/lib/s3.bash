# A real S3 server for a bats file: examples/s3-server, Ceph's radosgw, in a folder and on a port of its own.  s3_start
# in setup_file (it takes some 15 s), s3_stop in teardown_file; rgw_start and rgw_stop are its outage, and keep what it
# stores.
# shellcheck shell=bash

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

s3_start() {
	export S3_DIR=$BATS_FILE_TMPDIR/rgw S3_PORT S3_URL CEPH_CONF
	export AWS_ACCESS_KEY_ID=lvkey AWS_SECRET_ACCESS_KEY=lvsecret
	export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true no_proxy='*'
	export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=/dev/null
	unset AWS_CA_BUNDLE
	mkdir -p "$S3_DIR"
	"$ROOT/examples/s3-server" "$S3_DIR" 0 >"$S3_DIR/out" 2>&1 3>&- &
	echo $! >"$BATS_FILE_TMPDIR/s3-server.pid"
	CEPH_CONF=$S3_DIR/conf
	eventually 120 test -s "$S3_DIR/url" || { cat "$S3_DIR/out"; return 1; }
	S3_URL=$(cat "$S3_DIR/url") S3_PORT=${S3_URL##*:}
}

rgw_start() {
	"$S3_DIR/gateway" 3>&- &
	eventually 60 curl -so /dev/null "$S3_URL"
}

rgw_stop() {
	local pid
	pid=$(cat "$S3_DIR/rgw.pid")
	kill -9 "$pid"
	eventually 20 gone "$pid"
	rm -f "$S3_DIR/rgw.pid"
}
rgw_hang() { kill -STOP "$(cat "$S3_DIR/rgw.pid")"; }
rgw_wake() { kill -CONT "$(cat "$S3_DIR/rgw.pid")"; }

s3_stop() {
	local pid
	[ -n "${S3_DIR:-}" ] || return 0
	pid=$(cat "$BATS_FILE_TMPDIR/s3-server.pid")
	kill "$pid" 2>/dev/null || :
	eventually 20 gone "$pid" || kill -9 "$pid" || :
	rm -rf "$S3_DIR"
}
gone() { [ ! -e "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"; }

# s3 METHOD PATH [CURL-ARGUMENT...]: a signed request by curl, the judge; PATH begins with the bucket.
s3() {
	local method=$1 path=$2
	shift 2
	curl -sS -X "$method" --path-as-is --aws-sigv4 "aws:amz:${S3_REGION:-us-east-1}:s3" -u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@" "$S3_URL/$path"
}

# s3_front DIRECTIVES: nginx before the store, its process in $FRONT; files named busy and cut make it answer 503, and
# reset connections.
s3_front() {
	cat >nginx.conf <<-END
		daemon off; master_process off; pid nginx.pid; error_log stderr;
		events { }
		http { access_log off; client_max_body_size 0; reset_timedout_connection on;
		server { $1
			location / {
				if (-f $PWD/busy) { return 503; }
				if (-f $PWD/cut) { return 444; }
				proxy_set_header Host \$http_host;
				proxy_pass http://127.0.0.1:$S3_PORT; } } }
	END
	/usr/sbin/nginx -p "$PWD" -c nginx.conf 2>nginx.err 3>&- &
	FRONT=$!
}

# s3_keys BUCKET: every key, one a line.
s3_keys() {
	s3 GET "$1?list-type=2" | python3 -c '
import sys, xml.etree.ElementTree as tree
for e in tree.parse(sys.stdin.buffer).iter():
    if e.tag.endswith("}Key"):
        print(e.text)'
}

# s3_versions BUCKET: "TIME KEY VERSION" of every version, however many pages they take.
s3_versions() {
	local marks=''
	while :; do
		s3 GET "$1?${marks}versions=" >"$S3_DIR/page"
		python3 - "$S3_DIR/page" <<-'END'
			import sys, xml.etree.ElementTree as tree
			for e in tree.parse(sys.argv[1]).iter():
			    if e.tag.endswith("}Version"):
			        v = {c.tag.split("}")[1]: c.text for c in e}
			        print(v["LastModified"], v["Key"], v["VersionId"])
		END
		grep -q '<IsTruncated>true' "$S3_DIR/page" || return 0
		marks=$(sed -n 's|.*<NextKeyMarker>\([^<]*\)<.*<NextVersionIdMarker>\([^<]*\)<.*|key-marker=\1\&version-id-marker=\2\&|p' "$S3_DIR/page")
		marks=${marks//\//%2F}
	done
}

# s3_versioned BUCKET: from now on every version of an object is kept.
s3_versioned() { s3 PUT "$1?versioning=" --data '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'; }

# s3_audit BUCKET: every version of every media playlist; what it names had been stored before it was.
# Says what had not been, and how many names were looked at.
s3_audit() {
	local w=${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR} time key version
	s3_versions "$1" | sort >"$w/versions"
	while read -r time key version; do
		s3 GET "$1/$key?versionId=$version" | sed -n "/^#/!s|.*|$time ${key%/*}/&|p"
	done >"$w/named" < <(grep index.m3u8 "$w/versions")
	[ -s "$w/named" ] || return 1
	awk 'NR == FNR { if (!($2 in at)) at[$2] = $1; next }
		!($2 in at) || at[$2] > $1 { print "a playlist of " $1 " names " $2 ", stored " at[$2]; bad++ }
		END { print FNR " names looked at, " bad + 0 " too early"; exit bad > 0 }' \
		"$w/versions" "$w/named"
}
