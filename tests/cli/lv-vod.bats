bats_require_minimum_version 1.5.0
load ../lib/common

# An archive that lv-segment made: twelve seconds with B-frames and stereo, a lower rung, six segments a track.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i 'aevalsrc=sin(880*t)|sin(660*t):s=48000' -t 12 \
		-c:v libx264 -preset veryfast -g 60 -sc_threshold 0 -c:a aac -f flv a.flv
	ffmpeg -v error -i a.flv -vf scale=160:90 -c:v libx264 -preset ultrafast -sc_threshold 0 \
		-force_key_frames 'expr:gte(t,n_forced*2)' -c:a aac -b:a 64k -copyts -f flv b.flv
	flvmark 01jdabcdef0 7 s1 end a.flv b.flv | lv-segment --dir live/alice --archive archive/alice
	export A=$PWD/a.flv B=$PWD/b.flv ARCHIVE=$PWD/archive/alice/01jdabcdef0 LIVE=$PWD/live/alice
	pictures a.flv >a.frames
	export FRAMES=$PWD/a.frames
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

pictures() { ffmpeg -v error -i "$1" -map 0:v -f framemd5 - | sed '/^#/d; s/.* //'; } # the decoded frames
# The coded ones, also those that an edit list hides.
frames() {
	local all=()
	case $1 in *.mp4 | *.m4a) all=(-ignore_editlist 1) ;; esac
	ffmpeg -v error "${all[@]}" -i "$1" -map "0:$2" -c copy -f framemd5 - | sed '/^#/d; s/.* //'
}
when() { # FILE v|a HASH: the time of a coded frame
	ffmpeg -v error -copyts -i "$1" -map "0:$2" -c copy -f framemd5 - |
		awk -v hash="$3" '/^#tb/ { split($3, tb, "/") } $NF == hash { sub(",", "", $3); printf "%.4f\n", $3 * tb[1] / tb[2] }'
}

seconds() { # FILE v|a: first time and length, as an exact player sees them
	ffprobe -v error -select_streams "$2" -show_entries stream=start_time,duration -of csv=p=0 "$1"
}

# FILE: sound without a hole of more than a millisecond.
is_gapless() {
	ffprobe -v error -select_streams a -show_entries packet=pts_time,duration_time -of csv=p=0 "$1" |
		awk -F, '$1 == "" { next } n++ && ($1 - end > 0.001 || end - $1 > 0.001) { print "hole at " end; bad = 1 }
			{ end = $1 + $2 } END { exit bad }'
}

# FILE SECONDS: as long as that, give or take a frame, in picture and sound.
lasts() {
	awk -v a="$(seconds "$1" v | cut -d, -f2)" -v b="$(seconds "$1" a | cut -d, -f2)" -v want="$2" \
		'BEGIN { exit !(a - want < 0.034 && want - a < 0.034 && b - want < 0.04 && want - b < 0.04) }' ||
		{ echo "$1 lasts $(seconds "$1" v) $(seconds "$1" a), not $2"; return 1; }
}

# FILE: nothing to complain of for a decoder.
decodes() {
	run -0 --separate-stderr ffmpeg -v warning -i "$1" -f null -
	[ -z "$stderr" ] || { echo "$stderr"; return 1; }
}

# FILE PICTURE SOUND SECONDS: those two of A's coded frames are as far apart in it as in the segments.
in_step() {
	local v a
	v=$(frames "$A" v | sed -n "$2p") a=$(frames "$A" a | sed -n "$3p")
	v="$(when "$LIVE/source/index.m3u8" v "$v") $(when "$1" v "$v")"
	a="$(when "$LIVE/audio-source/index.m3u8" a "$a") $(when "$1" a "$a")"
	echo "$v $a $4" | awk '{ d = ($3 - $1) - ($4 - $2); print; exit !(NF == 5 && $4 > 0.5 && d < $5 && d > -$5) }'
}

copy_archive() { cp -r "$ARCHIVE" x; }

@test "every frame of picture and sound is in, at its time, in a file with its index first" {
	lv-vod "$ARCHIVE" -o a.mp4 --report r.json
	cmp <(pictures a.mp4) "$FRAMES"
	cmp <(frames a.mp4 a) <(frames "$LIVE/audio-source/index.m3u8" a)
	lasts a.mp4 12
	is_gapless a.mp4
	decodes a.mp4
	[ "$(jq -c '[.video, .audio, .segments, .segments_used, .video_frames, .dur_ms, .found]' r.json)" = \
		'["source","audio-source",12,12,360,12000,[]]' ]
	[ "$(head -c 32 a.mp4 | tail -c 4)" != mdat ]
	[ "$(head -c 36 a.mp4 | tail -c 4)" = moov ]
}

