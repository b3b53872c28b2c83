bats_require_minimum_version 1.5.0
load ../lib/common

# Eight seconds with B-frames; the same, as a lower rung with the same key frames.
setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	ffmpeg -v error -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=48000 -t 8 \
		-c:v libx264 -preset veryfast -g 60 -sc_threshold 0 -c:a aac -f flv a.flv
	ffmpeg -v error -i a.flv -vf scale=160:90 -c:v libx264 -preset ultrafast -sc_threshold 0 \
		-force_key_frames 'expr:gte(t,n_forced*2)' -c:a aac -b:a 64k -copyts -f flv b.flv
	export A=$PWD/a.flv B=$PWD/b.flv
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	! mountpoint -q "$BATS_TEST_TMPDIR/d" || umount -l "$BATS_TEST_TMPDIR/d"
}

packets() { # INPUT: packets a stream, sorted
	ffprobe -v error -count_packets -show_entries stream=codec_type,nb_read_packets -of csv=p=0 "$1" |
		grep . | sort -u
}

inf() { grep -v -e m4s -e MAP "$1"; }

@test "one rung: every frame is in, and the times are the input's" {
	lv-segment --dir live/x <"$A"
	[ "$(packets live/x/master.m3u8)" = "$(packets "$A")" ]
	run -0 --separate-stderr ffmpeg -v warning -i live/x/master.m3u8 -f null -
	[ -z "$stderr" ]
	ffprobe -v error -select_streams v -show_entries packet=pts_time,dts_time -of csv=p=0 "$A" | sed 's/,$//' >in
	ffprobe -v error -select_streams v -show_entries packet=pts_time,dts_time -of csv=p=0 live/x/master.m3u8 | sed 's/,$//' >out
	cmp <(awk -F, 'NF>1{printf "%.3f %.3f\n",$1,$2}' in) <(awk -F, 'NF>1{printf "%.3f %.3f\n",$1,$2}' out)
	grep -q 'CODECS="avc1.[0-9a-f]*,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=30.000' live/x/master.m3u8
	[ "$(grep -c ENDLIST live/x/source/index.m3u8)" = 1 ]
	[ "$(jq .live live/x/stream.json)" = false ]
}

@test "two rungs and their sound are cut at the same instants" {
	flvmark 01jdabcdef0 7 s1 end "$A" "$B" >m.flv
	lv-segment --dir live/alice m.flv
	cd live/alice
	inf source/index.m3u8 >want
	for t in 480p audio-source audio-128k; do inf $t/index.m3u8 | diff want -; done
	[ "$(grep -c STREAM-INF master.m3u8)" = 2 ]
	[ "$(grep -c EXT-X-MEDIA: master.m3u8)" = 2 ]
	grep -q 'PROGRAM-DATE-TIME:2025-11-24T16:00:00.067Z' source/index.m3u8
	[ -e 480p/01jdabcdef0-7-0.m4s ]
	for n in 0 1 2; do # each begins with a key frame at the same time
		for t in source 480p; do
			cat $t/init-*.mp4 $t/01jdabcdef0-7-$n.m4s >one.mp4
			ffprobe -v error -select_streams v -show_entries packet=pts_time,flags -of csv=p=0 one.mp4 | head -n 1 >$t.first
			grep -q K $t.first
		done
		cmp source.first 480p.first
	done
}

@test "end of file without an end keeps the playlist open, and exits 75; --finish ends it" {
	flvmark 01jdabcdef0 7 s1 open "$A" >m.flv
	run -75 --separate-stderr lv-segment --dir live/x m.flv
	[ "$stderr" = "lv-segment: warning: m.flv ended but the broadcast did not: the playlists stay open" ]
	! grep ENDLIST live/x/source/index.m3u8
	[ "$(jq .live live/x/stream.json)" = true ]
	lv-segment --dir live/x --finish
	grep ENDLIST live/x/source/index.m3u8 live/x/audio-source/index.m3u8
	[ "$(jq .live live/x/stream.json)" = false ]
}

@test "a restart goes on with the numbers, a discontinuity and new names" {
	flvmark 01jdabcdef0 7 s1 open "$A" >m.flv
	ffmpeg -v error -i "$A" -c copy -output_ts_offset 8.1 -f flv later.flv
	flvmark 01jdabcdef0 7 s1 open later.flv >later.m.flv
	run -75 lv-segment --dir live/x m.flv
	run -75 lv-segment --dir live/x later.m.flv
	cd live/x/source
	[ "$(grep -c EXTINF index.m3u8)" = 8 ]
	[ "$(grep -c 'EXT-X-DISCONTINUITY$' index.m3u8)" = 1 ]
	[ "$(grep -c EXT-X-MAP index.m3u8)" = 2 ]
	grep m4s index.m3u8 | while read -r f; do [ -e "$f" ]; done
	[ "$(grep m4s index.m3u8 | sort -u | wc -l)" = 8 ]
	cd ../../..
	rm live/x/.state.json # only playlists and files are left to learn from
	run -75 lv-segment --dir live/x m.flv
	grep -q 'MEDIA-SEQUENCE:8$' live/x/source/index.m3u8
	grep -q 'DISCONTINUITY-SEQUENCE:2$' live/x/audio-source/index.m3u8
}

@test "a restart that is sent what there was begins where it ended" {
	ffmpeg -v error -i "$A" -c copy -output_ts_offset 4.1 -f flv again.flv # the second half of it, and four seconds more
	flvmark 01jdabcdef0 7 s1 open "$A" >m.flv
	flvmark 01jdabcdef0 7 s1 end again.flv >again.m.flv
	run -75 lv-segment --dir live/x m.flv
	lv-segment --dir live/x again.m.flv
	[ "$(grep -c EXTINF live/x/source/index.m3u8)" = 6 ]
	[ "$(grep -c EXTINF live/x/audio-source/index.m3u8)" = 6 ]
	ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 live/x/source/index.m3u8 | wc -l >frames
	[ "$(grep PROGRAM-DATE-TIME live/x/source/index.m3u8 | sort -c && echo sorted)" = sorted ]
	[ "$(grep PROGRAM-DATE-TIME live/x/source/index.m3u8 | sort -u | wc -l)" = 6 ]
	[ "$(cat frames)" -ge 358 ] && [ "$(cat frames)" -le 362 ]
}

@test "a new broadcast starts with an empty playlist, and the numbers go on" {
	flvmark 01jdabcdef0 7 s1 end "$A" >m.flv
	flvmark 01jdabcdzz0 8 s2 end "$A" >n.flv
	lv-segment --dir live/x m.flv
	lv-segment --dir live/x n.flv
	[ "$(grep -c EXTINF live/x/source/index.m3u8)" = 4 ]
	grep -q 'MEDIA-SEQUENCE:4$' live/x/source/index.m3u8
	grep -q 'DISCONTINUITY-SEQUENCE:1$' live/x/source/index.m3u8
	[ -e live/x/source/01jdabcdef0-7-0.m4s ] # still wanted by who has the old playlist
}

