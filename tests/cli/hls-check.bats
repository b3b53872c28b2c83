# examples/hls-check: silent about what lv-segment writes, loud about each thing broken on purpose.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	export GOOD=$BATS_FILE_TMPDIR/good
	mkdir -p "$GOOD"
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=30 -f lavfi -i sine=r=44100 -t 10 -c:v libx264 \
		-preset ultrafast -g 60 -bf 2 -pix_fmt yuv420p -c:a aac -f flv pipe:1 3>&- |
		LV_STREAM=demo lv-segment --dir "$GOOD" --archive "$BATS_FILE_TMPDIR/archive" 3>&-
}

setup() {
	command -v node >/dev/null || skip "no node"
	cp -r "$GOOD" "$BATS_TEST_TMPDIR/s"
	cd "$BATS_TEST_TMPDIR/s" || exit
}

check() { "$ROOT/examples/hls-check" "$@"; }

@test "hls-check finds nothing wrong in what lv-segment writes" {
	run -0 --separate-stderr check master.m3u8
	[ -z "$stderr" ]
	[ "$(jq -c '[.tracks[].segments]' <<<"$output")" = "[5,5]" ]
	[ "$(jq -c .violations <<<"$output")" = "{}" ]
}

@test "hls-check tells each fault by its name" {
	local rule edit fault
	while IFS='|' read -r rule edit; do
		rm -rf ../broken
		cp -r "$GOOD" ../broken
		(cd ../broken && eval "$edit")
		fault=0
		check ../broken/master.m3u8 >out 2>err || fault=$?
		[ "$fault" = 1 ] && grep -q "^$rule: " err || { echo "$edit: status $fault, no $rule in:"; cat err; false; }
	done <<-'TABLE'
		target|sed -i 's/TARGETDURATION:2/TARGETDURATION:1/' source/index.m3u8
		target|sed -i '/TARGETDURATION/d' source/index.m3u8
		tracks|sed -i 's/TARGETDURATION:2/TARGETDURATION:3/' source/index.m3u8
		tracks|sed -i 's/MEDIA-SEQUENCE:0/MEDIA-SEQUENCE:1/; 0,/EXTINF:2.0/s//EXTINF:1.8/' source/index.m3u8
		tracks|sed -i 's/DISCONTINUITY-SEQUENCE:0/DISCONTINUITY-SEQUENCE:1/' source/index.m3u8
		extinf|sed -i '0,/EXTINF:2.000000/s//EXTINF:1.700000/' source/index.m3u8
		date|sed -i '0,/DATE-TIME:20/s//DATE-TIME:19/' source/index.m3u8
		fetch|rm "$(ls source/*-2.m4s)"
		init|rm source/init-*.mp4
		init|sed -i '/EXT-X-MAP/d' source/index.m3u8
		fragment|truncate -s -1 "$(ls source/*-2.m4s)"
		chain|cp "$(ls source/*-2.m4s)" "$(ls source/*-3.m4s)"
		offset|cp "$(ls audio-source/*-2.m4s)" "$(ls audio-source/*-3.m4s)"
		codecs|sed -i 's/mp4a.40.2/mp4a.40.5/' master.m3u8
		codecs|sed -i 's/avc1.4d/avc1.64/' master.m3u8
		master|rm master.m3u8
	TABLE
}

@test "hls-check sees what changes from one playlist to the next" {
	local rule edit fault pid
	while IFS='|' read -r rule edit; do
		rm -rf ../live err
		cp -r "$GOOD" ../live
		sed -i '/ENDLIST/d' ../live/*/index.m3u8
		check --verbose --for 60 ../live/master.m3u8 >out 2>err 3>&- &
		pid=$!
		eventually 30 grep -q '^segment: source/index.m3u8 4:' err
		(cd ../live && eval "$edit" && sed -i '$a#EXT-X-ENDLIST' ./*/index.m3u8)
		fault=0
		wait "$pid" || fault=$?
		[ "$fault" = 1 ] && grep -q "^$rule: " err || { echo "$edit: status $fault, no $rule in:"; cat err; false; }
	done <<-'TABLE'
		sequence|sed -i '/-4.m4s/d' source/index.m3u8
		target|sed -i 's/TARGETDURATION:2/TARGETDURATION:4/' */index.m3u8
		changed|sed -i '0,/EXTINF:2.000000/s//EXTINF:1.990000/' source/index.m3u8
		fetch|sed -i 's/SEQUENCE:0/SEQUENCE:1/; 0,/-0.m4s/{/EXTINF/d; /PROGRAM/d; /-0.m4s/d}' source/index.m3u8; rm source/*-0.m4s
	TABLE
}
