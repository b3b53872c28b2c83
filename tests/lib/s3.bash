# A real S3 server for a bats file: Ceph's radosgw with a monitor and an object store in memory, in
# a folder and on ports of its own.  s3_start in setup_file (it takes some 15 s), s3_stop in
# teardown_file; rgw_start and rgw_stop are its outage, and keep what it stores.
# shellcheck shell=bash

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

s3_start() {
	local w=$BATS_FILE_TMPDIR/rgw id mon c a
	export S3_DIR=$w S3_PORT
	mkdir -p "$w"/{mon,osd,rgw,run,log}
	S3_PORT=$(free_port) mon=$(free_port)
	export S3_URL=http://127.0.0.1:$S3_PORT AWS_ACCESS_KEY_ID=lvkey AWS_SECRET_ACCESS_KEY=lvsecret
	export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true no_proxy='*'
	export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=/dev/null
	unset AWS_CA_BUNDLE
	id=$(cat /proc/sys/kernel/random/uuid)
	cat >"$w/conf" <<-END
		[global]
		fsid = $id
		mon initial members = a
		mon host = [v2:127.0.0.1:$mon]
		public network = 127.0.0.0/8
		ms bind ipv6 = false
		keyring = $w/keyring
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 4
		osd pool default pgp num = 4
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		mon allow pool size one = true
		run dir = $w/run
		admin socket = $w/run/\$name.\$pid.asok
		log file = $w/log/\$name.log
		[mon]
		mon data = $w/mon
		[osd]
		osd data = $w/osd
		osd objectstore = memstore
		memstore device bytes = 1073741824
		osd client watch timeout = 5
		[client.rgw.a]
		rgw data = $w/rgw
		rgw dns name = localhost
		rgw enable usage log = false
		rgw frontends = beast endpoint=127.0.0.1:$S3_PORT tcp_nodelay=1
	END
	export CEPH_CONF=$w/conf
	(
		exec >"$w/setup.log" 2>&1
		set -e
		a=(ceph-authtool "$w/keyring" --gen-key)
		ceph-authtool --create-keyring "$w/keyring" --gen-key -n mon. --cap mon 'allow *'
		"${a[@]}" -n client.admin --cap mon 'allow *' --cap osd 'allow *'
		"${a[@]}" -n client.rgw.a --cap mon 'allow rwx' --cap osd 'allow rwx'
		"${a[@]}" -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
		monmaptool --create --fsid "$id" --addv a "[v2:127.0.0.1:$mon]" "$w/map"
		ceph-mon --mkfs -i a --monmap "$w/map" --keyring "$w/keyring"
	) || { cat "$w/setup.log"; return 1; }
	ceph-mon -i a -f >"$w/log/mon.out" 2>&1 3>&- &
	echo $! >"$w/mon.pid"
	c=$(cat /proc/sys/kernel/random/uuid)
	timeout 60 ceph osd new "$c" >/dev/null 2>&1 || return 1
	ceph-osd -i 0 --mkfs --osd-uuid "$c" >/dev/null 2>&1 || return 1
	ceph-osd -i 0 -f >"$w/log/osd.out" 2>&1 3>&- &
	echo $! >"$w/osd.pid"
	rgw_start # it waits for the store by itself
	timeout 60 radosgw-admin -n client.rgw.a user create --uid=lv --display-name=lv \
		--access-key=lvkey --secret=lvsecret >/dev/null 2>&1
}

rgw_start() {
	radosgw -n client.rgw.a -f >"$S3_DIR/log/rgw.out" 2>&1 3>&- &
	echo $! >"$S3_DIR/rgw.pid"
	eventually 60 curl -so /dev/null "$S3_URL"
}

# end NAME: the daemon of that name, which holds nothing that a test needs afterwards.
s3_end() {
	local pid
	[ -s "$S3_DIR/$1.pid" ] || return 0
	pid=$(cat "$S3_DIR/$1.pid")
	kill -9 "$pid" 2>/dev/null || :
	while [ -e "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; do read -rt 0.02 <> <(:) || :; done
	rm -f "$S3_DIR/$1.pid"
}

rgw_stop() { s3_end rgw; }
rgw_hang() { kill -STOP "$(cat "$S3_DIR/rgw.pid")"; }
rgw_wake() { kill -CONT "$(cat "$S3_DIR/rgw.pid")"; }

s3_stop() {
	[ -n "${S3_DIR:-}" ] || return 0
	s3_end rgw
	s3_end osd
	s3_end mon
	rm -rf "$S3_DIR"
}

# s3 METHOD PATH [CURL-ARGUMENT...]: a signed request by curl, the judge; PATH begins with the bucket.
s3() {
	local method=$1 path=$2
	shift 2
	curl -sS -X "$method" --path-as-is --aws-sigv4 aws:amz:us-east-1:s3 -u "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@" "$S3_URL/$path"
}

# s3_keys BUCKET: every key, one a line.
s3_keys() {
	s3 GET "$1?list-type=2" | python3 -c '
import sys, xml.etree.ElementTree as tree
for e in tree.parse(sys.stdin.buffer).iter():
    if e.tag.endswith("}Key"):
        print(e.text)'
}

# s3_versions BUCKET: "TIME KEY VERSION" of every version.
s3_versions() {
	s3 GET "$1?versions=" | python3 -c '
import sys, xml.etree.ElementTree as tree
for e in tree.parse(sys.stdin.buffer).iter():
    if e.tag.endswith("}Version"):
        v = {c.tag.split("}")[1]: c.text for c in e}
        print(v["LastModified"], v["Key"], v["VersionId"])'
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
