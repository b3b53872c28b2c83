# A second S3 server, by other people, for a bats file: OpenStack Swift with its s3api, which checks the region.  swift_start
# in setup_file, swift_stop in teardown_file; s3 and what is built on it then speak to it.
# shellcheck shell=bash

# swift_fits: it keeps what it knows of an object in extended attributes, which not every file system has.
swift_fits() { setfattr -n user.test -v 1 "$BATS_FILE_TMPDIR" 2>/dev/null; }

swift_start() {
	local d=$BATS_FILE_TMPDIR/swift kind port
	export SWIFT_DIR=$d S3_PORT S3_URL AWS_ACCESS_KEY_ID=lv:ci AWS_SECRET_ACCESS_KEY=lvsecret S3_REGION=eu-test-1
	export AWS_EC2_METADATA_DISABLED=true no_proxy='*' AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=/dev/null
	unset AWS_CA_BUNDLE AWS_DEFAULT_REGION AWS_REGION
	mkdir -p "$d/node/d1"
	printf '[swift-hash]\nswift_hash_path_suffix = tests\n' >"$d/swift.conf"
	port=$(free_port)
	memcached -l 127.0.0.1 -p "$port" -U 0 -u "$(id -un)" >"$d/memcached.log" 2>&1 3>&- &
	echo $! >"$d/pids"
	S3_PORT=$(free_port) S3_URL=http://127.0.0.1:$S3_PORT
	swift_conf proxy "$S3_PORT" 'catch_errors gatekeeper cache listing_formats s3api tempauth copy slo dlo versioned_writes' >"$d/proxy.conf"
	cat >>"$d/proxy.conf" <<-END
		account_autocreate = true
		[filter:cache]
		use = egg:swift#memcache
		memcache_servers = 127.0.0.1:$port
		[filter:tempauth]
		use = egg:swift#tempauth
		user_lv_ci = lvsecret .admin
		[filter:s3api]
		use = egg:swift#s3api
		s3_acl = false
		location = $S3_REGION
		allow_multipart_uploads = true
		dns_compliant_bucket_names = false
	END
	for kind in catch_errors gatekeeper listing_formats copy slo dlo versioned_writes; do
		printf '[filter:%s]\nuse = egg:swift#%s\n' $kind $kind
	done >>"$d/proxy.conf"
	for kind in account container object; do
		port=$(free_port)
		swift_conf $kind "$port" '' >"$d/$kind.conf"
		(
			cd "$d" || exit
			swift-ring-builder $kind.builder create 4 1 1
			swift-ring-builder $kind.builder add "r1z1-127.0.0.1:$port/d1" 1
			swift-ring-builder $kind.builder rebalance
		) >"$d/ring.log" 2>&1 || { cat "$d/ring.log"; return 1; }
		"swift-$kind-server" "$d/$kind.conf" >"$d/$kind.log" 2>&1 3>&- &
		echo $! >>"$d/pids"
	done
	swift-proxy-server "$d/proxy.conf" >"$d/proxy.log" 2>&1 3>&- &
	echo $! >>"$d/pids"
	eventually 60 curl -so /dev/null "$S3_URL"
}

swift_conf() { # KIND PORT FILTERS
	cat <<-END
		[DEFAULT]
		bind_ip = 127.0.0.1
		bind_port = $2
		workers = 0
		user = $(id -un)
		swift_dir = $SWIFT_DIR
		devices = $SWIFT_DIR/node
		mount_check = false
		log_address = /nowhere
		recon_cache_path = $SWIFT_DIR
		[pipeline:main]
		pipeline = $3${3:+ }$1-server
		[app:$1-server]
		use = egg:swift#$1
	END
}

swift_stop() {
	local pid
	[ -s "${SWIFT_DIR:-}/pids" ] || return 0
	for pid in $(cat "$SWIFT_DIR/pids"); do kill "$pid" 2>/dev/null || :; done
	for pid in $(cat "$SWIFT_DIR/pids"); do eventually 10 gone "$pid" || kill -9 "$pid" || :; done
}
