bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=25:d=4 -f lavfi -i sine=d=4 -c:v libx264 \
		-preset veryfast -bf 2 -g 25 -c:a aac -y in.flv
	ffmpeg -v error -i in.flv -vf scale=160:90 -c:v libx264 -preset ultrafast -g 25 -c:a aac \
		-b:a 32k -y low.flv
	flv-ladder source=in.flv 90p=low.flv >ladder.flv
}

setup() {
	IN=$BATS_FILE_TMPDIR
	cd "$BATS_TEST_TMPDIR" || return 1
}

# What a decoder makes of a track, picture by picture.
frames() {
	ffmpeg -v error -i "$1" -map "0:$2" -f framemd5 - | awk -F, '!/^#/ { print $6 }'
}

@test "pictures and sound come out unchanged in every container" {
	local f
	frames "$IN/in.flv" v:0 >want.v
	frames "$IN/in.flv" a:0 >want.a
	[ "$(wc -l <want.v)" = 100 ]
	for f in mpegts matroska nut mp4 flv; do
		lv-remux --format "$f" <"$IN/in.flv" >"out.$f"
		frames "out.$f" v:0 | cmp - want.v
		frames "out.$f" a:0 | cmp - want.a
	done
}

@test "a rung of marked input is not missed before onMetaData has told of it" {
	flvmark 0123456789 1 s end "$IN/in.flv" "$IN/low.flv" >marked.flv
	run -0 --separate-stderr sh -c 'lv-remux --rung 480p --format matroska <marked.flv >out.mkv'
	[ -z "$stderr" ] || { echo "$stderr"; false; }
	[ -s out.mkv ]
	run --separate-stderr sh -c 'lv-remux --rung none --format matroska <marked.flv >none.mkv'
	[[ $stderr == *'the stream has no rung "none"'* ]]
}

@test "times stay: composition offsets, and sound beside the picture" {
	local f
	ffprobe -v error -show_entries packet=stream_index,pts_time -of csv=p=0 "$IN/in.flv" |
		awk -F, '{ printf "%d %.3f\n", $1, $2 }' | sort >want
	for f in matroska nut flv; do
		lv-remux --format "$f" <"$IN/in.flv" |
			ffprobe -v error -show_entries packet=stream_index,pts_time -of csv=p=0 - |
			awk -F, '{ printf "%d %.3f\n", $1, $2 }' | sort >got
		diff want got
	done
}

@test "a ladder keeps its rungs, and one can be chosen" {
	local f
	for f in mpegts matroska nut mp4; do
		lv-remux --format "$f" <"$IN/ladder.flv" >"out.$f"
		[ "$(frames "out.$f" v:0 | md5sum)" = "$(frames "$IN/in.flv" v:0 | md5sum)" ]
		[ "$(frames "out.$f" v:1 | md5sum)" = "$(frames "$IN/low.flv" v:0 | md5sum)" ]
		lv-remux --rung 90p --format "$f" <"$IN/ladder.flv" >"one.$f"
		[ "$(frames "one.$f" v:0 | md5sum)" = "$(frames "$IN/low.flv" v:0 | md5sum)" ]
		[ "$(ffprobe -v error -show_entries stream=index -of csv=p=0 "one.$f" | sort -u | grep -c .)" = 2 ]
	done
	ffprobe -v error -show_entries program_tags=service_name -of json out.mpegts |
		jq -e '[.programs[].tags.service_name] == ["source", "90p"]'
}

@test "the container begins while the input is still open, and each packet leaves at once" {
	local f
	for f in mpegts matroska nut flv; do
		mkfifo "in.$f"
		lv-remux --format "$f" <"in.$f" >"out.$f" &
		local mux=$!
		exec 7>"in.$f"
		head -c 60000 "$IN/in.flv" >&7
		eventually 10 test -s "out.$f"
		eventually 10 bash -c "ffprobe -v error -show_entries packet=size 'out.$f' 2>/dev/null |
			grep -c size= | awk '{ exit !(\$1 > 20) }'"
		exec 7>&-
		wait "$mux" && false || [ $? = 65 ] # it was cut inside a tag
	done
}

@test "new parameters in mid-stream reach the decoder" {
	ffmpeg -v error -f lavfi -i testsrc2=s=160x120:r=25:d=1 -c:v libx264 -preset ultrafast -y a.flv
	ffmpeg -v error -f lavfi -i testsrc2=s=320x240:r=25:d=1 -c:v libx264 -preset veryfast \
		-output_ts_offset 1 -y b.flv
	{ cat a.flv; tail -c +14 b.flv; } >both.flv
	for f in mpegts matroska mp4; do
		lv-remux --format "$f" <both.flv >"out.$f"
		[ "$(ffprobe -v error -select_streams v -show_entries frame=width -of csv=p=0 "out.$f" |
			grep -o '[0-9]*' | sort | uniq -c | tr -s ' \n' ' ')" = " 25 160 25 320 " ]
	done
}