@test "the window slides, and TARGETDURATION is not exceeded by a long group of pictures" {
	ffmpeg -v error -f lavfi -i testsrc2=s=64x64:r=25 -t 20 -c:v libx264 -preset ultrafast -g 1000 \
		-sc_threshold 0 -force_key_frames 0,2,4,12 -f flv l.flv
	lv-segment --dir live/x --window 4 l.flv
	[ "$(grep -c EXTINF live/x/source/index.m3u8)" = 4 ]
	grep -q TARGETDURATION:2 live/x/source/index.m3u8
	awk -F'[:,]' '/EXTINF/ && $2 >= 2.5 { exit 1 }' live/x/source/index.m3u8
	[ "$(packets live/x/master.m3u8)" != "" ]
}

@test "sound alone, a picture alone, and a gap of ten seconds give whole playlists" {
	ffmpeg -v error -i "$A" -vn -c copy -f flv s.flv
	ffmpeg -v error -i "$A" -an -c copy -f flv p.flv
	lv-segment --dir live/s s.flv
	lv-segment --dir live/p p.flv
	[ "$(packets live/s/master.m3u8)" = "$(packets s.flv)" ]
	[ "$(packets live/p/master.m3u8)" = "$(packets p.flv)" ]
	ffmpeg -v error -i "$A" -c copy -bsf:v 'setts=ts=TS+gte(TS\,4000)*10000' \
		-bsf:a 'setts=ts=TS+gte(TS\,4000)*10000' -f flv g.flv
	run -0 --separate-stderr lv-segment --dir live/g --events 1 g.flv
	[ "$stderr" = "lv-segment: warning: time jumped ahead in audio-source: the stream goes on with a discontinuity" ]
	[ "$(jq -r 'select(.event=="media.dropped").track' <<<"$output")" = source ] # up to a key frame
	for t in source audio-source; do
		[ "$(grep -c 'EXT-X-DISCONTINUITY$' live/g/$t/index.m3u8)" = 1 ]
		awk -F'[:,]' '/EXTINF/ && $2 >= 2.5 { exit 1 }' live/g/$t/index.m3u8
	done
}

