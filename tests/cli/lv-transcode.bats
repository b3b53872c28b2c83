bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	make_clip() { # FILE SIZE RATE SECONDS OPTION...
		ffmpeg -nostdin -v error -f lavfi -i "testsrc2=s=$2:r=$3" -f lavfi -i sine=r=44100 -t "$4" \
			-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac "${@:5}" -y "$1"
	}
	make_clip in.flv 640x360 30 5 -bf 2 -g 80
	make_clip small.flv 320x240 25 2 -g 25
	lv-transcode --rung source --rung r=320x180@30:300k:64k <in.flv >out.flv
	rung out.flv r
}

# A rung of FILE (or all) as Matroska, in FILE.RUNG.mkv.
rung() { lv-remux ${2:+--rung "$2"} --format matroska <"$1" >"$1.${2:-all}.mkv"; }

setup() {
	IN=$BATS_FILE_TMPDIR
	cd "$BATS_TEST_TMPDIR" || return 1
}

times() { # FILE STREAM [FLAG]: presentation times in milliseconds, of key frames alone with K
	ffprobe -v error -select_streams "$2" -show_entries packet=pts_time,flags -of csv=p=0 "$1" |
		awk -F, -v k="${3:-}" '!k || $2 ~ k { printf "%d\n", $1 * 1000 + 0.5 }' | sort -n
}

frames() { # FILE STREAM: the packets' checksums
	ffmpeg -nostdin -v error -i "$1" -map "0:$2" -c copy -f framemd5 - | awk -F, '!/^#/ { print $6 }'
}

decided() { jq -r 'select(.event == "ladder.decided").rungs' "$1"; }

@test "what makes no sense is named, with what would" {
	local r
	run -64 --separate-stderr lv-transcode --rung 720p=1280x720@30:2000:128k <"$IN/in.flv"
	[[ $stderr == *'--rung 720p=1280x720@30:2000:128k: the video rate is "2000"; expected one as 2000k'* ]]
	run -64 --separate-stderr lv-transcode --rung 720p <"$IN/in.flv"
	[[ $stderr == *'NAME=WxH@FPS:VIDEO:AUDIO'* ]]
	run -64 --separate-stderr lv-transcode --target-ms 10 <"$IN/in.flv"
	[[ $stderr == *'--target-ms 10: from 500 to 30000'* ]]
	run -64 --separate-stderr lv-transcode --sandbox maybe <"$IN/in.flv"
	run -66 --separate-stderr lv-transcode --ladder none <"$IN/in.flv"
	[[ $stderr == *'cannot read none: No such file or directory'* ]]
	printf 'source\nx=1:2:3\n' >ladder
	run -78 --separate-stderr lv-transcode --ladder ladder <"$IN/in.flv"
	[[ $stderr == *'ladder: rung 2: '* ]]
	run -73 --separate-stderr lv-transcode --state none/state <"$IN/in.flv"
	[[ $stderr == *'cannot open the folder of none/state: No such file or directory'* ]]
	[ -z "$output" ]
}

@test "what is no media is refused, what came before the damage counts" {
	run -65 --separate-stderr lv-transcode </dev/null
	[[ $stderr == *'standard input is empty'* ]]
	head -c 100000 /dev/urandom >garbage
	run -65 --separate-stderr lv-transcode <garbage
	[[ $stderr == *'it is no media'* ]]
	head -c 100000 "$IN/in.flv" >cut.flv
	lv-transcode --rung source --rung r=320x180:300k:64k <cut.flv >cut.out 2>err || [ $? = 65 ]
	grep -q 'ends inside a tag' err
	rung cut.out r
	[ "$(times cut.out.r.mkv v | wc -l)" -gt 10 ]
	(head -c 100000 "$IN/in.flv"; cat garbage) >damaged.flv
	run -65 --separate-stderr lv-transcode --rung source <damaged.flv
	[[ $stderr == *'damaged'* ]]
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=64x64:d=1 -c:v mpeg4 -y odd.mkv
	run -65 --separate-stderr lv-transcode <odd.mkv
	[[ $stderr == *'it holds mpeg4, for which Enhanced RTMP has no name'* ]]
}