@test "sound alone, or a picture alone, will do" {
	ffmpeg -v error -i "$IN/in.flv" -an -c copy -y v.flv
	ffmpeg -v error -i "$IN/in.flv" -vn -c copy -y a.flv
	for f in v a; do
		lv-remux --format matroska <"$f.flv" >"$f.mkv"
		[ "$(frames "$f.mkv" "$f:0" | md5sum)" = "$(frames "$IN/in.flv" "$f:0" | md5sum)" ]
	done
}

@test "a damaged frame is left out and said, and no end" {
	python3 -c '
d = open("'"$IN"'/in.flv", "rb").read()
bad = {9: b"\x27\x01\0\0\0\0\0\xff\xff\x41\0\0\0\0", 8: b"\xaf\x01\xff"}
out, at = d[:13], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    tag = d[at:at + n]
    if int.from_bytes(d[at + 4:at + 7], "big") > 1900 and d[at] in bad and d[at + 11] != 0x17:
        body = bad.pop(d[at])
        tag = d[at:at + 1] + len(body).to_bytes(3, "big") + d[at + 4:at + 11] + body + (11 + len(body)).to_bytes(4, "big")
    out += tag
    at += n
open("odd.flv", "wb").write(out)'
	lv-remux --format mpegts <odd.flv 2>err >odd.ts
	grep -q "2 damaged frames were left out" err
	run -0 ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 odd.ts
	[ "${lines[0]}" = 99 ]
}

@test "what a container cannot hold is said" {
	run -65 --separate-stderr lv-remux --format flv <"$IN/ladder.flv"
	[[ $stderr == *"lv-remux: flv cannot hold these tracks"*"choose one with --rung" ]]
	run -65 --separate-stderr lv-remux --rung 8k --format nut <"$IN/ladder.flv"
	[[ $stderr == *'lv-remux: warning: the stream has no rung "8k"'* ]]
}

@test "bad options are refused with 64, bad input with 65" {
	run -64 --separate-stderr lv-remux </dev/null
	[[ $stderr == "lv-remux: which container?"* ]]
	run -64 --separate-stderr lv-remux --format nosuch </dev/null
	[[ $stderr == "lv-remux: cannot write the format nosuch"* ]]
	run -64 lv-remux --format nut --rung a++b </dev/null
	run -64 lv-remux --format nut operand </dev/null
	run -65 --separate-stderr lv-remux --format nut <<<"hello, this is no media"
	[ "$stderr" = "lv-remux: standard input is not FLV, or is damaged" ]
	run -65 --separate-stderr lv-remux --format nut </dev/null
	[ "$stderr" = "lv-remux: standard input has nothing to write" ]
}

@test "a full disk is said; a reader that leaves ends it quietly with 74" {
	run -74 --separate-stderr bash -c 'lv-remux --format nut <"$1" >/dev/full' - "$IN/in.flv"
	[ "$stderr" = "lv-remux: cannot write to standard output: No space left on device" ]
	run -74 --separate-stderr bash -c 'lv-remux --format nut <"$1" | head -c 10 >/dev/null
		exit "${PIPESTATUS[0]}"' - "$IN/ladder.flv"
	[ -z "$stderr" ]
}

@test "help, manual and completions name the same options" {
	local options o
	options=$(lv-remux --help | grep -o -- '--[a-z-]*' | sort -u)
	for o in $options; do
		grep -q -- "Fl Fl ${o#--}\b" "$ROOT/man/lv-remux.1"
		grep -q -- "$o\b" "$ROOT/completions/bash/lv-remux"
		grep -q -- "$o\b" "$ROOT/completions/zsh/_lv-remux"
	done
	[ -z "$(mandoc -T lint -W warning "$ROOT/man/lv-remux.1")" ]
}

@test "it gives up programs, sockets and files once it runs" {
	[[ $BUILD != *asan* ]] || skip "off where a sanitizer runs"
	mkfifo pipe
	lv-remux --format nut <pipe >/dev/null 3>&- &
	local pid=$!
	exec 9>pipe
	sandboxed() { grep -q '^Seccomp:.*2' "/proc/$pid/status"; }
	eventually 5 sandboxed
	cat "$IN/in.flv" >&9
	exec 9>&-
	wait "$pid"
}

@test "an input that ends before its broadcast is 75" {
	flvmark 01jdaaaaaaaa 3 s1 end "$IN/in.flv" >end.flv
	flvmark 01jdaaaaaaaa 3 s1 open "$IN/in.flv" >open.flv
	lv-remux --format nut <end.flv >out
	run -75 --separate-stderr bash -c 'lv-remux --format nut <open.flv >out'
	[ "$stderr" = "lv-remux: the input ended, but not the broadcast" ]
}