@test "time that goes back in input without marks goes on, with one discontinuity" {
	ffmpeg -v error -i "$A" -t 3.9 -c copy -f flv first.flv
	{ cat first.flv; tail -c +14 "$A"; } >twice.flv # as a publisher that restarts does
	run -0 --separate-stderr lv-segment --dir live/x twice.flv
	[[ $stderr == "lv-segment: warning: time jumped back in "*": the stream goes on with a discontinuity" ]]
	local t
	for t in source audio-source; do
		[ "$(grep -c EXTINF live/x/$t/index.m3u8)" = 6 ]
		[ "$(grep -c 'EXT-X-DISCONTINUITY$' live/x/$t/index.m3u8)" = 1 ]
		awk -F'[:,]' '/EXTINF/ { s += $2 } END { if (s < 11.8 || s > 12.1) exit 1 }' live/x/$t/index.m3u8
		cat live/x/$t/init-*.mp4 live/x/$t/*.m4s >all.mp4
		ffprobe -v error -show_entries packet=dts -of csv=p=0 all.mp4 | grep . | sort -n -c # never back
	done
	t=$(packets first.flv | sed -n 's/video,//p')
	[ "$(packets live/x/source/index.m3u8)" = "video,$((t + 240))" ]
}

# outage FILE AWAY_MS [FROM_MS]: the broadcast of FILE, its publisher gone for so long, then FILE again and the end;
# with FROM_MS as an heir is sent it, with the media from that time on.
outage() {
	python3 - "$@" <<-'EOF'
		import json, sys
		d, away, at, since = open(sys.argv[1], "rb").read(), int(sys.argv[2]), 13, int((sys.argv[3:] or ["0"])[0])
		def tag(kind, dts, body):
		    head = bytes([kind]) + len(body).to_bytes(3, "big") + (dts & 0xffffff).to_bytes(3, "big") + bytes([dts >> 24, 0, 0, 0])
		    return head + body + (len(body) + 11).to_bytes(4, "big")
		def mark(dts, **what):
		    text = json.dumps(what).encode()
		    return tag(18, dts, b"\2\0\x08onLvMark\2" + len(text).to_bytes(2, "big") + text)
		tags = []
		while at < len(d):
		    n = int.from_bytes(d[at + 1:at + 4], "big")
		    tags.append((d[at], int.from_bytes(d[at + 4:at + 7], "big"), d[at + 11:at + 11 + n]))
		    at += n + 15
		who = dict(mark="session", stream="alice", broadcast="01jdabcdef0", epoch=7, origin_ms=1764000000000)
		end = tags[-1][1]
		back = end + away
		w = sys.stdout.buffer.write
		w(d[:13] + mark(0, session="a", **who) + b"".join(tag(*t) for t in tags if t[1] >= since or (t[0] != 18 and t[2][1] == 0)) +
		  mark(end, mark="gap"))
		w(b"".join(mark(t, mark="tick", wall_ms=1764000000000 + t) for t in range(end + 400, back, 500)))
		w(mark(back, session="b", **who) + b"".join(tag(k, t + back, b) for k, t, b in tags) + mark(back + end, mark="end"))
	EOF
}

lost() { # FILE AWAY_MS: the same up to the publisher's return
	outage "$@" | python3 -c 'import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[:d.rindex(b"\x12\0\0", 0, d.rindex(b"session"))])'
}

# PROGRAM-DATE-TIME and EXTINF tell the same: no time is missing.
continuous() {
	python3 - "$1" <<-'EOF'
		import datetime, re, sys
		at = None
		for day, dur in re.findall(r"DATE-TIME:(\S+)Z\n(?:#EXT-X-GAP\n)?#EXTINF:([\d.]+)", open(sys.argv[1]).read()):
		    day = datetime.datetime.fromisoformat(day).timestamp()
		    assert at is None or abs(day - at) < 0.15, (day, at)
		    at = day + float(dur)
	EOF
}

@test "while the publisher is away the playlists go on with gaps, up to the time of its return" {
	outage "$A" 7000 >o.flv
	lv-segment --dir live/alice --window 20 --archive arch/alice o.flv
	local t
	for t in live/alice/source live/alice/audio-source arch/alice/01jdabcdef0/source; do
		[ "$(grep -c EXTINF $t/index.m3u8)" = 12 ]
		[ "$(grep -c EXT-X-GAP $t/index.m3u8)" = 4 ]
		[ "$(grep -c 'EXT-X-DISCONTINUITY$' $t/index.m3u8)" = 1 ]
		sed -n '/DISCONTINUITY$/,$p' $t/index.m3u8 | grep -c EXTINF | grep -qx 4 # behind the gaps
		continuous $t/index.m3u8
	done
	inf live/alice/source/index.m3u8 | diff - <(inf live/alice/audio-source/index.m3u8)
	grep -q EXT-X-INDEPENDENT-SEGMENTS live/alice/master.m3u8
	[ "$(packets live/alice/source/index.m3u8 2>/dev/null)" = video,480 ]
	# A recording does not end in gaps: here nobody comes back.
	lost "$A" 7000 >o.flv
	run -75 lv-segment --dir live/gone --archive arch/gone o.flv
	lv-segment --dir live/gone --archive arch/gone --finish
	[ "$(grep -c EXT-X-GAP live/gone/source/index.m3u8)" = 3 ]
	[ "$(tail -n 2 arch/gone/*/source/index.m3u8 | grep -c -e m4s -e ENDLIST)" = 2 ]
	! grep -q EXT-X-GAP arch/gone/*/source/index.m3u8
	# A writer that dies meanwhile: its heir is sent the last pictures again, however long ago they were, and goes on.
	lost "$A" 45000 >o.flv
	outage "$A" 60000 6000 >heir.flv
	run -75 lv-segment --window 50 --dir live/heir o.flv
	lv-segment --window 50 --dir live/heir heir.flv
	[ "$(packets live/heir/source/index.m3u8 2>/dev/null)" = video,480 ]
	[ "$(grep -c EXT-X-GAP live/heir/source/index.m3u8)" = 30 ]
	continuous live/heir/source/index.m3u8
	outage "$A" 1500 >o.flv # not as long as a segment
	lv-segment --dir live/short o.flv
	! grep -q EXT-X-GAP live/short/source/index.m3u8
}

# What lv-transcode sends while nobody publishes: the rung goes on alone. FILE up to its end, then MS of the rung again;
# with FROM_MS as an heir is sent it, when the last group of pictures began there.
slate() { # FILE MS [FROM_MS]
	python3 - "$@" <<-'EOF'
		import json, sys
		d, ms, since, at, rung, heads = open(sys.argv[1], "rb").read(), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]), 13, [], b""
		def mark(dts, **what):
		    text = json.dumps(what).encode()
		    body = b"\2\0\x08onLvMark\2" + len(text).to_bytes(2, "big") + text
		    return b"\x12" + len(body).to_bytes(3, "big") + dts.to_bytes(3, "big") + bytes(4) + body + (len(body) + 11).to_bytes(4, "big")
		while at < len(d):
		    n = int.from_bytes(d[at + 1:at + 4], "big") + 15
		    rung.append(d[at:at + n])
		    if d[at] == 18 or d[at + 12] & (15 if d[at + 11] & 0x80 else 255) == 0:
		        heads += d[at:at + n]
		    at += n
		end = int.from_bytes(rung[-1][4:7], "big") + 40
		rung = [t for t in rung if t[0] == 9 and t[11] & 0x80 or t[0] == 8 and t[11] >> 4 == 9]
		sys.stdout.buffer.write(d[:13] + heads if since else d + mark(end, mark="gap"))
		for t in rung:
		    dts = int.from_bytes(t[4:7], "big")
		    if since <= dts <= ms:
		        sys.stdout.buffer.write(t[:4] + (dts + end).to_bytes(3, "big") + t[7:])
	EOF
}

@test "while a slate is on, its segments are listed at once: the source is not waited for" {
	flvmark 01jdabcdef0 7 s1 open "$A" "$B" >m.flv
	slate m.flv 4500 >slate.flv
	mkfifo pipe
	lv-segment --dir live/x --events ev <pipe 3>&- &
	local seg=$!
	exec 9>pipe
	cat slate.flv >&9
	wait_event ev 10 '.event=="segment.written" and .track=="480p" and .seq==5' # four of the broadcast, two of the slate
	[ "$(grep -c EXT-X-GAP live/x/source/index.m3u8)" = 2 ]
	[ "$(grep -c EXT-X-GAP live/x/audio-source/index.m3u8)" = 2 ]
	! grep -q EXT-X-GAP live/x/480p/index.m3u8
	exec 9>&-
	wait "$seg" || [ $? = 75 ]
}

@test "a writer that dies while a slate is on: its heir does not wait for the source either" {
	flvmark 01jdabcdef0 7 s1 open "$A" "$B" >m.flv
	slate m.flv 4500 >slate.flv
	slate m.flv 6500 4000 >heir.flv
	mkfifo pipe
	lv-segment --dir live/x --events ev <pipe 3>&- &
	local seg=$!
	exec 9>pipe
	cat slate.flv >&9
	wait_event ev 10 '.event=="segment.written" and .track=="480p" and .seq==5'
	eventually 10 jq -e '.next == 6' live/x/.state.json # the last that is written of a segment
	kill -9 "$seg"
	wait "$seg" || :
	exec 9>&-
	lv-segment --dir live/x --events heir <pipe 3>&- &
	seg=$!
	exec 9>pipe
	cat heir.flv >&9
	wait_event heir 10 '.event=="segment.written" and .track=="480p" and .seq==6'
	eventually 10 jq -e '.next == 7 and .away' live/x/.state.json
	[ "$(grep -c EXT-X-GAP live/x/source/index.m3u8)" = 3 ]
	! grep -q EXT-X-GAP live/x/480p/index.m3u8
	exec 9>&-
	wait "$seg" || [ $? = 75 ]
}

@test "the archive holds links, a journal and a whole playlist" {
	lv-segment --dir live/x --archive arch/x --window 3 <"$A"
	cd arch/x/*
	[ "$(stat -c %h source/*-0.m4s)" = 2 ]
	[ "$(jq -s length segments.ndjson)" = 8 ]
	[ "$(packets source/index.m3u8 | cut -d, -f2)" = 240 ]
	[ "$(jq .live broadcast.json)" = false ]
}

@test "a source without key frames where the rungs have them is a gap, then off the master" {
	ffmpeg -v error -i "$B" -c copy -an -f flv r.flv
	ffmpeg -v error -i "$A" -c:v libx264 -preset ultrafast -g 1000 -sc_threshold 0 -c:a copy -copyts -f flv s.flv
	flvmark 01jdabcdef0 7 s1 end s.flv r.flv >m.flv
	run -0 --separate-stderr lv-segment --dir live/x --events 1 m.flv
	[ "$(jq -r 'select(.event=="rung.unfit").rung' <<<"$output")" = source ]
	[ "$(grep -c EXT-X-GAP live/x/source/index.m3u8)" = 3 ]
	! grep -q source/index live/x/master.m3u8
	[ "$(grep -c EXTINF live/x/480p/index.m3u8)" = 4 ]
}

@test "a rung that pauses is a gap, and the others do not wait for it" {
	ffmpeg -v error -stream_loop 2 -i "$A" -c copy -f flv long.flv
	ffmpeg -v error -i long.flv -an -vf "select='lt(t,4)+gte(t,16)',scale=160:90" -fps_mode passthrough -c:v libx264 \
		-preset ultrafast -bf 0 -sc_threshold 0 -force_key_frames source -copyts -f flv paused.flv
	flv-ladder source=long.flv r=paused.flv >ladder.flv
	mkfifo pipe
	lv-segment --dir live/x --window 20 --events ev <pipe 3>&- &
	local seg=$! at
	exec 9>pipe
	# What lies before 15 s, and no more: all but the last second or so is listed.
	at=$(python3 -c '
import sys
d, at = open("ladder.flv", "rb").read(), 13
while int.from_bytes(d[at + 4:at + 7], "big") < 15000:
    at += 15 + int.from_bytes(d[at + 1:at + 4], "big")
print(at)')
	head -c "$at" ladder.flv >&9
	wait_event ev 10 '.event=="segment.written" and .track=="source" and .pts_ms>=12000'
	tail -c +$((at + 1)) ladder.flv >&9
	exec 9>&-
	wait "$seg"
	inf live/x/source/index.m3u8 | grep -v GAP >want
	inf live/x/r/index.m3u8 | sed '/GAP/d; s/VERSION:8/VERSION:6/' | diff want -
	[ "$(grep -c GAP live/x/r/index.m3u8)" -ge 5 ]
	[ "$(grep -c GAP live/x/r/index.m3u8)" -le 7 ]
	! grep -q GAP live/x/source/index.m3u8
	[ "$(grep -c DISCONTINUITY$ live/x/r/index.m3u8)" = 0 ]
}

@test "a picture that stops while the sound goes on is back from its next key frame on" {
	ffmpeg -v error -stream_loop 2 -i "$A" -c copy -f flv long.flv
	# Without the pictures from 4 s to 11 s: the next key frame is at 12 s.
	python3 -c '
import sys
d = open("long.flv", "rb").read()
out, at = d[:13], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    if d[at] != 9 or not 4000 <= int.from_bytes(d[at + 4:at + 7], "big") < 11000:
        out += d[at:at + n]
    at += n
open("hole.flv", "wb").write(out)'
	run -0 --separate-stderr lv-segment --dir live/x --window 20 --events ev hole.flv
	[ -z "$stderr" ]
	[ "$(grep -c EXT-X-GAP live/x/source/index.m3u8)" -le 5 ]
	! tail -n 18 live/x/source/index.m3u8 | grep -q EXT-X-GAP
	! grep -q -e 'DISCONTINUITY$' live/x/source/index.m3u8
	inf live/x/source/index.m3u8 | sed '/GAP/d; s/VERSION:8/VERSION:6/' >got
	inf live/x/audio-source/index.m3u8 | diff - got
	jq -s -e 'map(select(.event=="segment.written" and .track=="source" and .pts_ms>=12000).dur_ms) | add > 11900' ev
}

@test "sound that is lost is off the master while the picture goes on, and back when it is" {
	ffmpeg -v error -stream_loop 2 -i "$A" -c copy -f flv long.flv
	local until
	for until in 18000 99999; do # when the sound comes back, if ever
		python3 -c '
import sys
d = open("long.flv", "rb").read()
out, at = d[:13], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    if d[at] != 8 or not 4000 <= int.from_bytes(d[at + 4:at + 7], "big") < int(sys.argv[1]):
        out += d[at:at + n]
    at += n
open("lost.flv", "wb").write(out)' $until
		run -0 --separate-stderr lv-segment --dir live/$until --window 20 lost.flv
		[ -z "$stderr" ]
		! grep -q EXT-X-GAP live/$until/source/index.m3u8
	done
	grep -q 'CODECS="avc1[^,"]*,mp4a.*AUDIO="audio-source"' live/18000/master.m3u8
	grep -q 'CODECS="avc1[^,"]*"' live/99999/master.m3u8
	! grep -q AUDIO= live/99999/master.m3u8
	! grep -q TYPE=AUDIO live/99999/master.m3u8
}

@test "a transport stream: every frame of picture and sound, at its time, in segments that stand alone" {
	flv-ladder source="$A" 90p="$B" >ladder.flv
	lv-segment --format ts --dir live/x --archive archive ladder.flv
	[ "$(find live/x -name '*.mp4' -o -name '*.m4s' -o -path '*audio*' | wc -l)" = 0 ]
	! grep -q -e EXT-X-MAP -e 'EXT-X-MEDIA:' live/x/*.m3u8 live/x/*/*.m3u8
	[ "$(grep -c STREAM-INF live/x/master.m3u8)" = 2 ]
	local r f t
	for r in source:$A 90p:$B; do
		f=${r#*:} r=${r%%:*}
		for t in live/x archive/*; do
			run -0 --separate-stderr ffmpeg -nostdin -v warning -i $t/$r/index.m3u8 -map 0 -f null -
			[ -z "$stderr" ] || { echo "$stderr"; false; }
		done
		for t in v a; do # what a decoder makes of it, and when; the clock is 1.4 s ahead
			ffmpeg -nostdin -v error -copyts -i "$f" -map 0:$t -f framemd5 - | awk -F, '!/^#/ { print $6 }' >want
			ffmpeg -nostdin -v error -copyts -i live/x/$r/index.m3u8 -map 0:$t -f framemd5 - | awk -F, '!/^#/ { print $6 }' >got
			[ "$(wc -l <want)" -gt 200 ]
			diff want got >/dev/null || [ $t = a ] # a decoder's first frame of sound differs where the encoder's delay is told
			[ $t = v ] || [ "$(wc -l <got)" -ge "$(wc -l <want)" ]
			ffprobe -v error -select_streams $t -show_entries packet=pts_time -of csv=p=0 "$f" | awk -F, 'NF { printf "%d\n", $1 * 1000 + 0.5 }' | sort -n >want
			ffprobe -v error -select_streams $t -show_entries packet=pts_time -of csv=p=0 live/x/$r/index.m3u8 |
				awk -F, 'NF { printf "%d\n", ($1 - 1.4) * 1000 + 0.5 }' | sort -n >got
			[ "$(wc -l <want)" = "$(wc -l <got)" ]
			paste want got | awk '{ d = $1 - $2; if (d > 22 || d < -22) exit 1 }' # sound lies on its grid
			[ $t = a ] || paste want got | awk '{ d = $1 - $2; if (d > 1 || d < -1) exit 1 }'
		done
		for f in live/x/$r/*.ts; do # each begins with the tables and a key frame, by itself
			[ $(($(stat -c %s "$f") % 188)) = 0 ]
			ffprobe -v error -select_streams v -show_entries packet=flags -of csv=p=0 "$f" | head -n 1 | grep -q K
		done
		cat $(printf '%s\n' live/x/$r/*.ts | sort -V) >all.ts # no counter is out of step
		run -0 --separate-stderr ffmpeg -nostdin -v warning -i all.ts -map 0 -c copy -f null -
		[ -z "$stderr" ] || { echo "$stderr"; false; }
	done
	gst-launch-1.0 -q filesrc location=all.ts ! tsdemux name=d d. ! queue ! h264parse ! avdec_h264 ! fakesink d. ! queue ! aacparse ! avdec_aac ! fakesink
	# Sound alone, and a restart.
	ffmpeg -nostdin -v error -i "$A" -vn -c copy -f flv sound.flv
	lv-segment --format ts --dir live/s sound.flv
	[ "$(packets live/s/audio-source/index.m3u8)" = "$(packets sound.flv)" ]
	lv-segment --format ts --dir live/s sound.flv
	grep -q MEDIA-SEQUENCE live/s/audio-source/index.m3u8
	run -64 --separate-stderr lv-segment --format mkv --dir live/s sound.flv
	[[ $stderr == *'--format mkv: fmp4 or ts'* ]]
}

# encode OUT COLOURS CODEC OPTION...: four seconds of picture, key frames every two, and a tone.
encode() {
	local out=$1 colours=$2
	shift 2
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=192x108:r=30 -f lavfi -i sine=r=48000 -t 4 \
		-pix_fmt "${colours%%:*}" ${colours#*:} -c:v "$@" "$out"
}
X265=keyint=60:min-keyint=60:scenecut=0:log-level=none

# mime BOX FILE: what RFC 6381 calls the HEVC of an MP4, from its hvcC after ISO/IEC 14496-15 E.3.
mime_hevc() {
	python3 - "$1" <<-'EOF'
		import sys
		d = open(sys.argv[1], "rb").read()
		b = d[d.index(b"hvcC") + 4:]
		flags = int(f"{int.from_bytes(b[2:6], 'big'):032b}"[::-1], 2)
		rest = [f"{v:X}".lower() for v in b[6:12].rstrip(b"\0")]
		print(".".join(["hvc1", f"{' ABC'[b[1] >> 6].strip()}{b[1] & 31}", f"{flags:x}",
		                f"{'LH'[b[1] >> 5 & 1]}{b[12]}"] + rest))
	EOF
}

# whole FILE.mp4 DIR SHIFT_MS: DIR's pictures and sound decode as the file's, each picture at its time.
whole() {
	local t
	run -0 --separate-stderr ffmpeg -nostdin -v warning -i "$2/master.m3u8" -map 0 -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
	for t in v a; do
		ffmpeg -nostdin -v error -i "$1" -map "0:$t" -f framemd5 - | awk '!/^#/ { print $NF }' >want
		ffmpeg -nostdin -v error -i "$2/master.m3u8" -map "0:$t" -f framemd5 - | awk '!/^#/ { print $NF }' >got
		[ $t = a ] || cmp want got
	done
	ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 "$1" |
		awk -F, -v s="$3" 'NF { printf "%d\n", $1 * 1000 + s + 0.5 }' | sort -n >want
	ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 "$2/source/index.m3u8" |
		awk -F, 'NF { printf "%d\n", $1 * 1000 + 0.5 }' | sort -n >got
	cmp want got
}

@test "HEVC, AV1, VP9, Opus, FLAC, AC-3: they decode as they came, and CODECS says what they are" {
	encode hevc.mp4 yuv420p: libx265 -preset ultrafast -x265-params $X265:open-gop=0 -tag:v hvc1 -c:a ac3
	encode svt.mp4 yuv420p: libsvtav1 -preset 10 -g 60 -c:a libopus 2>/dev/null
	encode aom.mp4 yuv420p10: libaom-av1 -usage realtime -cpu-used 8 -g 60 -c:a aac
	encode vp9.mp4 yuv420p: libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a flac -strict -2
	local f name entry sound codecs t n
	while read -r f name entry sound codecs; do
		"$ROOT/tests/lib/eflv" $f.mp4 >$f.flv
		lv-segment --dir live/$f $f.flv
		whole $f.mp4 live/$f 200
		[ "$(packets live/$f/master.m3u8)" = "$(packets $f.mp4)" ]
		if [ $f = hevc ]; then
			name=$(mime_hevc hevc.mp4)
		else # another's opinion
			ffmpeg -nostdin -v error -i $f.mp4 -map v -c copy -f dash $f.mpd
			name=$(sed -n 's/.*codecs="\([^"]*\)".*/\1/p' $f.mpd | head -n 1)
		fi
		grep -q "CODECS=\"$name,$codecs\",RESOLUTION=192x108,FRAME-RATE=30.000" live/$f/master.m3u8
		grep -q EXT-X-INDEPENDENT-SEGMENTS live/$f/source/index.m3u8
		inf live/$f/source/index.m3u8 >want
		inf live/$f/audio-source/index.m3u8 | diff want -
		[ "$(grep -c EXTINF live/$f/source/index.m3u8)" = 2 ]
		for n in 0 1; do
			cat live/$f/source/init-*.mp4 live/$f/source/*-$n.m4s >one.mp4
			ffprobe -v error -show_entries packet=flags:stream=codec_tag_string -of csv=p=0 one.mp4 >said
			head -n 1 said | grep -q K && tail -n 1 said | grep -q "^$entry"
			cat live/$f/audio-source/init-*.mp4 live/$f/audio-source/*-$n.m4s >one.mp4
			run -0 --separate-stderr ffmpeg -nostdin -v warning -i one.mp4 -f null -
			[ -z "$stderr" ]
			ffprobe -v error -show_entries stream=codec_tag_string,sample_rate,channels -of csv=p=0 one.mp4 | grep -q "^$sound,48000,1"
		done
	done <<-EOF
		hevc x hvc1 ac-3 ac-3
		svt x av01 Opus Opus
		aom x av01 mp4a mp4a.40.2
		vp9 x vp09 fLaC fLaC
	EOF
	for f in svt:av1parse:av1dec hevc:h265parse:avdec_h265 vp9:vp9parse:vp9dec; do # other readers agree
		IFS=: read -r f t n <<<"$f"
		cat live/$f/source/init-*.mp4 live/$f/source/*.m4s >one.mp4
		timeout 60 gst-launch-1.0 -q filesrc location=one.mp4 ! qtdemux ! $t ! $n ! fakesink
	done
}

@test "an open group of pictures is cut, and not called independent; VIDEO-RANGE says what the light is" {
	encode pq.mp4 yuv420p10: libx265 -preset ultrafast -tag:v hvc1 -an \
		-x265-params $X265:open-gop=1:bframes=3:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc
	encode hlg.mp4 "yuv420p10:-color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc" \
		libaom-av1 -usage realtime -cpu-used 8 -g 60 -an
	encode sdr.mp4 "yuv420p:-color_primaries bt709 -color_trc bt709 -colorspace bt709" libvpx-vp9 \
		-deadline realtime -cpu-used 8 -g 60 -an
	local f range
	for f in pq hlg sdr; do
		"$ROOT/tests/lib/eflv" $f.mp4 >$f.flv
		lv-segment --dir live/$f $f.flv
		whole $f.mp4 live/$f 200
		range=${f^^}
		grep -q "VIDEO-RANGE=$range\(,\|$\)" live/$f/master.m3u8
		[ "$(grep -c EXTINF live/$f/source/index.m3u8)" = 2 ]
	done
	grep -q "CODECS=\"$(mime_hevc pq.mp4)\"" live/pq/master.m3u8
	! grep -q INDEPENDENT live/pq/*.m3u8 live/pq/source/*.m3u8
	ffmpeg -nostdin -v error -i hlg.mp4 -c copy -f dash hlg.mpd
	grep -q "CODECS=$(grep -o '"av01.0.00M.10[^"]*"' hlg.mpd | head -n 1)" live/hlg/master.m3u8
}

@test "new parameters in the middle, told by a header or only by a key frame: a new init, a discontinuity" {
	encode a.mp4 yuv420p: libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -c:a libopus
	encode b.mp4 yuv420p: libvpx-vp9 -deadline realtime -cpu-used 8 -g 60 -s 160x90 -c:a libopus # the same header
	encode c.mp4 yuv420p: libx265 -preset ultrafast -x265-params $X265 -tag:v hvc1 -c:a aac
	"$ROOT/tests/lib/eflv" a.mp4 b.mp4 c.mp4 >m.flv
	lv-segment --dir live/m m.flv
	local t n=0 size
	for t in source audio-source; do
		[ "$(grep -c '^#EXT-X-DISCONTINUITY$' live/m/$t/index.m3u8)" = 2 ]
		[ "$(grep -c EXTINF live/m/$t/index.m3u8)" = 6 ]
	done
	[ "$(grep -c EXT-X-MAP live/m/source/index.m3u8)" = 3 ]
	[ "$(grep -c EXT-X-MAP live/m/audio-source/index.m3u8)" = 2 ] # the sound of the first two is the same
	grep -q 'CODECS="hvc1.*mp4a.40.2",RESOLUTION=192x108' live/m/master.m3u8
	sed -n 's/.*MAP:URI="\(.*\)"/\1/p' live/m/source/index.m3u8 >inits
	for size in vp9,192,108 vp9,160,90 hevc,192,108; do
		cat "live/m/source/$(sed -n $((n / 2 + 1))p inits)" live/m/source/*-$n.m4s live/m/source/*-$((n + 1)).m4s >one.mp4
		ffprobe -v error -count_packets -show_entries stream=codec_name,width,height,nb_read_packets -of csv=p=0 one.mp4 >got
		[ "$(cat got)" = "$size,120" ]
		run -0 --separate-stderr ffmpeg -nostdin -v warning -i one.mp4 -f null -
		[ -z "$stderr" ] || { echo "$stderr"; false; }
		n=$((n + 2))
	done
}

@test "a picture that nothing has told of leads the cuts, also when it comes after the sound" {
	encode a.mp4 yuv420p: libx264 -preset ultrafast -g 60 -c:a aac
	ffmpeg -nostdin -v error -i a.mp4 -itsoffset 3 -i a.mp4 -map 1:v -map 0:a -c copy late.mp4
	local f
	for f in a late; do
		"$ROOT/tests/lib/eflv" --bare $f.mp4 >$f.flv
		lv-segment --dir live/$f $f.flv
		inf live/$f/source/index.m3u8 | grep -v GAP >want
		inf live/$f/audio-source/index.m3u8 | grep -v GAP | diff want -
		[ "$(packets live/$f/source/index.m3u8)" = video,120 ]
		grep -q EXT-X-INDEPENDENT-SEGMENTS live/$f/source/index.m3u8
	done
	[ "$(grep -c EXTINF live/a/source/index.m3u8)" = 2 ]
	! grep -q -e GAP -e 'DISCONTINUITY$' live/a/*/index.m3u8
	[ "$(grep -c 'DISCONTINUITY$' live/late/source/index.m3u8)" = 1 ]
}

