bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/metrics
load ../lib/s3

# A real radosgw is the bucket; curl, aws and jq are the judges.

setup_file() { ! command -v radosgw || s3_start; }
teardown_file() { s3_stop; }

setup() {
	command -v radosgw >/dev/null || skip "no radosgw"
	cd "$BATS_TEST_TMPDIR" || return 1
	B=bucket-$BATS_TEST_NUMBER
	SPOOL=root/.lv-s3push/$B@127.0.0.1:$S3_PORT
	mkdir -p root/live/a/720p
	s3 PUT "$B" -o out -w '%{http_code}' | grep -qx 200
}

teardown() {
	[ -z "${PID-}" ] || kill -9 "$PID" 2>/dev/null || :
	[ -z "${FRONT-}" ] || kill "$FRONT" 2>/dev/null || :
	[ -z "${FEED-}" ] || kill "$FEED" 2>/dev/null || :
	[ -z "${S3_DIR-}" ] || [ -s "$S3_DIR/rgw.pid" ] || rgw_start
}

once() { lv-s3push --root "${ROOTED:-root}" --dest "${DEST:-s3://$B}" --endpoint "$S3_URL" --once --events events "$@"; }

watch() { # [OPTION...]: watching, until teardown
	: >>events
	local n
	n=$(grep -c tree.watched events) || :
	lv-s3push --root root --dest "${DEST:-s3://$B}" --endpoint "$S3_URL" --events events "$@" >>out 2>>err 3>&- &
	PID=$!
	eventually 20 more_than "$n" tree.watched
}
more_than() { [ "$(grep -c "$2" events)" -gt "$1" ]; }

pushed() { wait_event events "${2:-20}" ".event == \"object.pushed\" and .path == \"$1\""; }
stored() { [ "$(s3 HEAD "$B/$1" -I -o /dev/null -w '%{http_code}')" = 200 ]; }
unstored() { ! stored "$1"; }
holds() { s3 GET "$B/$1" | grep -qx -- "$2"; }

segment() { # PATH [BYTES]: whole at once, as lv-segment writes
	head -c "${2:-20000}" /dev/urandom >"root/${1%/*}/.new.tmp" && mv "root/${1%/*}/.new.tmp" "root/$1"
}
playlist() { # PATH SEGMENT...
	local to=root/$1 s
	shift
	{
		printf '#EXTM3U\n#EXT-X-TARGETDURATION:2\n'
		for s; do printf '#EXTINF:2.0,\n%s\n' "$s"; done
	} >"${to%/*}/.list.tmp"
	mv "${to%/*}/.list.tmp" "$to"
}

policy() { s3 PUT "$B?policy=" --data-binary @- <<<"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":$1,\"Action\":$2,\"Resource\":[\"arn:aws:s3:::$B\",\"arn:aws:s3:::$B/*\"]}]}"; }

@test "once: media before what names it, labelled; a second time there is nothing to do" {
	segment live/a/720p/1.ts 500000
	segment live/a/720p/init.mp4
	playlist live/a/720p/index.m3u8 1.ts
	printf '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/index.m3u8\n' >root/live/a/master.m3u8
	echo secret >root/a.key
	echo '{}' >root/live/a/.state.json
	echo x >root/live/a/720p/2.ts.tmp
	playlist live/a/ll.m3u8 none.ts
	ln -s ../../a.key root/live/a/link.ts
	once --prefix pre/fix/
	[ "$(jq -r 'select(.event == "object.pushed").path' events | tail -n 2 | tr '\n' ' ')" = "live/a/720p/index.m3u8 live/a/master.m3u8 " ]
	s3_keys "$B" | diff - <(printf 'pre/fix/live/a/%s\n' 720p/1.ts 720p/index.m3u8 720p/init.mp4 master.m3u8)
	s3 GET "$B/pre/fix/live/a/720p/1.ts" -D head | cmp - root/live/a/720p/1.ts
	grep -qi '^content-type: video/mp2t' head
	grep -qi '^cache-control: public, max-age=86400, immutable' head
	s3 HEAD "$B/pre/fix/live/a/720p/index.m3u8" -I >head
	grep -qi '^content-type: application/vnd.apple.mpegurl' head
	grep -qi '^cache-control: public, max-age=2' head
	once --prefix pre/fix --events again
	[ "$(jq -c 'select(.event == "object.pushed")' again)" = "" ]
	segment live/a/720p/1.ts 500001
	once --prefix pre/fix --events third --type .ts=video/x --cache .ts=no-store
	[ "$(jq -r 'select(.event == "object.pushed").path' third)" = live/a/720p/1.ts ]
	s3 HEAD "$B/pre/fix/live/a/720p/1.ts" -I | grep -qi '^content-type: video/x'
}