@test "sound and picture stay as far apart as they were published" {
	lv-vod "$ARCHIVE" -o a.mp4
	in_step a.mp4 31 51 0.001
	in_step a.mp4 331 520 0.001
}

@test "a rung, all rungs, a sound alone, a picture alone" {
	lv-vod "$ARCHIVE" --rung 480p -o low.mp4 --report 1 >r.json
	[ "$(jq -r '.video + " " + .audio' r.json)" = "480p audio-128k" ]
	cmp <(pictures low.mp4) <(pictures "$B")
	lv-vod --rung all "$ARCHIVE" -o x.mp4
	cmp x-480p.mp4 low.mp4
	cmp <(pictures x-source.mp4) "$FRAMES"
	lv-vod "$ARCHIVE" --rung audio-source -o a.m4a
	cmp <(frames a.m4a a) <(frames "$LIVE/audio-source/index.m3u8" a)
	is_gapless a.m4a
	lv-vod "$ARCHIVE" --audio none -o mute.mp4
	[ "$(ffprobe -v error -show_entries stream=codec_type -of csv=p=0 mute.mp4)" = video ]
	run -65 --separate-stderr lv-vod "$ARCHIVE" --rung 4k -o no.mp4
	[ "$stderr" = "lv-vod: the archive has no track 4k that can be read" ]
}

@test "a pipe gets the same bytes as a file, and a gone reader is no news" {
	lv-vod "$ARCHIVE" -o a.mp4
	lv-vod "$ARCHIVE" -o - | cmp - a.mp4
	lv-vod -o - "$ARCHIVE" | ffmpeg -v error -i - -map 0:v -f framemd5 - | sed '/^#/d; s/.* //' | cmp - "$FRAMES"
	run -0 bash -c 'lv-vod "$ARCHIVE" -o - 2>err | head -c 10 >/dev/null; [ "${PIPESTATUS[0]}" = 74 ] && ! [ -s err ]'
}