@test "a source in AV1 beside a rung in H.264: cut alike, and a gap where it has no key frame" {
	ffmpeg -nostdin -v error -i "$B" -t 6 -c copy -an r.flv
	encode good.mp4 yuv420p: libaom-av1 -usage realtime -cpu-used 8 -g 60 -c:a libopus
	ffmpeg -nostdin -v error -i "$A" -t 6 -pix_fmt yuv420p -c:v libaom-av1 -usage realtime -cpu-used 8 -g 1000 -c:a libopus bad.mp4
	local f
	for f in good bad; do
		"$ROOT/tests/lib/eflv" $f.mp4 >$f.flv
		ffmpeg -nostdin -v error -i "$B" -t 6 -an -c copy -bsf:v setts=ts=TS-68+200 -y $f.r.flv
		flv-ladder source=$f.flv r=$f.r.flv >$f.m.flv
		lv-segment --dir live/$f $f.m.flv
		inf live/$f/r/index.m3u8 | grep -v GAP >want
		inf live/$f/source/index.m3u8 | sed '/GAP/d; s/VERSION:8/VERSION:6/' | diff want -
	done
	[ "$(grep -c EXT-X-GAP live/good/source/index.m3u8)" = 1 ] # it ended before the rung
	[ "$(grep -c EXT-X-GAP live/bad/source/index.m3u8)" = 2 ]
	grep -q 'CODECS="av01.*Opus"' live/good/master.m3u8
	grep -q 'CODECS="avc1.*Opus"' live/good/master.m3u8
}