@test "a reader that has gone ends it quietly, one that takes nothing as stalled" {
	run -0 bash -c 'lv-transcode <"$0/in.flv" 2>err | head -c 20 >/dev/null; [ "${PIPESTATUS[0]}" = 74 ]' "$IN"
	[ ! -s err ]
	mkfifo full
	sleep 30 <>full 3>&- &
	local holder=$!
	local status=0
	LV_LIVE=1 lv-transcode --stall-ms 200 --events ev <"$IN/in.flv" >full 2>err || status=$?
	kill "$holder"
	[ "$status" = 75 ]
	grep -q 'output.stalled' ev
}

@test "the source passes untouched, and all leaves in the order of decoding" {
	rung "$IN/out.flv" source
	mv "$IN/out.flv.source.mkv" source.mkv
	frames "$IN/in.flv" v >want
	frames source.mkv v | diff want -
	[ "$(wc -l <want)" = 150 ]
	frames "$IN/in.flv" a >want
	frames source.mkv a | diff want -
	lv-remux --format nut <"$IN/out.flv" | ffprobe -v error -show_entries packet=dts_time -of csv=p=0 - |
		awk '$1 != "N/A" { printf "%d\n", $1 * 1000 + 0.5 }' >dts
	[ "$(wc -l <dts)" -gt 700 ]
	sort -nc dts
}

@test "commands, colour metadata and tags cut short are no frames of the source" {
	python3 -c '
d = open("'"$IN"'/in.flv", "rb").read()
out, at = d[:13], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    out += d[at:at + n]
    kinds = [b"\x57\x00", b"\x27", b"\x94avc1\x02\x00\x09colorInfo"] if d[at] == 9 else [b"\xaf"] if d[at] == 8 else []
    for body in kinds:
        out += d[at:at + 1] + len(body).to_bytes(3, "big") + d[at + 4:at + 11] + body + (11 + len(body)).to_bytes(4, "big")
    at += n
open("odd.flv", "wb").write(out)'
	lv-transcode --rung source --rung r=160x90@30:100k:64k <odd.flv >odd.out.flv
	run -0 --separate-stderr lv-segment --dir live odd.out.flv
	[ -z "$stderr" ]
	run -0 ffprobe -v error -count_packets -show_entries stream=nb_read_packets -of csv=p=0 live/source/index.m3u8
	[ "${lines[0]}" = 150 ]
	run -0 --separate-stderr lv-remux --rung source --format mpegts <odd.out.flv
	[ -z "$stderr" ]
}

@test "an empty or malformed configuration in mid-stream is ignored: the rung goes on" {
	python3 -c '
d = open("'"$IN"'/in.flv", "rb").read()
bad = {9: [b"\x17\0\0\0\0", b"\x17\0\0\0\0\x01\x42\xc0\x0d\xff\xe1\xff\xff\x67"], 8: [b"\xaf\0", b"\xaf\0\0\0"]}
out, at = d[:13], 13
while at < len(d):
    n, ms = 15 + int.from_bytes(d[at + 1:at + 4], "big"), int.from_bytes(d[at + 4:at + 7], "big")
    while ms > 1000 and bad.get(d[at]):
        body = bad[d[at]].pop()
        out += d[at:at + 1] + len(body).to_bytes(3, "big") + d[at + 4:at + 11] + body + (11 + len(body)).to_bytes(4, "big")
    out += d[at:at + n]
    at += n
open("odd.flv", "wb").write(out)'
	lv-transcode --rung r=160x90@30:100k:64k <odd.flv 2>err >odd.out.flv
	[ "$(grep -c "malformed: ignored" err)" = 2 ]
	lv-remux --format matroska <odd.out.flv >odd.mkv
	[ "$(times odd.mkv v | wc -l)" = 150 ]
	ffmpeg -nostdin -v info -i odd.mkv -af silencedetect=n=-50dB:d=0.2 -f null - 2>&1 | (! grep -q silence_start)
}