@test "odd names arrive as they are, by path and by virtual host" {
	local name="a b+c%d~ü=&?#'(1)*@,;.ts" got
	segment "live/a/720p/$name"
	printf '#EXTM3U\n#EXTINF:2,\na%%20b%%2Bc%%25d~%%C3%%BC=%%26%%3F%%23%%27(1)*@,;.ts\n' >root/live/a/720p/index.m3u8
	once
	[ "$(jq -r 'select(.event == "object.pushed").path' events | head -n 1)" = "live/a/720p/$name" ]
	got=$(s3_keys "$B" | grep ts)
	[ "$got" = "live/a/720p/$name" ]
	aws --endpoint-url "$S3_URL" s3 cp --quiet "s3://$B/live/a/720p/$name" got
	cmp got "root/live/a/720p/$name"
	lv-s3push --root root --dest "s3://$B/v" --endpoint "http://localhost:$S3_PORT" --addressing virtual --once
	stored v/live/a/720p/index.m3u8
}

@test "watching: whole files only, by rename, by close, by link; new folders; playlists after their segments" {
	watch
	segment live/a/720p/1.ts
	exec 5>root/live/a/720p/2.ts
	head -c 1000 /dev/urandom >&5
	playlist live/a/720p/index.m3u8 1.ts 2.ts
	pushed live/a/720p/1.ts
	unstored live/a/720p/2.ts
	head -c 1000 /dev/urandom >&5
	exec 5>&-
	pushed live/a/720p/2.ts
	pushed live/a/720p/index.m3u8
	mkdir -p new/x root/archive/a
	echo seg >new/x/1.m4s
	mv new root/live/b
	pushed live/b/x/1.m4s
	ln root/live/a/720p/1.ts root/archive/a/1.ts
	pushed archive/a/1.ts
	mkdir -p root/live/c/d/e/f && echo seg >root/live/c/d/e/f/1.ts
	pushed live/c/d/e/f/1.ts
	playlist live/a/720p/index.m3u8 2.ts
	eventually 10 holds live/a/720p/index.m3u8 2.ts
	kill "$PID"
	wait "$PID"
	[ ! -s err ]
}

@test "a real stream, its ladder and its archive: no version names what is not there" {
	s3_versioned "$B"
	watch
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 6 \
		-c:v libx264 -preset ultrafast -g 30 -pix_fmt yuv420p -c:a aac -f flv - 2>/dev/null 3>&- |
		LV_STREAM=demo lv-segment --dir root/live/demo --archive root/archive/demo --target-ms 1000 3>&-
	eventually 20 holds live/demo/source/index.m3u8 '#EXT-X-ENDLIST'
	pushed live/demo/master.m3u8
	kill "$PID"
	wait "$PID"
	s3_audit "$B"
	(cd root && find archive -name '*.m4s') | sort >want
	[ -s want ]
	s3_keys "$B" | grep '^archive/.*m4s' | sort | diff want -
	policy '"*"' '"s3:GetObject"'
	ffprobe -v error -show_entries stream=codec_name "$S3_URL/$B/live/demo/master.m3u8" | grep h264
	jq -s 'map(select(.event == "object.pushed" and (.path | startswith("live/")))) | map(.lag_ms) | sort | .[length / 2 | floor]' events >lag
	[ "$(cat lag)" -lt 1000 ]
}