@test "captions: the master lists the channels that speak, or what was told of them, or none" {
	local said="one one two two three three four"
	"$ROOT/tests/lib/caption" "$A" one two three four five >cc.flv
	"$ROOT/tests/lib/caption" --cc3 "$A" one two three >cc3.flv
	heard() { # PLAYLIST: what a decoder makes of it
		ffmpeg -nostdin -v error -f lavfi -i "movie=$1[out0+subcc]" -map s -f srt - | tr -d '\r' |
			sed -n 's/<[^>]*>//g; s/{[^}]*}//g; /^[a-z]/p' | xargs
	}
	lv-segment --dir live/a cc.flv
	[ "$(heard live/a/source/index.m3u8)" = "$said" ]
	grep -q '^#EXT-X-VERSION:7$' live/a/master.m3u8
	[ "$(grep -c TYPE=CLOSED-CAPTIONS live/a/master.m3u8)" = 2 ]
	grep -q '^#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="CC1",LANGUAGE="und",DEFAULT=NO,.*INSTREAM-ID="CC1"' live/a/master.m3u8
	grep -q ',INSTREAM-ID="SERVICE1"$' live/a/master.m3u8
	grep -q '^#EXT-X-STREAM-INF:.*,CLOSED-CAPTIONS="cc"$' live/a/master.m3u8
	lv-segment --dir live/t --format ts cc.flv
	[ "$(heard live/t/source/index.m3u8)" = "$said" ]
	grep -q 'INSTREAM-ID="CC1"' live/t/master.m3u8
	lv-segment --dir live/c --captions CC1=en,CC3=es cc3.flv
	grep -q 'NAME="CC1",LANGUAGE="en".*CC1' live/c/master.m3u8
	grep -q 'NAME="CC3",LANGUAGE="es".*CC3' live/c/master.m3u8
	lv-segment --dir live/q "$A" # nobody has spoken: nobody knows
	! grep -q CLOSED-CAPTIONS live/q/master.m3u8
	lv-segment --dir live/n --captions none cc.flv
	grep -q '^#EXT-X-STREAM-INF:.*,CLOSED-CAPTIONS=NONE$' live/n/master.m3u8
	! grep -q TYPE=CLOSED-CAPTIONS live/n/master.m3u8
	run -64 --separate-stderr lv-segment --dir live/n --captions CC5=en "$A"
	[[ $stderr == *'--captions CC5=en: none, or CHANNEL=LANGUAGE'* ]]
	! command -v npm >/dev/null || NODE_PATH=$BUILD/hls-judge/node_modules node -e 'const hls = require("hls-parser");
		hls.setOptions({ strictMode: true });
		process.argv.slice(1).forEach((f) => hls.parse(require("fs").readFileSync(f, "utf8")));' live/{a,c,n,q}/master.m3u8
}

