# Recordings from a bucket and into one: a real radosgw; curl and what lv-vod makes of the same archive here are the
# judges.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/s3

setup_file() {
	command -v radosgw >/dev/null || return 0
	cd "$BATS_FILE_TMPDIR" || return
	ffmpeg -v error -f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 -preset ultrafast \
		-b:v 5500k -g 60 -sc_threshold 0 -c:a aac -f flv a.flv
	flvmark 01jdabcdef0 7 s1 end a.flv | lv-segment --dir live --archive archive/alice
	flvmark 01jdabcdef0 7 s1 end a.flv | lv-segment --dir live-ts --archive archive-ts --format ts
	export ARCHIVE=$PWD/archive/alice/01jdabcdef0 WANT=$PWD/want.mp4
	lv-vod "$ARCHIVE" -o want.mp4
	s3_start
	export AWS_ENDPOINT_URL=$S3_URL
	s3 PUT tvbox
	lv-s3push --once --root archive --dest s3://tvbox/archive
	lv-s3push --once --root archive-ts --dest s3://tvbox/ts
}

teardown_file() { s3_stop; }

setup() {
	command -v radosgw >/dev/null || skip "no radosgw"
	mkdir "$BATS_TEST_TMPDIR/here" "$BATS_TEST_TMPDIR/tmp"
	cd "$BATS_TEST_TMPDIR/here" || return
	export TMPDIR=$BATS_TEST_TMPDIR/tmp
	FROM=s3://tvbox/archive/alice/01jdabcdef0
}

stored() { s3 GET "tvbox/$1" | cmp - "$2"; } # KEY FILE
# Unfinished uploads of a key, "ID PARTS" each.
uploads() {
	local id
	s3 GET "tvbox?uploads=" | grep -oE '<Key>[^<]*</Key><UploadId>[^<]*' | sed -n "s|<Key>$1</Key><UploadId>||p" | while read -r id; do
		echo "$id $(s3 GET "tvbox/$1?uploadId=$id" | grep -c -o '<PartNumber>' || :)"
	done
}
has_part() { uploads "$1" | grep -q ' [1-9]'; }

@test "the operator's one-off: s3://BUCKET/alice/BROADCAST -o FILE, the same bytes as from the disk" {
	lv-vod "$FROM" -o alice-913.mp4
	cmp alice-913.mp4 "$WANT"
	lv-vod "$FROM/source/index.m3u8" "$FROM/source/index.m3u8" --audio none -o b.mp4 2>err
	lv-vod "$ARCHIVE/source/index.m3u8" "$ARCHIVE/source/index.m3u8" --audio none -o c.mp4 2>err
	cmp b.mp4 c.mp4
	lv-vod s3://tvbox/ts/01jdabcdef0 -o ts.mp4
	lv-vod "$BATS_FILE_TMPDIR/archive-ts/01jdabcdef0" -o want.mp4
	cmp ts.mp4 want.mp4
	lv-vod "$FROM" --from 0:11.5 --to 15 -o clip.mp4
	lv-vod "$ARCHIVE" --from 0:11.5 --to 15 -o want.mp4
	cmp clip.mp4 want.mp4
}