@test "the store is away, the process is killed twice, the segmenter deletes: nothing is lost" {
	s3_versioned "$B"
	local i
	watch
	segment live/a/720p/0.ts
	pushed live/a/720p/0.ts
	rgw_stop
	for i in {1..30}; do
		segment "live/a/720p/$i.ts"
		((i <= 5)) || rm "root/live/a/720p/$((i - 5)).ts"
		((i < 5)) || playlist live/a/720p/index.m3u8 "$((i - 2)).ts" "$((i - 1)).ts" "$i.ts"
		if ((i == 10 || i == 20)); then
			eventually 10 test -e "$SPOOL/pending/live/a/720p/$i.ts"
			kill -9 "$PID"
			wait "$PID" || :
			watch
		fi
	done
	wait_event events 20 '.event == "store.away"'
	eventually 10 test -e "$SPOOL"/pending/live/a/720p/30.ts
	rgw_start
	wait_event events 60 '.event == "store.back"'
	pushed live/a/720p/index.m3u8 40
	for i in {0..30}; do pushed "live/a/720p/$i.ts" 40; done
	[ "$(s3_keys "$B" | grep -c ts)" = 31 ]
	[ "$(s3 GET "$B/live/a/720p/index.m3u8" | tail -n 1)" = 30.ts ]
	s3_audit "$B"
	# The newest window was watchable before the oldest were stored.
	jq -r 'select(.event == "object.pushed").path' events >order
	[ "$(grep -n index.m3u8 order | head -n 1 | cut -d: -f1)" -lt 20 ] || { cat order; false; }
	# What was in no window any more goes as it came, though the process found it by a scan.
	sed 's|.*/||; s/.ts$//; /[^0-9]/d' order | awk '$1 > 15 { next } $1 + 6 < most { print $1 " after " most; bad = 1 }
		$1 > most { most = $1 } END { exit bad || most != 15 }' || { cat order; false; }
	eventually 10 test ! -e "$SPOOL"/pending/live/a/720p/index.m3u8
	[ -z "$(find "$SPOOL"/pending -type f)" ]
	grep -q 'trying again, nothing is lost' err
}

@test "a proxy that answers 503, and one that hangs up, over TLS" {
	local port
	port=$(free_port)
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem \
		-days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
	s3_front "listen 127.0.0.1:$port ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;"
	eventually 10 curl -sk -o /dev/null "https://localhost:$port"
	run -78 --separate-stderr timeout 60 lv-s3push --root root --dest "s3://$B" --endpoint "https://localhost:$port" --once
	[[ "$stderr" == *certificate* ]]
	touch busy
	export AWS_CA_BUNDLE=$PWD/cert.pem
	watch --endpoint "https://localhost:$port"
	segment live/a/720p/1.ts
	wait_event events 20 '.event == "store.away" and (.reason | endswith("answers 503"))'
	touch cut
	rm busy
	wait_event events 20 '.event == "store.away" and (.reason | contains("answers") | not)'
	rm cut
	pushed live/a/720p/1.ts 40
	stored live/a/720p/1.ts
}

@test "configuration errors in words, and their statuses" {
	local url
	segment live/a/720p/1.ts
	AWS_SECRET_ACCESS_KEY=wrong run -77 --separate-stderr once
	[ "$stderr" = "lv-s3push: the secret of access key lvkey is wrong" ]
	AWS_ACCESS_KEY_ID=nobody run -77 --separate-stderr once
	[ "$stderr" = "lv-s3push: the access key nobody is not known there" ]
	DEST=s3://no-such-bucket run -78 --separate-stderr once
	[ "$stderr" = "lv-s3push: there is no bucket no-such-bucket at $S3_URL" ]
	AWS_ACCESS_KEY_ID='' run -78 --separate-stderr once --credentials none
	[ "$stderr" = "lv-s3push: no access key: none in the environment, and cannot read none: No such file or directory" ]
	printf '[default]\naws_access_key_id = lvkey\naws_secret_access_key = lvsecret\n' >cred
	chmod 644 cred
	run -77 --separate-stderr once --credentials cred
	[[ "$stderr" == *"chmod 600 cred" ]]
	chmod 600 cred
	AWS_ACCESS_KEY_ID='' AWS_SHARED_CREDENTIALS_FILE=cred once
	stored live/a/720p/1.ts
	run -64 lv-s3push --root root
	run -64 lv-s3push --root root --dest http://x
	run -64 once --jobs 0
	for url in http:// ftp://host https://user@host https://host/path 'https://host?x'; do
		run -64 --separate-stderr lv-s3push --root root --dest "s3://$B" --endpoint "$url"
		[ "$stderr" = "lv-s3push: --endpoint $url: not http://HOST[:PORT] or https://HOST[:PORT]" ]
	done
	ROOTED=none run -66 once
}