@test "cue points and text data are timed metadata: ID3 in emsg boxes, or in a stream of its own" {
	"$ROOT/tests/lib/caption" "$A" one two three four five six >cue.flv
	lv-segment --dir live/a cue.flv
	lv-segment --dir live/t --format ts cue.flv
	python3 - live/a/source/*.m4s >got <<'END'
import json, struct, sys
found = []
for name in sys.argv[1:]:
    b, at = open(name, "rb").read(), 0
    while b[at + 4:at + 8] != b"moof":  # they come before it
        size = struct.unpack(">I", b[at:at + 4])[0]
        if b[at + 4:at + 8] == b"emsg":
            scale, pts, dur, number = struct.unpack(">IQII", b[at + 12:at + 32])
            scheme, value, id3 = b[at + 32:at + size].split(b"\0", 2)
            assert (b[at + 8], scheme, value) == (1, b"https://aomedia.org/emsg/ID3", b"")
            assert id3[:6] == b"ID3\4\0\0" and id3[9] == len(id3) - 10 and id3[10:14] == b"TXXX"
            kind, text = id3[21:-1].split(b"\0")
            found.append((number, pts * 1000 // scale, kind.decode(), json.loads(text)))
        at += size
assert len({n for n, *_ in found}) == len(found) == 12
for n, ms, kind, value in sorted(found):
    print(ms, kind, value.get("text") or value["name"], value.get("parameters", ""))
END
	cat got
	local first
	first=$(ffprobe -v error -select_streams v -show_entries packet=pts_time -of csv=p=0 "$A" | sort -n | awk 'NR == 1 { print int($1 * 1000 + 0.5) }')
	[ "$(awk '$2 == "onTextData" { print $3 }' got | xargs)" = "one two three four five six" ]
	[ "$(head -n 2 got | tail -n 1)" = "$first onCuePoint one {'n': 1}" ]
	awk '$2 == "onTextData" { d = $1 - last; if (last && (d < 490 || d > 540)) exit 1; last = $1 }' got
	# The same in a transport stream, as ffprobe sees it.
	[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 live/t/source/index.m3u8 | sort -u | grep . | xargs)" = "aac h264 timed_id3" ]
	ffprobe -v error -select_streams d -show_entries packet=pts_time -of csv=p=0 live/t/source/index.m3u8 | grep . |
		awk -F, '{ printf "%d\n", ($1 - 1.4) * 1000 + 0.5 }' | sort -n >times
	awk '{ print $1 }' got | paste - times | awk '{ d = $1 - $2; if (d > 1 || d < -1) exit 1 }'
	[ "$(wc -l <times)" = 12 ]
	run -0 --separate-stderr ffmpeg -nostdin -v warning -i live/t/source/index.m3u8 -map 0:v -map 0:a -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
}

@test "SEI in a tag of its own goes with the picture that follows: every frame has a slice" {
	python3 -c '
d = open("'"$A"'", "rb").read()
sei = bytes.fromhex("2701000000" "00000006" "060502414280")
out, at = d[:13], 13
while at < len(d):
    n = 15 + int.from_bytes(d[at + 1:at + 4], "big")
    if d[at] == 9 and d[at + 12] == 1:
        out += b"\x09" + len(sei).to_bytes(3, "big") + d[at + 4:at + 11] + sei + (11 + len(sei)).to_bytes(4, "big")
    out += d[at:at + n]
    at += n
open("sei.flv", "wb").write(out)'
	local format
	for format in fmp4 ts; do
		lv-segment --dir live/$format --format $format sei.flv
		run -0 --separate-stderr ffmpeg -nostdin -v error -xerror -i live/$format/source/index.m3u8 -map 0:v -f framecrc -
		[ -z "$stderr" ]
		[ "$(grep -c '^0,' <<<"$output")" = 240 ]
	done
	[ "$(packets live/fmp4/source/index.m3u8)" = video,240 ]
}

@test "what a format does not hold is named, and left out or exits 65" {
	encode hevc.mp4 yuv420p: libx265 -preset ultrafast -x265-params $X265 -tag:v hvc1 -an
	encode opus.mp4 yuv420p: libx264 -preset ultrafast -g 60 -c:a libopus
	encode vp8.webm yuv420p: libvpx -deadline realtime -cpu-used 8 -g 60 -an
	ffmpeg -nostdin -v error -i "$A" -c:v copy -c:a libmp3lame -ar 44100 -f flv mp3.flv
	local f
	for f in hevc.mp4 opus.mp4 vp8.webm; do "$ROOT/tests/lib/eflv" $f >${f%.*}.flv; done
	run -65 --separate-stderr lv-segment --format ts --dir live/hevc hevc.flv
	[ "$stderr" = "lv-segment: source is HEVC, which --format ts does not hold: --format fmp4 does" ]
	run -65 --separate-stderr lv-segment --dir live/vp8 vp8.flv
	[ "$stderr" = "lv-segment: source is VP8, which --format fmp4 does not hold" ]
	run -0 --separate-stderr lv-segment --format ts --dir live/opus opus.flv
	[ "$stderr" = "lv-segment: audio-source is Opus, which --format ts does not hold: --format fmp4 does" ]
	[ "$(packets live/opus/source/index.m3u8)" = video,120 ]
	# A rung that becomes what the format does not hold is off the master, and nobody waits for it.
	"$ROOT/tests/lib/eflv" opus.mp4 hevc.mp4 >changes.flv
	ffmpeg -nostdin -v error -i "$A" -an -c copy -f flv r.flv
	flv-ladder source=changes.flv r=r.flv >m.flv
	run -0 --separate-stderr lv-segment --format ts --dir live/m m.flv
	[[ $stderr == *"source is HEVC, which --format ts does not hold: --format fmp4 does"* ]]
	grep -q r/index live/m/master.m3u8
	! grep -q source/index live/m/master.m3u8
	[ "$(packets live/m/r/index.m3u8)" = video,240 ]
	! grep -q 'DISCONTINUITY$' live/m/r/index.m3u8
	run -0 --separate-stderr lv-segment --dir live/mp3 mp3.flv
	[ "$stderr" = "lv-segment: audio-source is MP3, which --format fmp4 does not hold" ]
	[ "$(packets live/mp3/master.m3u8)" = video,240 ]
}

@test "AV1 and Opus that another wrote" {
	local clip=$ROOT/../shared/media/bbb-av1-opus-eflv.flv
	[ -e "$clip" ] || clip=${LV_MEDIA:-}/bbb-av1-opus-eflv.flv
	[ -e "$clip" ] || skip "the clip is not here"
	lv-segment --dir live/x "$clip"
	run -0 --separate-stderr ffmpeg -nostdin -v warning -i live/x/master.m3u8 -f null -
	[ -z "$stderr" ] || { echo "$stderr"; false; }
	[ "$(packets live/x/master.m3u8)" = $'audio,1500\nvideo,897' ]
	grep -q 'CODECS="av01.0.04M.08,Opus",RESOLUTION=960x540,FRAME-RATE=30.000' live/x/master.m3u8
	inf live/x/source/index.m3u8 >want # whose key frames are up to 12 s apart
	inf live/x/audio-source/index.m3u8 | grep -v INDEPENDENT | diff want -
	! grep -q INDEPENDENT live/x/master.m3u8
}

@test "what is not FLV, is cut off or is empty is said, and exits 65" {
	ffmpeg -v error -i "$A" -c copy -t 1 -f mpegts t.ts
	run -65 --separate-stderr lv-segment --dir live/t t.ts
	[ "$stderr" = "lv-segment: t.ts is not FLV; lv-transcode reads other containers" ]
	head -c 100000 "$A" >cut.flv
	run -65 --separate-stderr lv-segment --dir live/c cut.flv
	[ "$stderr" = "lv-segment: cut.flv ends in the middle of a tag: truncated" ]
	[ -s live/c/source/index.m3u8 ]
	run -65 --separate-stderr lv-segment --dir live/e /dev/null
	[ "$stderr" = "lv-segment: /dev/null is empty" ]
}

@test "wrong options exit 64, a missing input 66, a folder that is a file 73" {
	run -64 lv-segment </dev/null
	run -64 lv-segment --dir x --target-ms 1
	run -64 lv-segment --dir x --window 2
	run -66 --separate-stderr lv-segment --dir x /no/such/file
	[ "$stderr" = "lv-segment: cannot open /no/such/file: No such file or directory" ]
	touch file
	run -73 --separate-stderr lv-segment --dir file "$A"
	[ "$stderr" = "lv-segment: cannot write to file: Not a directory" ]
}

@test "a full disk: a gap, an event, and on it goes when there is room" {
	[ "$(id -u)" = 0 ] || skip "needs a mount"
	mkdir d
	mount -t tmpfs -o size=1500k none d || skip "no mount here"
	head -c 1250k /dev/zero >d/ballast
	mkfifo in
	lv-segment --dir d/x --events ev --quiet in 2>err 3>&- &
	pid=$!
	exec 7>in
	head -c 300000 "$A" >&7
	wait_event ev 10 '.event=="disk.full"'
	rm d/ballast
	tail -c +300001 "$A" >&7
	exec 7>&-
	wait "$pid" || :
	wait_event ev 10 '.event=="write.recovered"'
	grep -q EXT-X-GAP d/x/source/index.m3u8
	grep -v '^#' d/x/source/index.m3u8 | tail -n 1 | while read -r f; do [ -s "d/x/source/$f" ]; done
	! find d/x -name '*.tmp' | grep .
}

@test "a folder that is removed under it is made again, and what was in it is a gap" {
	local gone
	mkfifo in
	for gone in x/source x; do
		rm -rf d ev
		lv-segment --dir d/x --archive ar-$gone --events ev in 2>err 3>&- &
		pid=$!
		exec 7>in
		head -c 900000 "$A" >&7
		wait_event ev 10 '.event=="playlist.written" and .path=="source/index.m3u8"'
		rm -r "d/$gone"
		tail -c +900001 "$A" >&7
		exec 7>&-
		wait "$pid"
		grep -q "^lv-segment: warning: d/x/source was removed" err
		! grep -q cannot err
		jq -e '.live == false' d/x/stream.json
		[ "$(grep -c EXTINF d/x/source/index.m3u8)" = 4 ]
		grep -q EXT-X-GAP d/x/source/index.m3u8
		grep -v '^#' d/x/source/index.m3u8 | tail -n 1 | while read -r f; do [ -s "d/x/source/$f" ]; done
		[ "$(packets "$(echo ar-$gone/*/source/index.m3u8)")" = video,240 ]
	done
}