@test "a rung has every picture at its time, and an IDR at each of the source's and each target" {
	times "$IN/in.flv" v >want
	times "$IN/out.flv.r.mkv" v | diff want -
	times "$IN/in.flv" v K >source.key
	times "$IN/out.flv.r.mkv" v K >rung.key
	[ "$(comm -23 <(sort source.key) <(sort rung.key))" = "" ]
	# 80 frames are 2667 ms: one more 2000 ms after each of the source's two.
	[ "$(tr '\n' ' ' <rung.key)" = "67 2067 2734 4734 " ]
	ffmpeg -nostdin -v error -i "$IN/out.flv.r.mkv" -f null - 2>err
	[ ! -s err ]
	# IDR pictures, not only I pictures: a decoder that starts at each shows what the others do.
	ffprobe -v error -select_streams v -show_entries stream=width,height,profile,pix_fmt,color_space \
		-of csv=p=0 "$IN/out.flv.r.mkv" >got
	grep -q 'High,320,180,yuv420p.*bt709' got
}

@test "a flash and a beep stay together to the millisecond" {
	ffmpeg -nostdin -v error -f lavfi -i "color=black:s=320x180:r=25,geq=lum='if(lt(mod(T,1),0.04),235,16)':cb=128:cr=128" \
		-f lavfi -i "aevalsrc='if(lt(mod(t,1),0.04),sin(2*PI*1000*t),0)':s=44100:c=mono" -t 5 \
		-c:v libx264 -preset ultrafast -bf 2 -g 50 -pix_fmt yuv420p -c:a aac -y flash.flv
	lv-transcode --rung r=160x90@25:200k:96k <flash.flv >out.flv
	rung out.flv r
	ffmpeg -nostdin -i out.flv.r.mkv -af silencedetect=n=-20dB:d=0.3 -vf blackdetect=d=0.1:pix_th=0.3 -f null - 2>&1 |
		grep -oE '(silence|black)_end:? *[0-9.]+' >ends
	awk '/silence/ { s[++n] = $2 } /black/ { split($0, a, ":"); b[++m] = a[2] }
		END { if (n < 4 || m < 4) exit 1; for (i = 1; i <= 4; i++) if ((d = s[i] - b[i]) > 0.005 || d < -0.005) exit 1 }' ends
}