@test "the access key comes from systemd's credentials, from a profile, and with a session token" {
	local port token i
	segment live/a/720p/1.ts
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	mkdir creds home home/.aws
	printf 'aws_access_key_id = lvkey\naws_secret_access_key = lvsecret\n' >creds/s3
	printf '[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n[tv]\naws_access_key_id = lvkey\naws_secret_access_key = lvsecret\n' >home/.aws/credentials
	chmod 600 creds/s3 home/.aws/credentials
	CREDENTIALS_DIRECTORY=$PWD/creds DEST=s3://$B/1 once
	AWS_SHARED_CREDENTIALS_FILE=home/.aws/credentials AWS_PROFILE=radio run -78 --separate-stderr once
	[ "$stderr" = "lv-s3push: profile radio of home/.aws/credentials holds no aws_access_key_id with its aws_secret_access_key" ]
	env -u AWS_SHARED_CREDENTIALS_FILE HOME="$PWD/home" AWS_PROFILE=tv "$BUILD/bin/lv-s3push" --root root --dest "s3://$B/2" --endpoint "$S3_URL" --once
	export AWS_ACCESS_KEY_ID=lvkey AWS_SECRET_ACCESS_KEY=lvsecret
	stored 1/live/a/720p/1.ts
	stored 2/live/a/720p/1.ts
	# A second gateway before the same store, which knows tokens (and tells fewer faults apart).
	port=$(free_port)
	radosgw -n client.rgw.a -f --rgw-s3-auth-use-sts=true --rgw-sts-key=0123456789abcdef \
		--rgw-frontends="beast endpoint=127.0.0.1:$port tcp_nodelay=1" --log-file="$PWD/rgw.log" >rgw.out 2>&1 3>&- &
	FRONT=$!
	radosgw-admin -n client.rgw.a role create --role-name=pusher --assume-role-policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/lv"]},"Action":["sts:AssumeRole"]}]}' >/dev/null 2>&1
	radosgw-admin -n client.rgw.a role-policy put --role-name=pusher --policy-name=p --policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::*"}]}' >/dev/null 2>&1
	eventually 30 curl -so /dev/null "http://127.0.0.1:$port"
	aws --endpoint-url "http://127.0.0.1:$port" sts assume-role --role-arn arn:aws:iam:::role/pusher --role-session-name test >role.json
	for i in AccessKeyId SecretAccessKey SessionToken; do jq -r ".Credentials.$i" role.json >"$i"; done
	token=$(cat SessionToken)
	for i in 3 4; do
		AWS_ACCESS_KEY_ID=$(cat AccessKeyId) AWS_SECRET_ACCESS_KEY=$(cat SecretAccessKey) AWS_SESSION_TOKEN=$token run --separate-stderr \
			lv-s3push --root root --dest "s3://$B/$i" --endpoint "http://127.0.0.1:$port" --once
		echo "$status" >>statuses
		token=
	done
	[ "$(tr '\n' ' ' <statuses)" = "0 77 " ]
	stored 3/live/a/720p/1.ts
	unstored 4/live/a/720p/1.ts
}

@test "a wrong key is waited out: the backlog is kept, and goes when the file holds the right one" {
	printf 'aws_access_key_id=lvkey\naws_secret_access_key=wrong\n' >cred
	chmod 600 cred
	watch --credentials cred
	segment live/a/720p/1.ts
	wait_event events 20 '.event == "store.refused" and .code == "SignatureDoesNotMatch"'
	rm root/live/a/720p/1.ts
	sed -i s/wrong/lvsecret/ cred
	pushed live/a/720p/1.ts 40
	stored live/a/720p/1.ts
}

@test "a reader that may not write is told so" {
	segment live/a/720p/1.ts
	radosgw-admin -n client.rgw.a user create --uid=reader --display-name=r --access-key=rkey --secret=rsecret >/dev/null 2>&1
	policy '{"AWS":["arn:aws:iam:::user/reader"]}' '["s3:ListBucket","s3:GetObject"]'
	AWS_ACCESS_KEY_ID=rkey AWS_SECRET_ACCESS_KEY=rsecret run -77 --separate-stderr once
	[[ "$stderr" == *"access key rkey has no right to do this in bucket $B (AccessDenied)"* ]]
}