@test "without a journal its playlists, without those its names; a segment that is missing is a hole" {
	cp -r "$ARCHIVE" x
	rm x/segments.ndjson
	lv-s3push --once --root x --dest s3://tvbox/lists
	lv-vod s3://tvbox/lists/ -o a.mp4
	cmp a.mp4 "$WANT"
	rm x/*/index.m3u8 x/source/*-7.m4s
	lv-s3push --once --root x --dest s3://tvbox/bare
	printf '%s\n' s3://tvbox/bare | lv-vod - -o b.mp4 --report r.json 2>err
	lv-vod x -o want.mp4 2>err
	cmp b.mp4 want.mp4
	[ "$(jq -c '[.guessed, (.dur_ms - 18000 | fabs < 2), .counts.closed]' r.json)" = '[true,true,1]' ] || { cat r.json; false; }
	grep -v -- '-7.m4s' "$ARCHIVE/segments.ndjson" >x/segments.ndjson
	cp "$ARCHIVE/segments.ndjson" x/
	lv-s3push --once --root x --dest s3://tvbox/hole
	lv-vod s3://tvbox/hole -o c.mp4 --report r.json 2>err
	[ "$(jq -c '[.counts.missing, (.dur_ms - 18000 | fabs < 2)]' r.json)" = '[1,true]' ]
}

@test "from bucket to bucket, nothing of it here; the object has its type, and its index first" {
	lv-vod "$FROM" -o s3://tvbox/out/a.mp4 --events 3 3>ev
	stored out/a.mp4 "$WANT"
	[ "$(jq -r 'select(.event == "vod.ready") | .path' ev)" = s3://tvbox/out/a.mp4 ]
	s3 HEAD tvbox/out/a.mp4 -I | grep -qi '^content-type: video/mp4'
	[ -z "$(uploads out/a.mp4)" ]
	rm ev
	[ -z "$(ls -A . "$TMPDIR" | grep -v :)" ]
	lv-vod "$ARCHIVE" --rung source --audio none -o s3://tvbox/out/b.mp4
	lv-vod "$ARCHIVE" --rung source --audio none -o b.mp4
	stored out/b.mp4 b.mp4
	ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=openat,creat -o calls lv-vod "$FROM" -o s3://tvbox/out/c.mp4
	! grep -E 'O_(WRONLY|RDWR)' calls | grep -v -e O_TMPFILE -e /dev/null
}

@test "killed in the middle, run again: one correct object, what was sent is kept, no upload is left" {
	# 70 MB: when the server has the first of its parts, the run is in the middle.
	lv-vod -q "$FROM" "$FROM" "$FROM" "$FROM" "$FROM" -o s3://tvbox/kill/a.mp4 3>&- &
	pid=$!
	eventually 30 has_part kill/a.mp4
	kill -9 "$pid"
	wait "$pid" || :
	eventually 10 gone_child "$pid"
	[ "$(uploads kill/a.mp4 | wc -l)" = 1 ]
	s3 HEAD tvbox/kill/a.mp4 -I | head -n 1 | grep -q 404
	lv-vod -q "$FROM" "$FROM" "$FROM" "$FROM" "$FROM" -o s3://tvbox/kill/a.mp4 --events 1 >ev
	lv-vod -q "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" -o want.mp4
	stored kill/a.mp4 want.mp4
	[ -z "$(uploads kill/a.mp4)" ]
	[ "$(jq 'select(.event == "vod.ready").kept_bytes >= 8388608' ev)" = true ]
	rm want.mp4
}
gone_child() { ! pgrep -f "lv-vod -q $FROM $FROM" >/dev/null; }

@test "parts of other runs: the right one is kept, a wrong one is sent again, older uploads are ended" {
	begin() { s3 POST "tvbox/mix/a.mp4?uploads=" | sed -n 's|.*<UploadId>\(.*\)</UploadId>.*|\1|p'; }
	part() { s3 PUT "tvbox/mix/a.mp4?partNumber=$2&uploadId=$1" --data-binary @"$3"; }
	head -c 8388608 "$WANT" >1
	head -c 8388608 /dev/urandom >wrong
	old=$(begin)
	part "$old" 1 wrong
	sleep 1.1 # the server tells the age of an upload in seconds
	new=$(begin)
	part "$new" 1 1
	part "$new" 2 wrong
	s3 POST "tvbox/mix/a.mp4.old?uploads=" >/dev/null # another object's
	lv-vod "$FROM" -o s3://tvbox/mix/a.mp4 --events 3 3>ev
	stored mix/a.mp4 "$WANT"
	[ -z "$(uploads mix/a.mp4)" ]
	[ "$(uploads mix/a.mp4.old | wc -l)" = 1 ]
	[ "$(jq 'select(.event == "vod.ready").kept_bytes' ev)" = 8388608 ]
	new=$(begin)
	part "$new" 1 1
	part "$new" 9 wrong # of something longer
	lv-vod "$FROM" -o s3://tvbox/mix/a.mp4
	stored mix/a.mp4 "$WANT"
	[ -z "$(uploads mix/a.mp4)" ]
}

@test "an unfinished upload that the store does not name is none" {
	local port
	port=$(free_port)
	s3_front "listen 127.0.0.1:$port; if (\$args ~ prefix=) { return 200
		'<ListMultipartUploadsResult><Upload><Key>odd.mp4</Key></Upload></ListMultipartUploadsResult>'; }"
	eventually 10 curl -s -o /dev/null "http://127.0.0.1:$port"
	run lv-vod "$ARCHIVE" -o s3://tvbox/odd.mp4 --endpoint "http://127.0.0.1:$port" 3>&-
	kill "$FRONT"
	[ "$status" = 0 ]
	stored odd.mp4 "$WANT"
}

@test "encoded again into a bucket: nothing of it here; killed, failed or told to end it leaves no upload for long" {
	local pid ended=0 all=("$FROM" "$FROM" "$FROM" "$FROM" "$FROM")
	lv-vod -q "${all[@]}" --encode-with '-c copy' -o s3://tvbox/enc/a.mp4 2>err 3>&- &
	pid=$!
	eventually 30 has_part enc/a.mp4
	kill -9 "$pid"
	wait "$pid" || :
	lv-vod -q "${all[@]}" --encode-with '-c copy' -o s3://tvbox/enc/a.mp4 --events 3 3>ev
	[ -z "$(uploads enc/a.mp4)" ]
	lv-vod -q "${all[@]}" --encode-with '-c copy' -o - >want.mp4
	stored enc/a.mp4 want.mp4
	[ "$(jq 'select(.event == "vod.ready") | .size_bytes, .kept_bytes' ev | xargs)" = "$(stat -c %s want.mp4) null" ]
	s3 HEAD tvbox/enc/a.mp4 -I | grep -qi '^content-type: video/mp4'
	rm want.mp4 ev err
	[ -z "$(ls -A . "$TMPDIR" | grep -v :)" ]
	run -74 --separate-stderr lv-vod "$FROM" --encode-with '-c:v nosuch' -o s3://tvbox/enc/no.mp4
	[[ $stderr = *"lv-vod: ffmpeg could not encode it: s3://tvbox/enc/no.mp4 is not written" ]]
	lv-vod -q "${all[@]}" --encode-with '-c copy' -o s3://tvbox/enc/no.mp4 2>err 3>&- &
	pid=$!
	eventually 30 has_part enc/no.mp4
	kill "$pid"
	wait "$pid" || ended=$?
	[ "$ended" = 75 ]
	[ -z "$(uploads enc/no.mp4)" ]
	s3 HEAD tvbox/enc/no.mp4 -I | head -n 1 | grep -q 404
	lv-vod "$FROM" --from 0:11.5 --to 12 --reencode -o s3://tvbox/enc/clip.mp4
	s3 GET tvbox/enc/clip.mp4 | ffprobe -v error -count_packets -show_entries stream=codec_name,nb_read_packets -of csv=p=0 - | grep -qx h264,15
}

@test "told to end it takes its upload back" {
	lv-vod -q "$FROM" "$FROM" "$FROM" "$FROM" "$FROM" -o s3://tvbox/term/a.mp4 2>err 3>&- &
	pid=$!
	eventually 30 has_part term/a.mp4
	kill "$pid"
	ended=0
	wait "$pid" || ended=$?
	[ "$ended" = 75 ]
	[ "$(cat err)" = "lv-vod: interrupted: s3://tvbox/term/a.mp4 is not written; run it again" ]
	[ -z "$(uploads term/a.mp4)" ]
	s3 HEAD tvbox/term/a.mp4 -I | head -n 1 | grep -q 404
}

@test "a server that goes away in the middle and comes back" {
	lv-vod -q "$FROM" "$FROM" "$FROM" "$FROM" "$FROM" -o s3://tvbox/away/a.mp4 2>err 3>&- &
	pid=$!
	eventually 30 has_part away/a.mp4
	rgw_stop
	rgw_start
	wait "$pid"
	lv-vod -q "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" "$ARCHIVE" -o want.mp4
	stored away/a.mp4 want.mp4
	[ -z "$(uploads away/a.mp4)" ]
	rm want.mp4
}

@test "--playlist over an archive in a bucket" {
	cp -r "$ARCHIVE" x
	lv-vod --playlist x
	lv-vod --playlist "$FROM/"
	for f in vod.m3u8 source/vod.m3u8 audio-source/vod.m3u8; do
		stored "archive/alice/01jdabcdef0/$f" "x/$f"
	done
}

@test "what is wrong with a bucket is said in words" {
	run -78 --separate-stderr env AWS_SECRET_ACCESS_KEY=other lv-vod "$FROM" -o a.mp4
	[ "$stderr" = "lv-vod: the secret of access key lvkey is wrong" ]
	run -78 --separate-stderr lv-vod "$ARCHIVE" -o s3://no-such-box/a.mp4
	[ "$stderr" = "lv-vod: there is no bucket no-such-box at $S3_URL" ]
	run -78 --separate-stderr env -u AWS_ACCESS_KEY_ID AWS_SHARED_CREDENTIALS_FILE=/no/such lv-vod "$FROM" -o a.mp4
	[ "$stderr" = "lv-vod: no access key: none in the environment, and cannot read /no/such: No such file or directory" ]
	run -66 --separate-stderr lv-vod s3://tvbox/archive/bob -o a.mp4
	[ "$stderr" = "lv-vod: cannot read s3://tvbox/archive/bob: No such file or directory" ]
	run -64 --separate-stderr lv-vod "$FROM" -o s3://tvbox/
	[ "$stderr" = "lv-vod: --output s3://tvbox/: not s3://BUCKET/KEY" ]
	run -64 --separate-stderr lv-vod http://127.0.0.1/a -o a.mp4
	[ "$stderr" = "lv-vod: http://127.0.0.1/a: neither of this machine nor in a bucket; mirror it first" ]
	[ -z "$(ls -A)" ]
}