@test "a read-only folder is said, and what it holds stays" {
	[ "$(id -u)" = 0 ] || skip "needs a mount"
	mkdir d
	lv-segment --dir d/x "$A"
	find d/x -type f -exec md5sum {} + | sort >before
	mount --bind d d || skip "no mount here"
	mount -o remount,ro,bind d
	run -73 --separate-stderr lv-segment --dir d/x "$A"
	[ "$stderr" = "lv-segment: cannot write to d/x: Read-only file system" ]
	run -73 --separate-stderr lv-segment --dir d/y "$A"
	[ "$stderr" = "lv-segment: cannot write to d/y: Read-only file system" ]
	find d/x -type f -exec md5sum {} + | sort | diff before -
	umount d
}

@test "a second writer waits, then exits 75" {
	mkdir -p live/x
	flock live/x/.lock env BUILD="$BUILD" bash -c 'lv-segment --dir live/x "$A"; echo $? >status' 2>err
	[ "$(cat status)" = 75 ]
	[ "$(cat err)" = "lv-segment: live/x belongs to another lv-segment, which runs on" ]
}

@test "help, manual and completions name the same options" {
	lv-segment --help | grep -oE -- '--[a-z-]+' | sort -u >help
	for f in "$ROOT/completions/bash/lv-segment" "$ROOT/completions/zsh/_lv-segment"; do
		grep -oE -- '--[a-z-]+' "$f" | sort -u | diff help -
	done
	sed -n 's/.*Fl Fl \([a-z-]*\).*/--\1/p' "$ROOT/man/lv-segment.1" | sort -u | comm -23 help - | diff /dev/null -
	mandoc -T lint -W warning "$ROOT/man/lv-segment.1"
}