@test "what left the tree leaves the bucket when its time is over; archives stay" {
	local i
	watch --expire-s 1
	mkdir -p root/archive/a
	for i in {1..12}; do segment "live/a/720p/$i&<$i>.ts"; done
	ln "root/live/a/720p/1&<1>.ts" root/archive/a/1.ts
	for i in {1..12}; do pushed "live/a/720p/$i&<$i>.ts"; done
	pushed archive/a/1.ts
	rm root/live/a/720p/[1-9]*.ts root/archive/a/1.ts
	segment live/a/720p/13.ts
	wait_event events 20 '.event == "objects.expired"'
	eventually 10 unstored 'live/a/720p/12&%3C12%3E.ts'
	[ "$(s3_keys "$B" | tr '\n' ' ')" = "archive/a/1.ts live/a/720p/13.ts " ]
	# What went while nobody watched goes as well.
	kill -9 "$PID"
	wait "$PID" || :
	rm root/live/a/720p/13.ts
	watch --expire-s 0
	eventually 20 unstored live/a/720p/13.ts
	stored archive/a/1.ts
}

@test "lists and deletions that are answered oddly: asked again, and nothing is forgotten" {
	local port
	port=$(free_port)
	s3_front "listen 127.0.0.1:$port; access_log $PWD/asked;
		set \$odd \$request_method;
		if (!-f $PWD/odd) { set \$odd no; }
		if (\$odd = GET) { return 200 '<ListBucketResult><Part><Size>1</Size></Part></ListBucketResult>'; }
		if (\$odd = POST) { return 200 '<html><p>Please log in</html>'; }"
	eventually 10 curl -s -o /dev/null "http://127.0.0.1:$port"
	segment live/a/720p/1.ts
	: >asked
	touch odd
	S3_URL=http://127.0.0.1:$port once 3>&- &
	PID=$!
	eventually 20 grep -q GET asked
	rm odd
	wait "$PID"
	stored live/a/720p/1.ts
	watch --expire-s 1 --endpoint "http://127.0.0.1:$port"
	segment live/a/720p/2.ts
	pushed live/a/720p/2.ts
	touch odd
	rm root/live/a/720p/2.ts
	wait_event events 20 '.event == "store.away" and (.reason | contains("deletion"))'
	rm odd
	eventually 20 unstored live/a/720p/2.ts
}

@test "events that the kernel dropped are made good by a scan" {
	watch
	kill -STOP "$PID"
	segment live/a/720p/1.ts
	python3 -c 'for i in range(int(open("/proc/sys/fs/inotify/max_queued_events").read()) + 999):
		open(f"root/live/a/720p/{i % 9}.tmp", "w").close()'
	segment live/a/720p/2.ts
	kill -CONT "$PID"
	wait_event events 20 '.event == "tree.rescanned"'
	pushed live/a/720p/1.ts
	pushed live/a/720p/2.ts
}

