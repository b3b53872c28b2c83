# What every command makes of standard descriptors that are not as usual.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
}

@test "standard input closed is said to be closed, and no other file is read in its place" {
	local command
	for command in "lv-segment --dir site" lv-tee "lv-remux --format mpegts" "lv-transcode --rung source" \
		"lv-hook http://127.0.0.1:9/" "lv-stat --once -"; do
		run -74 --separate-stderr timeout 20 bash -c "$command <&- >/dev/null"
		[ "$stderr" = "${command%% *}: cannot read standard input: Bad file descriptor" ]
	done
}

@test "standard output closed: a new key is written into no other file, and its loss is said" {
	(umask 077 && : >keys)
	run -74 --separate-stderr bash -c 'lv-auth --keys keys add alice >&-'
	[[ $stderr == *"cannot write to standard output"*"nobody has seen the new key of alice: rotate it" ]]
	[ ! -s keys.lock ]
	run -74 --separate-stderr bash -c 'lv-auth --help >&-'
	[ "$stderr" = "lv-auth: cannot write to standard output: Bad file descriptor" ]
	run -74 --separate-stderr bash -c 'lv-auth --help >/dev/full'
	[ "$stderr" = "lv-auth: cannot write to standard output: No space left on device" ]
}

@test "media is not waited for at a terminal" {
	local command
	for command in "lv-segment --dir site" lv-tee "lv-remux --format mpegts" lv-transcode; do
		run -64 timeout 20 script -qec "$command" /dev/null </dev/null
		[[ $output == "${command%% *}: standard input is a terminal: "*" is expected there"* ]]
	done
}

@test "what would replace a device or a pipe is refused, and it stays" {
	mkfifo there
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x120:r=10:d=2 -c:v libx264 -g 10 -pix_fmt yuv420p -f flv in.flv
	lv-segment --dir site --archive archive <in.flv
	run -73 --separate-stderr lv-vod archive/* -o there
	[ "$stderr" = "lv-vod: cannot write there: not a regular file; give -o - and send standard output there" ]
	[ -p there ]
	run lv-transcode --rung source --poster there <in.flv
	[ -p there ]
	run lv-stat --once --textfile there - <<<'{"ts":"2025-06-01T18:04:05.123Z","src":"lv-segment","event":"segment.written"}'
	[ "$status" != 0 ]
	[ -p there ]
}