@test "playlists, a live folder, bare folders and lists on standard input give the same recording" {
	lv-vod "$ARCHIVE" -o want.mp4
	lv-vod "$LIVE" -o a.mp4
	cmp a.mp4 want.mp4
	lv-vod "$LIVE/master.m3u8" -o b.mp4
	cmp b.mp4 want.mp4
	lv-vod "$LIVE/source/index.m3u8" -o c.mp4
	cmp <(pictures c.mp4) "$FRAMES"
	copy_archive
	rm x/segments.ndjson
	lv-vod x -o d.mp4
	cmp d.mp4 want.mp4
	rm x/*/index.m3u8
	run -0 --separate-stderr lv-vod x -o e.mp4
	cmp e.mp4 want.mp4
	[[ $stderr = *"order was told by their names"* ]]
	printf '%s\n' "$ARCHIVE"/source/init* "$ARCHIVE"/source/*.m4s "$ARCHIVE"/audio-source/init* "$ARCHIVE"/audio-source/*.m4s |
		lv-vod - -o f.mp4
	cmp f.mp4 want.mp4
	echo "$ARCHIVE" | lv-vod - -o g.mp4
	cmp g.mp4 want.mp4
}

@test "missing segments: the hole is closed in picture and sound alike, or kept and silent" {
	copy_archive
	rm x/source/*-1.m4s x/audio-source/*-1.m4s x/source/*-4.m4s # the fourth one's sound is still there
	lv-vod x -o closed.mp4 --report r.json 2>err
	lasts closed.mp4 8
	is_gapless closed.mp4
	decodes closed.mp4
	cmp <(pictures closed.mp4) <(sed '61,120d; 241,300d' "$FRAMES")
	in_step closed.mp4 331 520 0.011 # half a frame of sound
	in_step closed.mp4 151 250 0.011
	[ "$(jq -c '[.counts.missing, .counts.closed, .dur_ms]' r.json)" = '[2,2,8000]' ]
	[ "$(jq -c '[.found[] | select(.what == "closed") | .at_ms, .dur_ms]' r.json)" = '[1933,2000,5933,2000]' ] ||
		{ jq -c .found r.json; false; }
	grep -qx 'lv-vod: warning: segments missing: 2' err
	lv-vod x --gaps keep -o kept.mp4 --report r.json 2>err
	lasts kept.mp4 12
	is_gapless kept.mp4
	decodes kept.mp4
	cmp <(pictures kept.mp4) <(sed '61,120d; 241,300d' "$FRAMES")
	ffmpeg -v info -i kept.mp4 -vn -af silencedetect=n=-60dB:d=1 -f null - 2>&1 | grep -o 'silence_[a-z]*: [0-9.]*' >s
	[ "$(awk '!/duration/ { printf "%.0f ", $2 }' s)" = "2 4 8 10 " ] || { cat s; false; }
}

@test "sound that is missing is silence, and what comes after it is at its time" {
	copy_archive
	rm x/audio-source/*-2.m4s
	lv-vod x -o a.mp4 --report r.json 2>err
	cmp <(pictures a.mp4) "$FRAMES"
	lasts a.mp4 12
	is_gapless a.mp4
	decodes a.mp4
	in_step a.mp4 331 520 0.011
	[ "$(jq '.silence_ms > 1950 and .silence_ms < 2050' r.json)" = true ]
}

@test "a segment that is cut off gives what is whole; garbage and an empty file give nothing; all is told" {
	copy_archive
	cut=$(echo x/source/*-2.m4s)
	head -c $(($(stat -c %s "$cut") / 2)) "$cut" >t && mv t "$cut"
	head -c 5000 /dev/urandom >t && mv t "$(echo x/source/*-3.m4s)"
	: >t && mv t "$(echo x/audio-source/*-4.m4s)"
	lv-vod x -o a.mp4 --report r.json 2>err
	[ "$(jq -c '[.counts.truncated, .counts.damaged, .counts.silence]' r.json)" = '[1,2,1]' ]
	is_gapless a.mp4
	pictures a.mp4 | tail -n 120 | cmp - <(tail -n 120 "$FRAMES") # the end is whole
	n=$(jq .video_frames r.json)
	((n > 240 && n < 300))
	lasts a.mp4 "$(jq .dur_ms/1000 r.json)"
}

@test "times that went astray in one segment do not make the recording longer" {
	copy_archive
	python3 - x/source/*-2.m4s x/source/*-4.m4s <<-'END'
		import sys
		for path, box, at in ((sys.argv[1], b"trun", 16), (sys.argv[2], b"tfdt", 11)):
		    data = bytearray(open(path, "rb").read())
		    at += data.index(box)
		    data[at] ^= 0x20 # a frame that lasts for hours; a segment that begins days later: its sound is not beside it
		    open(path, "wb").write(data)
	END
	lv-vod x -o a.mp4 --report r.json 2>err
	[ "$(jq .counts.damaged r.json)" = 2 ] || { cat r.json; false; }
	lasts a.mp4 10
	is_gapless a.mp4
	lv-vod x --gaps keep -o b.mp4 --report r.json 2>err
	lasts b.mp4 12
}

@test "a publisher that returns with another size: both are in, with their own parameters" {
	ffmpeg -v error -f lavfi -i testsrc2=s=640x360:r=30 -f lavfi -i 'aevalsrc=sin(880*t)|sin(660*t):s=48000' -t 6 \
		-c:v libx264 -preset veryfast -g 60 -sc_threshold 0 -c:a aac -f flv c.flv
	(flvmark 01jdabcdef0 7 s1 open "$A"; flvmark 01jdabcdef0 7 s2 end c.flv | tail -c +14) >m.flv
	lv-segment --dir live --archive archive <m.flv 2>err
	lv-vod archive/01jdabcdef0 -o a.mp4 --report r.json 2>err
	[ "$(jq .counts.parameters r.json)" = 1 ]
	[ "$(jq .video_frames r.json)" = 540 ]
	cmp <(frames a.mp4 v | head -n 360) <(frames "$A" v)
	# The decoder is told of the new size: it gives every frame of the second part, too.
	[ "$(ffprobe -v error -count_frames -select_streams v -show_entries stream=nb_read_frames -of csv=p=0 a.mp4)" = 540 ]
	ffmpeg -v error -i a.mp4 -map 0:v -vf scale=640:360 -f framemd5 - | sed '/^#/d; s/.* //' | tail -n 60 |
		cmp - <(ffmpeg -v error -i c.flv -map 0:v -vf scale=640:360 -f framemd5 - | sed '/^#/d; s/.* //' | tail -n 60)
	is_gapless a.mp4
}

@test "two broadcasts one after the other: the clock begins again, and the recording goes on" {
	lv-vod "$ARCHIVE" "$ARCHIVE" -o a.mp4 --report r.json 2>err
	[ "$(jq -c '[.counts["clock-back"], .dur_ms]' r.json)" = '[1,24000]' ]
	cmp <(pictures a.mp4) <(cat "$FRAMES" "$FRAMES")
	is_gapless a.mp4
	lasts a.mp4 24
}

@test "a clip is exact to the frame, in picture and sound" {
	lv-vod "$ARCHIVE" --from 3.1 --to 0:05.5 -o a.mp4
	cmp <(pictures a.mp4) <(sed -n 94,165p "$FRAMES")
	lasts a.mp4 2.4
	[ "$(seconds a.mp4 v | cut -d, -f1)" = 0.000000 ]
	lv-vod "$ARCHIVE" --from 4 -o b.mp4 # at a key frame: nothing before it is in the file
	[ "$(frames b.mp4 v | wc -l)" = 240 ]
	run -65 --separate-stderr lv-vod "$ARCHIVE" --from 1:00:00 -o no.mp4
	[[ $stderr = *"is --from after its end?" ]]
	[ ! -e no.mp4 ]
}

@test "what cannot be read or written is named, and nothing is left behind" {
	run -66 --separate-stderr lv-vod no/such -o a.mp4
	[ "$stderr" = "lv-vod: cannot read no/such: No such file or directory" ]
	mkdir empty
	run -66 --separate-stderr lv-vod empty -o a.mp4
	[ "$stderr" = "lv-vod: empty: no segments there, and no list of any" ]
	run -64 --separate-stderr lv-vod https://host/alice -o a.mp4
	[ "$stderr" = "lv-vod: https://host/alice: neither of this machine nor in a bucket; mirror it first" ]
	run -64 --separate-stderr lv-vod "$ARCHIVE"
	[ "$stderr" = "lv-vod: --output is missing: say where the recording goes" ]
	run -64 --separate-stderr lv-vod "$ARCHIVE" -o a.mp4 --from 1:75
	[ "$stderr" = "lv-vod: --from 1:75: expected seconds, or H:MM:SS" ]
	run -73 --separate-stderr lv-vod "$ARCHIVE" -o no/a.mp4
	[ "$stderr" = "lv-vod: cannot keep tables in no: No such file or directory" ]
	printf '#EXTM3U\n#EXTINF:2,\n../../../etc/passwd\n' >p.m3u8
	run -65 --separate-stderr lv-vod p.m3u8 -o a.mp4
	[ "$stderr" = "lv-vod: p.m3u8: neither an archive nor a playlist of one" ]
	run -74 --separate-stderr bash -c 'lv-vod "$ARCHIVE" -o - >/dev/full'
	[ "$stderr" = "lv-vod: cannot write standard output: No space left on device" ]
	[ "$(ls -A | grep -v ^separate-stderr)" = "$(printf 'empty\np.m3u8')" ]
}

@test "a journal that a power cut left NULs in: what came after them is in" {
	copy_archive
	{
		head -n 4 x/segments.ndjson
		head -c 4096 /dev/zero
		tail -n +5 x/segments.ndjson
	} >journal
	mv journal x/segments.ndjson
	lv-vod x -o a.mp4
	lasts a.mp4 12
}

@test "a journal whose last line is torn, and lies in others" {
	copy_archive
	echo '{"n":0,"track":"../../etc","file":"passwd"}' >>x/segments.ndjson
	printf '{"n":6,"track":"sour' >>x/segments.ndjson
	lv-vod x -o a.mp4 --report r.json 2>err
	[ "$(jq .journal_lines_torn r.json)" = 2 ]
	cmp <(pictures a.mp4) "$FRAMES"
}

@test "run again after a kill it makes the same file; two at once do not mix" {
	lv-vod "$ARCHIVE" -o want.mp4
	echo "the rest of a process that was killed" >.a.mp4.tmp
	lv-vod "$ARCHIVE" -o a.mp4
	cmp a.mp4 want.mp4
	[ ! -e .a.mp4.tmp ]
	exec 8>.a.mp4.tmp
	flock 8
	run -75 --separate-stderr lv-vod "$ARCHIVE" -o a.mp4 8>&-
	[ "$stderr" = "lv-vod: a.mp4 is being written by another lv-vod" ]
	exec 8>&-
	cmp a.mp4 want.mp4
}

@test "a terminal sees a bar to its end, then what was wrong" {
	copy_archive
	rm x/source/*-1.m4s
	script -qec "lv-vod x -o a.mp4" /dev/null </dev/null | tr '\r' '\n' >seen
	grep -q '^100 % \[########################################\]$' seen
	[ "$(grep -A99 '^100 %' seen | sed -n 's/^lv-vod: //p')" = "$(printf '%s\n' 'warning: segments missing: 1' 'warning: holes closed: 1')" ]
}

@test "events tell that it is ready" {
	lv-vod "$ARCHIVE" -o a.mp4 --events 1 >ev
	[ "$(jq -c 'select(.event == "vod.ready") | [.stream, .broadcast, .path, .rung, .dur_ms, .size_bytes]' ev)" = \
		"[\"alice\",\"01jdabcdef0\",\"a.mp4\",\"source\",12000,$(stat -c %s a.mp4)]" ]
	[ "$(jq -s -c 'map(select(.event == "vod.progressed")) | last | [.done_bytes, .size_bytes]' ev)" = "[$(stat -c '%s,%s' a.mp4)]" ]
	run -66 lv-vod no/such -o b.mp4 --events ev
	[ "$(tail -n 1 ev | jq -c '[.event, .path, .status]')" = '["vod.failed","b.mp4",66]' ]
}

@test "--reencode: a clip that holds what is shown and nothing else; any encoder" {
	mkdir bin
	printf '#!/bin/sh\nls -l /proc/self/fd >fds\nexec %s "$@"\n' "$(command -v ffmpeg)" >bin/ffmpeg
	chmod +x bin/ffmpeg
	PATH=$PWD/bin:$PATH lv-vod "$ARCHIVE" --from 3.1 --to 5.5 --reencode -o a.mp4 --report 8 --events 1 >ev 8>r.json
	[ "$(jq .dur_ms r.json)" -gt 0 ]
	grep -q pipe fds
	run ! grep r.json fds # who waits for the end of the report does not wait for the encoder
	[ "$(frames a.mp4 v | wc -l)" = 72 ]
	lasts a.mp4 2.4
	[ "$(jq 'select(.event == "vod.ready").size_bytes' ev)" = "$(stat -c %s a.mp4)" ]
	head -c 60 a.mp4 | grep -aq moov
	ffmpeg -v info -i a.mp4 -i "$A" -filter_complex '[0:v]settb=1/30,setpts=N[a];[1:v]trim=start_frame=93:end_frame=165,settb=1/30,setpts=N[b];[a][b]psnr' \
		-f null - 2>&1 | grep -o 'min:[0-9.]*' >psnr
	awk -F: '{ exit !($2 > 30) }' psnr || { cat psnr; false; }
	lv-vod "$ARCHIVE" -o - --encode-with '-c:v mpeg2video -q:v 4 -c:a copy' >b.mp4
	ffprobe -v error -count_packets -show_entries stream=codec_name,nb_read_packets -of csv=p=0 b.mp4 | grep -q ^mpeg2video,360
	cp a.mp4 c.mp4
	run -74 --separate-stderr lv-vod "$ARCHIVE" -o c.mp4 --encode-with '-c:v nosuch'
	[[ $stderr = *"lv-vod: ffmpeg could not encode it: c.mp4 is not written" ]]
	cmp a.mp4 c.mp4
	! ls .*.tmp
	run -64 lv-vod "$ARCHIVE" --rung all --reencode -o d.mp4
}

# FILE FIRST LAST [SOURCE]: its pictures are those of the source.
like_source() {
	ffmpeg -v info -i "$1" -i "${4-$A}" -filter_complex \
		"[0:v]settb=1/30,setpts=N[a];[1:v]trim=start_frame=$2:end_frame=$3,settb=1/30,setpts=N[b];[a][b]psnr" \
		-f null - 2>&1 | grep -o 'min:[0-9.]*' | awk -F: '{ print; exit !($2 > 30) }'
}

@test "--exact: what lies between key frames is copied, the edges are encoded anew, nothing else is in it" {
	lv-vod "$ARCHIVE" --from 3.1 --to 9.5 --exact -o a.mp4
	[ "$(frames a.mp4 v | wc -l)" = 192 ]
	lasts a.mp4 6.4
	[ "$(seconds a.mp4 v | cut -d, -f1)" = 0.000000 ]
	decodes a.mp4
	[ "$(grep -ao avcC a.mp4 | wc -l)" = 1 ] # one sample entry for all
	cmp <(pictures a.mp4 | sed -n 28,147p) <(sed -n 121,240p "$FRAMES")
	like_source a.mp4 93 285
	in_step a.mp4 151 230 0.011
	lv-vod "$ARCHIVE" --from 4.3 --to 0:05.5 --exact -o b.mp4 # no key frame in it
	[ "$(frames b.mp4 v | wc -l)" = 36 ]
	decodes b.mp4
	like_source b.mp4 129 165
	lv-vod "$ARCHIVE" --from 4 --to 8 --exact -o c.mp4 # nothing to encode
	cmp <(frames c.mp4 v) <(frames "$A" v | sed -n 121,240p)
	lv-vod "$ARCHIVE" --from 11.5 --exact -o d.mp4
	[ "$(frames d.mp4 v | wc -l)" = 15 ]
	run -74 --separate-stderr lv-vod "$ARCHIVE" --from 3 --exact --encode-with '-c:v nosuch' -o no.mp4
	[[ $stderr = *"lv-vod: ffmpeg could not encode the edges: no.mp4 is not written" ]]
	[ ! -e no.mp4 ]
	run -64 lv-vod "$ARCHIVE" --from 3 --exact --reencode -o no.mp4
}

@test "--exact of HEVC: groups of pictures open and closed, the edges' parameters in an entry of their own" {
	local f to n
	for f in closed open; do
		[ $f = open ] && n=3 || n=0 # pictures that are shown before the key frame of their group
		ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=30 -f lavfi -i sine=r=48000 -t 7 -pix_fmt yuv420p \
			-c:v libx265 -preset ultrafast -tag:v hvc1 -c:a aac -x265-params \
			log-level=none:keyint=60:min-keyint=60:scenecut=0:bframes=3:open-gop=$((n > 0)) $f.src.mp4
		"$ROOT/tests/lib/eflv" $f.src.mp4 >$f.flv
		lv-segment --dir live/$f --archive $f $f.flv
		pictures $f.src.mp4 >want
		lv-vod $f/* --from 1.1 --to 6.5 --exact -o a.mp4
		decodes a.mp4
		lasts a.mp4 5.4
		[ "$(seconds a.mp4 v | cut -d, -f1)" = 0.000000 ]
		[ "$(frames a.mp4 v | wc -l)" = 162 ] # none that is hidden
		[ "$(grep -ao hvcC a.mp4 | wc -l)" = 2 ]
		# An end of sequence before what is copied: the key frame of an open group is numbered anew.
		python3 -c 'import re; d = re.findall(rb"\0\0\0\x02H\x01....([&(*])", open("a.mp4", "rb").read(), re.S); print(d); assert len(d) == 1'
		cmp <(pictures a.mp4 | sed -n "28,$((147 - n))p") <(sed -n "61,$((180 - n))p" want)
		like_source a.mp4 33 195 $f.src.mp4
		# Each picture is shown when it was, to the millisecond of FLV.
		ffprobe -v error -show_entries frame=pts_time -select_streams v -of csv=p=0 a.mp4 2>&1 |
			awk -F, 'NF { d = $1 - n / 30; n++; if (d > 0.0015 || d < -0.0015) { print; exit 1 } } END { exit n != 162 }'
	done
	for to in 117:3.9 119:3.9666667; do # the key frame is shown at 120; times that FLV rounds
		lv-vod open/* --from 1.9666667 --to "${to#*:}" --exact -o b.mp4
		to=${to%:*}
		decodes b.mp4
		[ "$(frames b.mp4 v | wc -l)" = $((to - 59)) ]
		like_source b.mp4 59 "$to" open.src.mp4
	done
	run -64 --separate-stderr lv-vod open/* --from 1 --exact --encode-with '-c:v libx264' -o no.mp4
	[ "$stderr" = "lv-vod: --exact: --encode-with makes another codec's pictures than the archive has" ]
	[ ! -e no.mp4 ]
}

@test "chapters: of seconds, of the clock, of the parts that a publisher sent; a clip has its own" {
	chapters() { ffprobe -v error -show_entries chapter=start_time:chapter_tags=title -of csv=p=0 "$1"; }
	cat >ch <<-'END'
		{"ts":"2025-11-24T16:00:09.521Z","title":"by the clock"}
		{"ts":"2025-11-24T16:00:04.000Z","event":"nobody named this"}
		{"t":1.5,"title":"Anfang: \u00fcber \"alles\""}
	END
	ms=$(jq -s '.[0].wall_ms' "$ARCHIVE/segments.ndjson")
	sed -i "s/2025-11-24T16:00:09.521Z/$(date -u -d "@$((ms / 1000 + 9)).$((ms % 1000 + 500))" +%FT%T.%3NZ)/" ch
	lv-vod "$ARCHIVE" --chapters ch -o a.mp4
	[ "$(chapters a.mp4)" = "$(printf '1.500000,"Anfang: über ""alles"""\n9.500000,by the clock')" ] || { chapters a.mp4; false; }
	cmp <(pictures a.mp4) "$FRAMES"
	decodes a.mp4
	lv-vod "$ARCHIVE" --chapters - --from 5 --to 10 -o b.mp4 <ch
	[ "$(chapters b.mp4 | cut -d, -f1)" = "$(printf '0.000000\n4.500000')" ] || { chapters b.mp4; false; }
	copy_archive
	rm x/source/*-4.m4s # what was then is when it goes on
	lv-vod x --chapters ch -o c.mp4 2>err
	[ "$(chapters c.mp4 | tail -n 1)" = '8.000000,by the clock' ] || { chapters c.mp4; false; }
	lv-vod "$ARCHIVE" --chapters auto -o d.mp4
	[ -z "$(chapters d.mp4)" ]
	jq -c 'if .n >= 3 then .session = "s2" else . end' "$ARCHIVE/segments.ndjson" >x/segments.ndjson
	lv-vod x x --chapters auto -o e.mp4 2>err
	[ "$(chapters e.mp4)" = "$(printf '0.000000,Part 1\n6.000000,Part 2\n10.000000,Part 3\n16.000000,Part 4')" ] || { chapters e.mp4; false; }
	echo '{"title":"when?"}' >no
	run -65 --separate-stderr lv-vod x --chapters no -o f.mp4
	[[ $stderr = 'lv-vod: no, line 1: not {"t": SECONDS, "title": TEXT}'* ]]
}

@test "--jobs: so many at a time, behind all else" {
	export XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR
	exec 8>"lv-vod.$(id -u).0.lock"
	flock 8
	lv-vod --jobs 2 "$ARCHIVE" -o a.mp4 8>&-
	lv-vod --jobs 1 -v "$ARCHIVE" -o b.mp4 2>err 8>&- 3>&- &
	pid=$!
	eventually 10 grep -q waiting err
	[ "$(ps -o ni= -p "$pid" | tr -d ' ')" = 19 ]
	[ "$(ionice -p "$pid")" = idle ]
	[ ! -e b.mp4 ]
	exec 8>&-
	wait "$pid"
	cmp a.mp4 b.mp4
	run -64 lv-vod --jobs 99 "$ARCHIVE" -o c.mp4
}

@test "fragmented MP4, another's, of other codecs: HEVC, AV1 and VP9, AC-3, Opus and FLAC; and sound alone" {
	of() { # NAME CODING...
		ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=30 -f lavfi -i sine=r=48000 -t 4 -pix_fmt yuv420p "${@:2}" \
			-strict -2 "$1.mp4" 2>/dev/null
		mkdir "$1"
		ffmpeg -v error -i "$1.mp4" -c copy -strict -2 -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 "$1/index.m3u8"
		lv-vod "$1" -o "$1.vod.mp4" --report r.json 2>err
		[ "$(jq -c .found r.json)" = '[]' ] || { cat r.json; return 1; }
		cmp <(frames "$1.vod.mp4" v) <(frames "$1.mp4" v)
		cmp <(frames "$1.vod.mp4" a) <(frames "$1.mp4" a)
		decodes "$1.vod.mp4"
		lasts "$1.vod.mp4" 4
	}
	of hevc -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30:pools=1 -tag:v hvc1 -c:a ac3
	of av1 -c:v libaom-av1 -usage realtime -cpu-used 8 -g 30 -c:a libopus
	of vp9 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 30 -c:a flac
	lv-vod hevc --from 0.5 --to 3.2 -o cut.mp4
	[ "$(pictures cut.mp4 | wc -l)" = 81 ]
	lasts cut.mp4 2.7
	run -64 --separate-stderr lv-vod av1 --from 0.5 --exact -o cut.mp4
	[ "$stderr" = "lv-vod: --exact: the picture is neither H.264 nor HEVC; --reencode is exact too" ]
	ffmpeg -v error -i av1.mp4 -vn -c copy -f hls -hls_time 1 -hls_list_size 0 -hls_segment_type fmp4 -hls_segment_filename s%d.m4s sound.m3u8
	lv-vod sound.m3u8 -o sound.m4a
	cmp <(frames sound.m4a a) <(frames av1.mp4 a)
	[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 sound.m4a)" = opus ]
}

@test "transport streams, lv-segment's: the same frames at the same times as from fragmented MP4" {
	flvmark 01jdabcdef0 7 s1 end "$A" "$B" | lv-segment --dir live --archive archive --format ts
	lv-vod archive/01jdabcdef0 -o a.mp4 --report r.json
	lv-vod "$ARCHIVE" -o want.mp4
	cmp <(pictures a.mp4) "$FRAMES"
	cmp <(frames a.mp4 a) <(frames want.mp4 a)
	cmp <(seconds a.mp4 v; seconds a.mp4 a) <(seconds want.mp4 v; seconds want.mp4 a)
	is_gapless a.mp4
	decodes a.mp4
	[ "$(jq -c '[.video, .audio, .found]' r.json)" = '["source","source",[]]' ]
	lv-vod archive/01jdabcdef0 -r 480p -o low.mp4
	cmp <(pictures low.mp4) <(pictures "$B")
	lv-vod archive/01jdabcdef0 --from 3.1 --to 5.5 -o cut.mp4
	cmp <(pictures cut.mp4) <(sed -n 94,165p "$FRAMES")
}

@test "transport streams, another's: time of 33 bits wraps, a segment is missing, one is cut off" {
	mkdir ts
	# 95443.7 s is where 33 bits of 90 kHz end: in the third segment.
	ffmpeg -v error -i "$A" -c copy -output_ts_offset 95438 -f hls -hls_time 2 -hls_list_size 0 ts/index.m3u8
	lv-vod ts/index.m3u8 -o a.mp4 --report r.json
	cmp <(pictures a.mp4) "$FRAMES"
	lasts a.mp4 12
	is_gapless a.mp4
	[ "$(jq -c '[.segments_used, .found]' r.json)" = '[12,[]]' ]
	rm ts/index4.ts
	head -c 40000 ts/index1.ts >t && mv t ts/index1.ts
	lv-vod ts/index.m3u8 -o b.mp4 --gaps keep --report r.json 2>err
	lasts b.mp4 12
	is_gapless b.mp4
	[ "$(jq -c '[.counts.missing, .counts.kept]' r.json)" = '[1,2]' ]
	[ "$(jq '.counts.truncated >= 1' r.json)" = true ]
	pictures b.mp4 | tail -n 60 | cmp - <(tail -n 60 "$FRAMES")
}

@test "--playlist: HLS over the archive as it is, every frame of every rung, a gap where a track lacks one" {
	copy_archive
	lv-vod --playlist x/ --events 1 >ev
	[ "$(jq -c '[.event, .path, .dur_ms]' ev)" = '["playlist.written","vod.m3u8",12000]' ]
	cmp <(pictures x/source/vod.m3u8) "$FRAMES"
	cmp <(pictures x/480p/vod.m3u8) <(pictures "$B")
	cmp <(frames x/audio-source/vod.m3u8 a) <(frames "$LIVE/audio-source/index.m3u8" a)
	ffprobe -v error -show_entries stream=codec_name,width -of csv=p=0 x/vod.m3u8 | sort -u >streams
	[ "$(grep -c h264 streams)" = 2 ]
	grep -q 'CODECS="avc1.[0-9a-f]*,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=30.000,AUDIO="audio-source"' x/vod.m3u8
	! grep -q DISCONTINUITY$ x/source/vod.m3u8
	"$ROOT/examples/hls-check" x/vod.m3u8
	rm x/source/*-1.m4s x/*/*-3.m4s
	lv-vod --playlist x
	"$ROOT/examples/hls-check" x/vod.m3u8
	[ "$(grep -c GAP x/source/vod.m3u8)" = 1 ]
	[ "$(grep -c GAP x/480p/vod.m3u8)" = 0 ]
	for t in source 480p audio-source; do # the fourth is gone from all
		[ "$(grep -c EXTINF x/$t/vod.m3u8)" = 5 ]
		[ "$(grep -B1 -A3 'DISCONTINUITY$' x/$t/vod.m3u8 | grep -c -e '-4.m4s')" = 1 ]
		[ "$(grep -c 'DISCONTINUITY$' x/$t/vod.m3u8)" = 1 ]
	done
	cmp <(pictures x/480p/vod.m3u8) <(pictures "$B" | sed 181,240d)
	run -64 --separate-stderr lv-vod --playlist "$ARCHIVE" x
	[ "$stderr" = "lv-vod: --playlist takes one archive, a folder" ]
}