@test "a segment that is nowhere becomes a gap; one that only the bucket has does not" {
	s3 PUT "$B/live/a/720p/1.ts" --data-binary old -H 'Content-Type: video/mp2t'
	stored live/a/720p/1.ts
	watch
	segment live/a/720p/3.ts
	playlist live/a/720p/old.m3u8 1.ts 2.ts 3.ts 4.ts
	sed '1a #EXT-X-VERSION:3' root/live/a/720p/old.m3u8 >new && mv new root/live/a/720p/index.m3u8
	wait_event events 20 '.event == "object.lost" and .path == "live/a/720p/2.ts"'
	pushed live/a/720p/index.m3u8
	pushed live/a/720p/old.m3u8
	s3 GET "$B/live/a/720p/index.m3u8" | diff - <(sed '/^[24].ts/i #EXT-X-GAP
		s/VERSION:3/VERSION:8/' root/live/a/720p/index.m3u8)
	s3 GET "$B/live/a/720p/old.m3u8" | diff - <(sed '/^[24].ts/i #EXT-X-GAP' root/live/a/720p/old.m3u8)
}

@test "one process a destination; a backlog that nobody pushes is named" {
	watch
	run -75 --separate-stderr timeout 20 lv-s3push --root root --dest "s3://$B" --endpoint "$S3_URL"
	[[ "$stderr" == *"another lv-s3push pushes to s3://$B from .lv-s3push"* ]]
	kill "$PID"
	wait "$PID"
	DEST=s3://$B/other watch
	grep -q "warning: .lv-s3push/${SPOOL##*/} is the backlog of a destination that nobody pushes to" err
	segment live/a/720p/1.ts
	pushed live/a/720p/1.ts
	stored other/live/a/720p/1.ts
}

@test "two destinations, one of them dead, then slow: the other is not held up, and nothing is lost" {
	local dead i
	dead=$(free_port)
	s3 PUT "$B-2"
	printf 'aws_access_key_id=lvkey\naws_secret_access_key=lvsecret\n' >cred
	chmod 600 cred
	: >events
	lv-s3push --root root --dest "s3://$B-2/two,endpoint=http://127.0.0.1:$dead,credentials=cred,max-kbps=800" \
		--dest "s3://$B" --endpoint "$S3_URL" --events events 2>err 3>&- &
	PID=$!
	wait_event events 20 ".event == \"tree.watched\" and .dest == \"s3://$B-2/two s3://$B\""
	for i in 1 2 3; do segment "live/a/720p/$i.ts" 100000; done
	playlist live/a/720p/index.m3u8 1.ts 2.ts 3.ts
	wait_event events 20 ".event == \"object.pushed\" and .dest == \"s3://$B\" and (.path | endswith(\".m3u8\"))" >first
	[ "$(jq .lag_ms first)" -lt 3000 ]
	wait_event events 20 ".event == \"store.away\" and .dest == \"s3://$B-2/two\""
	grep -q "^lv-s3push: warning: s3://$B-2/two: .*trying again" err
	rm root/live/a/720p/[1-3].ts
	s3_front "listen 127.0.0.1:$dead;"
	wait_event events 40 ".event == \"object.pushed\" and .dest == \"s3://$B-2/two\" and (.path | endswith(\".m3u8\"))" >late
	# 300 KB at 800 kbit/s take 3 s; what comes meanwhile does not wait for them at the other.
	[ "$(s3_keys "$B-2" | grep -c '^two/live/a/720p/[123].ts')" = 3 ]
	segment live/a/720p/4.ts
	wait_event events 20 ".event == \"object.pushed\" and .dest == \"s3://$B\" and .path == \"live/a/720p/4.ts\"" >fast
	[ "$(jq .lag_ms fast)" -lt 3000 ]
	rm root/live/a/720p/index.m3u8
	lv-s3push --root root --dest "s3://$B/x" --dest "s3://$B-2/x" --endpoint "$S3_URL" --once
	stored x/live/a/720p/4.ts
	s3_keys "$B-2" | grep -qx x/live/a/720p/4.ts
	run -78 --separate-stderr lv-s3push --root root --dest "s3://$B/y" --dest s3://nowhere-1 --endpoint "$S3_URL" --once
	[ "$stderr" = "lv-s3push: s3://nowhere-1: there is no bucket nowhere-1 at $S3_URL" ]
	stored y/live/a/720p/4.ts
	run -64 --separate-stderr lv-s3push --root root --dest "s3://$B,colour=red" --once
	[[ "$stderr" == *"after a comma there is one of region="* ]]
}

@test "a large file goes in parts, and is gone on with after kill -9" {
	local key=archive/a/alice.mp4 sum
	mkdir -p root/archive/a
	segment $key 70000000
	sum=$(sha256sum <root/$key)
	watch --max-kbps 320000
	held() { # parts of the one upload
		local id
		id=$(s3 GET "$B?uploads=" | sed -n 's/.*<UploadId>\([^<]*\).*/\1/p')
		[ -n "$id" ] && [ "$(s3 GET "$B/$key?uploadId=$id" | grep -o '<PartNumber>' | wc -l)" -ge "$1" ]
	}
	eventually 30 held 1
	unstored $key
	kill -9 "$PID"
	wait "$PID" || :
	rm root/$key
	watch -v
	pushed $key 40
	grep -qE "going on with $key, of which [1234] of 5 parts are there" err
	[ -z "$(s3 GET "$B?uploads=" | grep -o '<UploadId>')" ]
	[ "$(s3 GET "$B/$key" | sha256sum)" = "$sum" ]
	[ "$(jq -r "select(.event == \"object.pushed\" and .path == \"$key\").size_bytes" events)" = 70000000 ]
	s3 HEAD "$B/$key" -I >head
	grep -qi '^content-type: video/mp4' head
	grep -qi '^etag: "[0-9a-f]*-5"' head
	[ ! -e "$SPOOL/pending/$key" ]
}

@test "verify: missing, other bytes, other labels, extra; and --once puts it right" {
	local i
	mkdir -p root/archive/a
	for i in 1 2 3 4 5; do segment "live/a/720p/$i.ts"; done
	segment archive/a/other.mp4 68000000
	playlist live/a/720p/index.m3u8 1.ts 2.ts
	once
	lv-s3push --root root --dest "s3://$B" --endpoint "$S3_URL" --verify >report
	jq -e '.event == "tree.verified" and .files == 7 and .same == 7 and .differing == 0 and .extra == 0 and .bytes > 68000000' report
	s3 DELETE "$B/live/a/720p/1.ts"
	head -c 20000 /dev/zero | s3 PUT "$B/live/a/720p/2.ts" --data-binary @- -H 'Content-Type: video/mp2t' -H 'Cache-Control: public, max-age=86400, immutable'
	head -c 20001 root/live/a/720p/3.ts | s3 PUT "$B/live/a/720p/3.ts" --data-binary @- -H 'Content-Type: text/plain'
	echo x >>root/live/a/720p/3.ts
	s3 PUT "$B/live/a/720p/4.ts" --data-binary @root/live/a/720p/4.ts -H 'Content-Type: video/mp2t'
	s3 PUT "$B/live/a/720p/9.ts" --data-binary extra
	printf x | dd of=root/archive/a/other.mp4 bs=1 seek=40000000 conv=notrunc status=none
	touch -d '1 hour ago' root/archive/a/other.mp4
	run -1 --separate-stderr lv-s3push --root root --dest "s3://$B" --endpoint "$S3_URL" --verify
	[ -z "$stderr" ]
	jq -r 'select(.event == "object.differs") | .path + " " + .reason' <<<"$output" | sort | diff - <(cat <<-'END'
		archive/a/other.mp4 content
		live/a/720p/1.ts missing
		live/a/720p/2.ts content
		live/a/720p/3.ts size
		live/a/720p/4.ts cache
	END
	)
	[ "$(jq -r 'select(.event == "object.extra").path' <<<"$output")" = live/a/720p/9.ts ]
	once --verify
	[ "$(jq -s 'map(select(.event == "object.differs")) | length' events)" = 5 ]
	lv-s3push --root root --dest "s3://$B" --endpoint "$S3_URL" --verify >report
	stored live/a/720p/9.ts
	run -78 --separate-stderr lv-s3push --root root --dest s3://nowhere-1 --endpoint "$S3_URL" --verify
	[ "$stderr" = "lv-s3push: there is no bucket nowhere-1 at $S3_URL" ]
}

@test "a full disk under the journal: it is said, and pushing goes on" {
	unshare -rm true 2>/dev/null || skip "no namespaces"
	cat >inside <<-'END'
		source "$ROOT/tests/lib/wait.bash"
		mount -t tmpfs -o size=256k tmpfs root && mkdir -p root/live/a
		lv-s3push --root root --dest "s3://$1" --endpoint "$S3_URL" --events events 2>err & pid=$!
		wait_event events 20 '.event == "tree.watched"'
		echo segment >root/live/a/1.ts
		cat /dev/zero >root/full 2>/dev/null
		for n in 2 3 4; do ln root/live/a/1.ts root/live/a/$n.ts; done
		wait_event events 20 '.event == "object.pushed" and (.path // .key | test("4.ts"))'
		kill $pid; wait $pid
	END
	timeout 60 unshare -rm bash inside "$B" 3>&-
	stored live/a/4.ts
}

@test "dry run: says what it would put, and puts nothing; a full standard output is an error" {
	segment live/a/720p/1.ts
	playlist live/a/720p/index.m3u8 1.ts
	once --dry-run >out
	diff out - <<-END
		put s3://$B/live/a/720p/1.ts (video/mp2t; public, max-age=86400, immutable)
		put s3://$B/live/a/720p/index.m3u8 (application/vnd.apple.mpegurl; public, max-age=2)
	END
	[ -z "$(s3_keys "$B")" ]
	run -74 bash -c 'lv-s3push --root root --dest "s3://$1" --endpoint "$S3_URL" --dry-run >/dev/full' - "$B"
}

@test "a limit of the bandwidth is kept" {
	segment live/a/720p/1.ts 600000
	local began=${EPOCHREALTIME/./} took
	once --max-kbps 2400
	took=$((${EPOCHREALTIME/./} - began))
	((took > 1600000))
	stored live/a/720p/1.ts
}

@test "a clock that is twenty minutes fast is said, and the store's is used" {
	case $BUILD in *asan*) skip "the sanitizers and libfaketime do not share a process" ;; esac
	command -v faketime >/dev/null || skip "no faketime"
	segment live/a/720p/1.ts
	run -0 --separate-stderr faketime -f +20m lv-s3push --root root --dest "s3://$B" --endpoint "$S3_URL" --once
	[[ "$stderr" =~ "the clock of this machine differs from that of $S3_URL by "(1199|120[01])" s: set it" ]]
	stored live/a/720p/1.ts
}

@test "metrics: puts by outcome, lag of the whole and of a stream; the backlog of an outage" {
	command -v promtool >/dev/null || skip "no promtool"
	watch --metrics "unix:$PWD/push.metrics"
	segment live/a/720p/1.ts
	playlist live/a/720p/index.m3u8 1.ts
	pushed live/a/720p/index.m3u8
	scrape push.metrics
	has 'lv_s3_puts_total{dest="s3://'"$B"'",outcome="stored"} 2'
	has 'lv_s3_lag_seconds_count{dest="s3://'"$B"'"} 2'
	has 'lv_s3_stream_lag_seconds{dest="s3://'"$B"'",stream="a"} *'
	has 'lv_s3_backlog_files{dest="s3://'"$B"'"} 0'
	has 'lv_s3_up{dest="s3://'"$B"'"} 1'
	rgw_stop
	segment live/a/720p/2.ts
	eventually 20 scraped_has push.metrics 'lv_s3_up{dest="s3://'"$B"'"} 0'
	has 'lv_s3_backlog_files{dest="s3://'"$B"'"} 1'
	has 'lv_s3_backlog_bytes{dest="s3://'"$B"'"} 20000'
	older() { scrape push.metrics >/dev/null && grep -q '^lv_s3_backlog_age_seconds{.*} [1-9]' scraped; }
	eventually 20 older
	has 'lv_s3_puts_total{dest="s3://'"$B"'",outcome="away"} *'
	has 'lv_s3_errors_total{dest="s3://'"$B"'",code="0"} *'
	rgw_start
	pushed live/a/720p/2.ts
	none() { scraped_has push.metrics 'lv_s3_backlog_age_seconds{dest="s3://'"$B"'"} 0'; }
	eventually 20 none
}

# cdn: examples/nginx-cdn.conf between us and the bucket $B, at $CDN.
cdn() {
	local port
	port=$(free_port)
	mkdir cdn
	sed "s|127.0.0.1:8333|127.0.0.1:$S3_PORT|; s|127.0.0.1:8081|127.0.0.1:$port|; s|lv-site|$B|; s|^worker_processes.*|daemon off; master_process off;|" \
		"$ROOT/examples/nginx-cdn.conf" >cdn/nginx.conf
	/usr/sbin/nginx -p "$PWD/cdn" -c "$PWD/cdn/nginx.conf" 2>cdn.err 3>&- &
	FRONT=$! CDN=http://127.0.0.1:$port
	eventually 10 curl -so /dev/null "$CDN"
}

@test "nginx as in the example: odd names arrive, no line of a viewer's gets into the request, no query does" {
	policy '"*"' '["s3:GetObject","s3:ListBucket"]'
	printf odd >"root/live/a/720p/a b+c%d?ü.ts"
	playlist live/a/720p/index.m3u8 a%20b%2Bc%25d%3F%C3%BC.ts
	once
	cdn
	code() { curl -s --path-as-is -o got -w '%{http_code}' "$CDN/$1"; }
	[ "$(code live/a/720p/a%20b%2Bc%25d%3F%C3%BC.ts)" = 200 ]
	[ "$(cat got)" = odd ]
	[ "$(code live/a/720p/index.m3u8%20HTTP/1.1%0d%0aX-A:%20b%0d%0a%0d%0a)" = 404 ]
	[ "$(code 'live/a/720p/index.m3u8?versionId=no&acl')" = 200 ]
	cmp got root/live/a/720p/index.m3u8
}

sockets() { find "/proc/$PID/fd" -lname 'socket:*' | wc -l; }
one_more_than() { [ "$(sockets)" -gt "$1" ]; }

@test "what is in flight when it has to leave is no outage: nothing is said of it" {
	local n
	watch
	n=$(sockets)
	rgw_hang
	segment live/a/720p/1.ts
	eventually 20 one_more_than "$n" || { rgw_wake; false; }
	kill "$PID"
	wait "$PID" || :
	rgw_wake
	[ ! -s err ] || { cat err; false; }
	run -0 grep -c push.ended events
	! grep -E 'store\.(away|refused)' events
}
