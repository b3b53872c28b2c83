# lv-s3push against a second S3 server, written by others than the first: OpenStack Swift's, which checks the region.
# aws is the judge.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/s3
load ../lib/swift

setup_file() { ! command -v swift-proxy-server >/dev/null || ! swift_fits || swift_start; }
teardown_file() { swift_stop; }

setup() {
	command -v swift-proxy-server >/dev/null || skip "no swift"
	swift_fits || skip "no extended attributes on this file system"
	cd "$BATS_TEST_TMPDIR" || return 1
	B=bucket-$BATS_TEST_NUMBER
	aws --endpoint-url "$S3_URL" --region "$S3_REGION" s3 mb "s3://$B" >/dev/null
	mkdir -p root/live/a root/archive/a
}
teardown() { [ -z "${PID-}" ] || kill -9 "$PID" 2>/dev/null || :; }

push() { lv-s3push --root root --dest "s3://$B/tv" --endpoint "$S3_URL" --region "$S3_REGION" "$@"; }
api() { aws --endpoint-url "$S3_URL" --region "$S3_REGION" s3api "$@" --bucket "$B"; }
keys() { api list-objects-v2 --query 'Contents[].Key' | jq -r '.[]?'; }

@test "the same on Swift: odd names, order, labels, a large file in parts, verify; region and secret in words" {
	local name="a b+c%d~ü=&?#'(1)*@,;.ts"
	head -c 30000 /dev/urandom >"root/live/a/$name"
	head -c 30000 /dev/urandom >root/live/a/2.ts
	printf '#EXTM3U\n#EXTINF:2,\na%%20b%%2Bc%%25d~%%C3%%BC=%%26%%3F%%23%%27(1)*@,;.ts\n#EXTINF:2,\n2.ts\n' >root/live/a/index.m3u8
	head -c 68000000 /dev/urandom >root/archive/a/big.mp4
	run -78 --separate-stderr lv-s3push --root root --dest "s3://$B/tv" --endpoint "$S3_URL" --once
	[ "$stderr" = "lv-s3push: bucket $B is in region $S3_REGION, not us-east-1: use --region $S3_REGION" ]
	AWS_SECRET_ACCESS_KEY=wrong run -77 --separate-stderr push --once
	[ "$stderr" = "lv-s3push: the secret of access key lv:ci is wrong" ]
	push --once --events events
	[ "$(jq -r 'select(.event == "object.pushed").path' events | grep -n m3u8 | cut -d: -f1)" -ge 3 ]
	keys | diff - <(printf 'tv/%s\n' archive/a/big.mp4 live/a/2.ts "live/a/$name" live/a/index.m3u8)
	api head-object --key tv/archive/a/big.mp4 >head
	jq -e '.ContentLength == 68000000 and .ContentType == "video/mp4" and (.CacheControl | test("immutable")) and (.ETag | test("-5"))' head
	aws --endpoint-url "$S3_URL" --region "$S3_REGION" s3 cp --quiet "s3://$B/tv/live/a/$name" got
	cmp got "root/live/a/$name"
	push --verify >report
	jq -e '.event == "tree.verified" and .same == 4' report
	[ "$(api list-multipart-uploads | jq '.Uploads | length')" = 0 ]
}

@test "the same on Swift: as it comes, and gone when its time is over" {
	lv-s3push --root root --dest "s3://$B/tv" --endpoint "$S3_URL" --region "$S3_REGION" --expire-s 1 --events events 3>&- &
	PID=$!
	wait_event events 20 '.event == "tree.watched"'
	echo 1 >root/live/a/1.ts
	printf '#EXTM3U\n#EXTINF:2,\n1.ts\n' >root/live/a/.new && mv root/live/a/.new root/live/a/index.m3u8
	wait_event events 30 '.event == "object.pushed" and .path == "live/a/index.m3u8"'
	rm root/live/a/1.ts
	wait_event events 30 '.event == "objects.expired"'
	[ "$(keys)" = tv/live/a/index.m3u8 ]
	kill "$PID"
	wait "$PID"
}