@test "examples/vod-pictures: a poster, and a thumbnail for every moment" {
	lv-vod "$ARCHIVE" -o a.mp4
	"$ROOT/examples/vod-pictures" a.mp4 2
	[ "$(ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 a-poster.jpg)" = mjpeg,320,180 ]
	[ "$(ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 a-thumbs-1.jpg)" = mjpeg,1600,900 ]
	[ "$(head -n 1 a-thumbs.vtt)" = WEBVTT ]
	[ "$(grep -c -e '-->' a-thumbs.vtt)" = 6 ]
	[ "$(sed -n 6,7p a-thumbs.vtt)" = "$(printf '00:00:02.000 --> 00:00:04.000\na-thumbs-1.jpg#xywh=160,0,160,90')" ]
	# The fourth thumbnail is most like what the recording shows at six seconds.
	ffmpeg -v error -i a-thumbs-1.jpg -vf crop=160:90:480:0 got.png
	for t in 4 6 8; do
		ffmpeg -v error -y -ss $t -i a.mp4 -frames:v 1 -vf scale=160:90 at.png
		ffmpeg -v info -i got.png -i at.png -filter_complex psnr -f null - 2>&1 | sed -n "s/.*average:\([0-9.]*\).*/\1 $t/p"
	done >like
	[ "$(sort -n like | tail -n 1 | cut -d' ' -f2)" = 6 ] || { cat like; false; }
	run -66 "$ROOT/examples/vod-pictures" no.mp4
	lv-vod "$ARCHIVE" -r audio-source -o sound.mp4
	run -65 --separate-stderr "$ROOT/examples/vod-pictures" sound.mp4
	[ "$stderr" = "vod-pictures: there is no picture in sound.mp4" ]
	[ "$(ls -d sound*)" = sound.mp4 ]
}

@test "README's retention: what ended long ago goes, what is live stays however old it is" {
	local b
	for b in old new live; do
		mkdir -p "site/archive/alice/$b/source"
		echo '{"stream":"alice","live":false}' >site/archive/alice/$b/broadcast.json
	done
	sed -i s/false/true/ site/archive/alice/live/broadcast.json
	touch -d '31 days ago' site/archive/alice/{old,live}/broadcast.json
	eval "$(sed -n '/^find site.archive/,/^```/{ /^```/!p }' "$ROOT/README.md")"
	[ "$(ls site/archive/alice | tr '\n' ' ')" = 'live new ' ]
}