@test "the frame rate is divided by a whole number, and no picture moves" {
	local r
	for r in 60:75 50:63 30000/1001:75 25:63; do
		ffmpeg -nostdin -v error -f lavfi -i "testsrc2=s=320x180:r=${r%:*}" -t 2.5 -c:v libx264 -preset ultrafast \
			-g 300 -pix_fmt yuv420p -y rate.flv
		lv-transcode --rung r=160x90@30:200k:64k <rate.flv >out.flv
		rung out.flv r
		times rate.flv v >want
		times out.flv.r.mkv v >got
		[ "$(comm -13 <(sort want) <(sort got))" = "" ]
		echo "$r: $(wc -l <got)"
		[ "$(wc -l <got)" -ge $((${r#*:} - 2)) ] && [ "$(wc -l <got)" -le $((${r#*:} + 2)) ]
	done
}

@test "captions are in every rung, also those of pictures that a rung leaves out" {
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=60 -t 4 -c:v libx264 -preset ultrafast -bf 2 -g 120 \
		-pix_fmt yuv420p in.flv
	"$ROOT/tests/lib/caption" in.flv one two three four five six seven >cc.flv
	lv-transcode --rung source --rung half=160x90@30:200k:- --rung quarter=128x72@15:100k:- <cc.flv >out.flv
	local r
	said() { # FILE: the words, as they roll by
		ffmpeg -nostdin -v error -f lavfi -i "movie=$1[out0+subcc]" -map s -f srt - | tr -d '\r' |
			sed -n 's/<[^>]*>//g; s/{[^}]*}//g; /^[a-z]/p' | xargs
	}
	[ "$(grep -ao onTextData out.flv | wc -l) $(grep -ao onCuePoint out.flv | wc -l)" = "7 7" ]
	[ "$(lv-tee --to block:exec:'cat >/dev/null' <cc.flv | tail -c +14 | md5sum)" = "$(tail -c +14 cc.flv | md5sum)" ]
	for r in source half quarter; do
		rung out.flv $r
		said out.flv.$r.mkv >$r
		[ "$(<$r)" = "one one two two three three four four five five six" ] || { cat $r; false; }
	done
}

@test "no rung is larger than the source; a portrait turns the box" {
	lv-transcode --events ev <"$IN/small.flv" >out.flv
	[ "$(decided ev)" = source ]
	ffmpeg -nostdin -v error -i "$IN/in.flv" -vf scale=540:960,setsar=1 -t 1 -c:v libx264 -preset ultrafast -y tall.flv
	lv-transcode --events ev2 <tall.flv >out.flv
	[ "$(decided ev2)" = "source 480p=480x854" ]
	rung out.flv 480p
	[ "$(ffprobe -v error -select_streams v -show_entries stream=width,height -of csv=p=0 out.flv.480p.mkv)" = 480,854 ]
}

@test "sound that is missing, late or away is silence, and goes on" {
	ffmpeg -nostdin -v error -i "$IN/in.flv" -an -c copy -y mute.flv
	lv-transcode --events ev --rung source --rung r=320x180@30:300k:64k <mute.flv >out.flv
	[ "$(jq 'select(.event=="ladder.decided").sound' ev)" = false ]
	rung out.flv r
	[ "$(times out.flv.r.mkv a | wc -l)" -gt 200 ]
	rung out.flv source # heard with the rung's
	[ "$(times out.flv.source.mkv a | wc -l)" -gt 200 ]
	# Two seconds without sound in the middle, then sound again.
	ffmpeg -nostdin -v error -i "$IN/in.flv" -map 0:v -c copy -y v.mkv
	ffmpeg -nostdin -v error -i "$IN/in.flv" -map 0:a -c copy -bsf:a "noise=drop='between(pts*tb,1.5,3.5)'" -y a.mkv 2>/dev/null ||
		ffmpeg -nostdin -v error -i "$IN/in.flv" -map 0:a -af "aselect='not(between(t,1.5,3.5))'" -c:a aac -y a.mkv
	ffmpeg -nostdin -v error -copyts -i v.mkv -copyts -i a.mkv -map 0:v -map 1:a -c copy -y hole.flv
	lv-transcode --rung r=320x180@30:300k:64k <hole.flv >out.flv
	rung out.flv r
	times out.flv.r.mkv a >got
	awk 'NR > 1 && ($1 - last < 19 || $1 - last > 24) { exit 1 } { last = $1 }' got # not one missing
	[ "$(tail -n 1 got)" -gt 4800 ]
	ffmpeg -nostdin -i out.flv.r.mkv -af silencedetect=n=-40dB:d=1 -f null - 2>&1 | grep -q 'silence_duration: [12]\.'
}

@test "a source that changes its size goes on at the rung's, with borders" {
	local size
	size=$(times "$IN/in.flv" v | tail -n 1)
	ffmpeg -nostdin -v error -i "$IN/small.flv" -c copy -output_ts_offset "$((size + 40))ms" -y next.flv
	(cat "$IN/in.flv"; tail -c +14 next.flv) >both.flv
	lv-transcode --rung r=320x180@30:300k:64k <both.flv >out.flv
	rung out.flv r
	ffmpeg -nostdin -v error -i out.flv.r.mkv -f null - 2>err
	[ ! -s err ]
	[ "$(ffprobe -v error -show_entries frame=width,height -select_streams v -of csv=p=0 out.flv.r.mkv | grep -oE '[0-9]+,[0-9]+' | sort -u)" = 320,180 ]
	[ "$(times out.flv.r.mkv v | wc -l)" = 200 ]
	# 4:3 within 16:9: black at the left.
	ffmpeg -nostdin -v error -ss 6 -i out.flv.r.mkv -vf crop=20:180:0:0,signalstats,metadata=print:key=lavfi.signalstats.YMAX:file=- \
		-frames:v 1 -f null - >border
	grep -q 'YMAX=1[0-9]$' border
}

@test "interlaced pictures become whole, HDR becomes BT.709" {
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x240:r=50 -t 2 -vf tinterlace=interleave_top,setfield=tff \
		-c:v libx264 -flags +ildct+ilme -preset ultrafast -pix_fmt yuv420p -y inter.flv
	lv-transcode --rung r=320x240@30:1000k:64k <inter.flv >out.flv
	rung out.flv r
	[ "$(times out.flv.r.mkv v | wc -l)" = 50 ]
	ffmpeg -nostdin -i out.flv.r.mkv -vf idet -f null - 2>&1 | sed -n 's/.*Multi frame detection: TFF: *\([0-9]*\).*Progressive: *\([0-9]*\).*/\1 \2/p' >idet
	read -r tff whole <idet
	[ "$whole" -gt "$tff" ]
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=25 -t 1 -pix_fmt yuv420p10le -c:v libx264 -preset ultrafast \
		-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -y hdr.flv
	lv-transcode --rung r=160x90@30:300k:64k <hdr.flv >out.flv
	rung out.flv r
	[ "$(ffprobe -v error -select_streams v -show_entries stream=pix_fmt,color_transfer -of csv=p=0 out.flv.r.mkv)" = yuv420p,bt709 ]
	[ "$(times out.flv.r.mkv v | wc -l)" = 25 ]
	# Half of PQ's range is 92 cd/m2 and no half of BT.709's: a label alone would leave it at 126.
	ffmpeg -nostdin -v error -f lavfi -i color=gray:s=320x180:r=25 -t 1 -pix_fmt yuv420p10le -c:v libx264 -preset ultrafast \
		-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -y grey.flv
	lv-transcode --rung r=160x90@30:300k:64k <grey.flv >out.flv
	rung out.flv r
	ffmpeg -nostdin -v error -i out.flv.r.mkv -vf signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=- -frames:v 1 -f null - >luma
	awk -F = '/YAVG/ { n++; if ($2 < 145 || $2 > 151) { print; bad = 1 } } END { exit bad || !n }' luma
}

@test "other containers come in" {
	local f
	for f in mpegts matroska 'mp4 -movflags frag_keyframe+empty_moov'; do
		# shellcheck disable=SC2086
		ffmpeg -nostdin -v error -i "$IN/in.flv" -c copy -f $f - | lv-transcode --rung source --rung r=320x180@30:300k:64k >out.flv
		rung out.flv r
		rung out.flv source
		[ "$(times out.flv.r.mkv v | wc -l)" = 150 ]
		frames out.flv.source.mkv a | diff <(frames "$IN/in.flv" a) - >/dev/null || [ "$f" = mpegts ]
		times out.flv.source.mkv v | diff <(times out.flv.r.mkv v) -
	done
	ffmpeg -nostdin -v error -i "$IN/in.flv" -c copy late.mp4
	run -65 --separate-stderr lv-transcode --rung source <late.mp4
	[[ $stderr == "lv-transcode: cannot take standard input: an MP4 has to begin with its index: "* ]]
}

@test "other containers come in with any codec that Enhanced RTMP names, and the source passes" {
	local source=(-nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 4) c f
	ffmpeg "${source[@]}" -pix_fmt yuv420p10 -c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=60 -c:a ac3 hevc.ts
	ffmpeg -nostdin -v error -i hevc.ts -c copy hevc.mkv
	ffmpeg "${source[@]}" -pix_fmt yuv420p -c:v libaom-av1 -usage realtime -cpu-used 8 -g 60 -c:a flac av1.mkv
	ffmpeg "${source[@]}" -pix_fmt yuv420p -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a libopus vp9.webm
	for c in hevc.ts:hevc:ac3 hevc.mkv:hevc:ac3 av1.mkv:av1:flac vp9.webm:vp9:opus; do
		f=${c%%:*}
		lv-transcode --rung source --rung r=160x90@30:100k:64k <"$f" >out.flv
		rung out.flv source
		rung out.flv r
		[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 out.flv.source.mkv | xargs)" = "$(tr : ' ' <<<"${c#*:}")" ]
		ffmpeg -nostdin -v error -i "$f" -map 0 -f framemd5 - | awk -F, '!/^#/ { print $1, $6 }' | sort >want
		ffmpeg -nostdin -v error -i out.flv.source.mkv -map 0 -f framemd5 - 2>err | awk -F, '!/^#/ { print $1, $6 }' | sort >got
		[ "$(grep -c ^0 got)" = 120 ]
		diff <(grep ^0 want) <(grep ^0 got) >/dev/null || { echo "$c"; false; }
		[ "$(times out.flv.r.mkv v | wc -l)" = 120 ]
		times out.flv.source.mkv v | diff <(times out.flv.r.mkv v) -
		lv-segment --dir "live/$f" <out.flv
		ffmpeg -nostdin -v error -i "live/$f/source/index.m3u8" -f framemd5 - | awk -F, '!/^#/ { print 0, $6 }' | sort | diff <(grep ^0 want) - >/dev/null
	done
	ffmpeg "${source[@]}" -c:v mpeg2video -c:a mp2 mpeg2.ts
	run -65 --separate-stderr lv-transcode <mpeg2.ts
	[[ $stderr == *"it holds mpeg2video, for which Enhanced RTMP has no name"* ]]
}

@test "an encoder that cannot be opened is replaced, and it is said" {
	lv-transcode --events ev --rung r=320x180@30:300k:64k:encoder=no_such <"$IN/small.flv" 2>err >out.flv
	grep -q 'warning: rung r: the encoder no_such cannot be opened: libx264 instead' err
	jq -e -s 'any(.[]; .event == "encoder.replaced" and .encoder == "no_such" and .by == "libx264")' ev
	rung out.flv r
	[ "$(times out.flv.r.mkv v | wc -l)" = 50 ]
}

@test "rungs in HEVC and AV1 have their IDR pictures where the others have them, and their packets play" {
	local name
	echo leak:libx265 >lsan # its own, some KB each time it is opened
	export LSAN_OPTIONS=suppressions=$PWD/lsan:print_suppressions=0
	lv-transcode --rung source --rung h=320x180@30:300k:64k:encoder=libx265,preset=ultrafast \
		--rung a=320x180@30:300k:64k:encoder=libaom-av1 --rung r=320x180@30:300k:64k <"$IN/in.flv" >out.flv 2>err
	[ ! -s err ]
	lv-segment --dir live/x <out.flv
	grep -q 'CODECS="hvc1\.1\.6\.L60\.90,mp4a' live/x/master.m3u8
	grep -q 'CODECS="av01\.0\.00M\.08,mp4a' live/x/master.m3u8
	times live/x/r/index.m3u8 v K >want
	for name in h a; do
		times live/x/$name/index.m3u8 v K | diff want -
		ffmpeg -nostdin -v error -i live/x/$name/index.m3u8 -f null - 2>err
		[ ! -s err ]
		[ "$(times live/x/$name/index.m3u8 v | wc -l)" = 150 ]
	done
	ffmpeg -nostdin -i live/x/h/index.m3u8 -i live/x/source/index.m3u8 -lavfi '[1:v]scale=320:180[b];[0:v][b]psnr' -f null - 2>&1 |
		grep -oE 'average:[0-9]+' | { IFS=: read -r _ db; [ "$db" -gt 20 ]; } # the same picture at the same time
}

@test "the codecs of Enhanced RTMP come in, and the source passes as it is" {
	local c n=0
	for c in "libx265 -preset ultrafast -x265-params log-level=error -tag:v hvc1|aac" "libaom-av1 -cpu-used 8 -usage realtime|libopus" \
		"libvpx-vp9 -deadline realtime -cpu-used 8|flac -strict -2" "libx264 -preset ultrafast|ac3"; do
		# shellcheck disable=SC2086
		ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 3 -pix_fmt yuv420p \
			-c:v ${c%|*} -g 60 -c:a ${c#*|} -y $n.mp4
		"$ROOT/tests/lib/eflv" $n.mp4 >$n.flv
		lv-transcode --rung source --rung r=160x90@30:100k:64k <$n.flv >$n.out.flv 2>err
		[ ! -s err ]
		rung $n.out.flv source
		rung $n.out.flv r
		[ "$(times $n.out.flv.r.mkv v | wc -l)" = 90 ]
		[ "$(times $n.out.flv.source.mkv v | wc -l)" = 90 ]
		times $n.out.flv.source.mkv v | diff - <(times $n.out.flv.r.mkv v)
		comm -23 <(times $n.out.flv.source.mkv v K | sort) <(times $n.out.flv.r.mkv v K | sort) | diff - /dev/null
		[ "$(times $n.out.flv.r.mkv a | wc -l)" -ge 139 ]
		ffmpeg -nostdin -i $n.out.flv.r.mkv -af silencedetect=n=-40dB:d=0.2 -f null - 2>&1 | { ! grep -q silence_start; }
		n=$((n + 1))
	done
	ffmpeg -nostdin -v error -i "$IN/small.flv" -c:v copy -c:a libmp3lame -y mp3.flv
	lv-transcode --rung r=160x90@30:100k:64k <mp3.flv >out.flv
	rung out.flv r
	ffmpeg -nostdin -i out.flv.r.mkv -af silencedetect=n=-40dB:d=0.2 -f null - 2>&1 | { ! grep -q silence_start; }
}

@test "a rung can have its own distance of key frames, no B-frames, no picture, no sound" {
	lv-transcode --rung r=320x180@30:300k:64k:gop=500,latency=low,profile=baseline --rung s=-:-:64k --rung m=160x90:100k:- \
		<"$IN/in.flv" >out.flv
	rung out.flv r
	[ "$(times out.flv.r.mkv v K | wc -l)" -ge 10 ]
	ffprobe -v error -select_streams v -show_entries frame=pict_type -of csv=p=0 out.flv.r.mkv >types
	! grep -q B types
	rung out.flv s # shares the sound of its rate
	[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 out.flv.s.mkv)" = aac ]
	rung out.flv m
	[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 out.flv.m.mkv)" = h264 ]
}

@test "marks pass through in their places; without an end the input is an orphan" {
	flvmark 01jdaaaaaaaa 3 s1 end "$IN/in.flv" >marked.flv
	lv-transcode --rung source --rung r=320x180@30:300k:64k <marked.flv >out.flv
	LV_STREAM=x lv-segment --dir live/x <out.flv
	grep -q ENDLIST live/x/r/index.m3u8
	flvmark 01jdaaaaaaaa 3 s1 open "$IN/in.flv" >open.flv
	run -75 --separate-stderr lv-transcode --rung source --rung r=320x180@30:300k:64k <open.flv
	[[ $stderr == *'the input ended, but not the broadcast'* ]]
}

@test "while the publisher is away the rungs stand still or show a slate, in silence; the source has gaps" {
	flvmark 01jdaaaaaaaa 3 s1 away "$IN/in.flv" >first.flv
	ffmpeg -nostdin -v error -i "$IN/in.flv" -c copy -output_ts_offset 11.5 -y again.flv
	flvmark 01jdaaaaaaaa 3 s2 end again.flv | tail -c +14 | cat first.flv - >away.flv
	lv-transcode --events ev --rung source --rung r=320x180@30:300k:64k <away.flv >out.flv
	jq -e -s 'map(select(.event | startswith("slate"))) | length == 2 and .[0].event == "slate.started" and
		.[0].pts_ms > 4900 and .[0].pts_ms < 5300 and .[1].event == "slate.ended" and .[1].pts_ms > 11000' ev
	rung out.flv r
	times out.flv.r.mkv v >got
	# Not half a second without a picture, but before the new one; IDR pictures go on.
	awk 'NR > 1 && $1 - last > 600 { print "no picture from", last, "to", $1; exit 1 } { last = $1 }' got
	times out.flv.r.mkv v K | awk '$1 > 4700 && $1 < 11500' | awk 'NR > 1 && $1 - last > 2100 { bad = 1 } { last = $1 } END { exit bad || NR < 3 }'
	times out.flv.r.mkv a | awk 'NR > 1 && ($1 - last > 600 || $1 <= last) { exit 1 } { last = $1 }'
	ffmpeg -nostdin -i out.flv.r.mkv -vf freezedetect=d=2 -af silencedetect=d=2 -f null - 2>&1 |
		grep -E 'freeze_duration: [56]|silence_duration: [56]' >still
	[ "$(wc -l <still)" = 2 ]
	lv-segment --dir live/x --window 30 <out.flv
	[ "$(grep -c GAP live/x/source/index.m3u8)" -ge 2 ]
	grep -q VERSION:8 live/x/source/index.m3u8
	grep -q VERSION:6 live/x/r/index.m3u8
	! grep -q GAP live/x/r/index.m3u8
	ffmpeg -nostdin -v error -f lavfi -i color=red:s=300x300 -frames:v 1 -y red.png
	lv-transcode --slate red.png --rung r=320x180@30:300k:64k <away.flv >out.flv
	rung out.flv r
	[ "$(ffmpeg -nostdin -v error -ss 8 -i out.flv.r.mkv -frames:v 1 -vf crop=2:2:160:90,format=rgb24 -f rawvideo - | od -An -tu1 | awk '{ print ($1 > 200), ($2 < 60) }')" = "1 1" ]
	lv-transcode --slate none --rung r=320x180@30:300k:64k <away.flv >out.flv
	rung out.flv r
	[ "$(times out.flv.r.mkv v | awk '$1 > 5200 && $1 < 11400' | wc -l)" = 0 ]
	run -66 --separate-stderr lv-transcode --slate no.png <away.flv
	[[ $stderr == *'--slate no.png: No such file or directory'* ]]
}

@test "the ladder of a broadcast is kept for the next process" {
	flvmark 01jdaaaaaaaa 3 s1 open "$IN/in.flv" >first.flv
	flvmark 01jdaaaaaaaa 3 s2 end "$IN/small.flv" >second.flv
	lv-transcode --state state --events ev1 --rung source --rung r=480x270@30:300k:64k <first.flv >/dev/null || [ $? = 75 ]
	lv-transcode --state state --events ev2 --rung source <second.flv >out.flv
	[ "$(decided ev1)" = "source r=480x270" ]
	[ "$(decided ev2)" = "source r=480x270" ]
	flvmark 01jdbbbbbbbb 3 s2 end "$IN/small.flv" >third.flv
	lv-transcode --state state --events ev3 --rung source <third.flv >out.flv
	[ "$(decided ev3)" = source ]
}

@test "a poster is a JPEG of the picture" {
	mkdir posters
	lv-transcode --rung source --poster posters/poster.jpg <"$IN/in.flv" >out.flv
	[ "$(ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 posters/poster.jpg)" = mjpeg,640,360 ]
	[ "$(find posters -type f | wc -l)" = 1 ]
}

@test "it gives up programs and sockets once its files are open" {
	[[ $BUILD != *asan* ]] || skip "off where a sanitizer runs"
	mkfifo pipe
	lv-transcode <pipe >/dev/null 3>&- &
	local pid=$!
	exec 9>pipe
	sandboxed() { grep -q '^Seccomp:.*2' "/proc/$pid/status"; }
	eventually 5 sandboxed
	grep -q '^NoNewPrivs:.*1' "/proc/$pid/status"
	cat "$IN/small.flv" >&9
	exec 9>&-
	wait "$pid"
}

@test "what cannot keep up leaves out pictures of the rungs, never of the source, and says so" {
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=1280x720:r=60 -t 8 -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -y fast.flv
	ffmpeg -nostdin -v error -re -i fast.flv -c copy -f flv -flush_packets 1 - |
		LV_LIVE=1 LV_ORIGIN_MS=$(date +%s%3N) lv-transcode --events ev --rung source \
			--rung a=1280x720:3000k:64k:preset=veryslow --rung b=640x360:800k:64k:preset=veryslow >out.flv 2>err
	jq -e -s 'any(.[]; .event == "load.shed")' ev
	jq -s 'map(select(.event == "load.shed").lag_ms) | max < 4000' ev | grep -q true
	rung out.flv source
	[ "$(times out.flv.source.mkv v | wc -l)" = 480 ]
	rung out.flv b
	[ "$(times out.flv.b.mkv v | wc -l)" -lt 480 ]
}
