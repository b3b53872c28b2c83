# What networks and clocks do to a publisher, again and again: one broadcast comes out of it, and lists that hold.
# CUTS says how often a publisher is cut off (6; tests/run --long: 50).
bats_require_minimum_version 1.5.0
load ../lib/common

CUTS=${CUTS:-${LONG:+50}}
CUTS=${CUTS:-6}

setup_file() {
	export CLIP=$BATS_FILE_TMPDIR/clip.flv
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=160x90:r=30 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 \
		-preset ultrafast -bf 2 -g 30 -pix_fmt yuv420p -c:a aac "$CLIP"
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	lv-auth --keys keys add alice >alice
}

teardown() {
	[ -z "${door:-}" ] || kill "$door" 2>/dev/null || :
	[ -z "${door:-}" ] || eventually 20 gone "$door" || kill -9 "$door" || :
	[ -z "${nets:-}" ] || for net in $nets; do ip netns del "$net" || :; done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# open_door [OPTION...]: each stream to STREAM.flv and, packaged, to live/STREAM and archive/STREAM.
open_door() {
	"${inside[@]}" rtmp-accept --listen "${at:-127.0.0.1}:0" --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events \
		--drain-s 0 "$@" -- sh -c 'tee -a "$LV_STREAM.flv" |
			lv-segment --dir "live/$LV_STREAM" --archive "archive/$LV_STREAM" --events media' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
}

# python SCRIPT-ON-STDIN ARGUMENT...
python() { PYTHONPATH=$ROOT/tests/lib PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 - "$@"; }

# together CLIP FLV: the FLV is whole to its last byte; in each of its sessions every picture and every sound is
# moved by the same time from where it is in the clip, but for 40 ms.
together() {
	python "$@" <<-'END'
		import sys
		d = open(sys.argv[2], "rb").read()
		at, last = 13, 0
		while at < len(d):
		    size = int.from_bytes(d[at + 1:at + 4], "big")
		    assert at + 15 + size <= len(d), "a tag that is cut off"
		    assert int.from_bytes(d[at + 11 + size:at + 15 + size], "big") == size + 11, "a size that is wrong"
		    at += size + 15
		def tags(path):
		    d, at = open(path, "rb").read(), 13
		    while at < len(d):
		        n = int.from_bytes(d[at + 1:at + 4], "big")
		        yield d[at], int.from_bytes(d[at + 4:at + 7], "big") | d[at + 7] << 24, d[at + 11:at + 11 + n]
		        at += n + 15
		where = {}
		for kind, time, body in tags(sys.argv[1]):
		    where.setdefault((kind, body), []).append(time)
		moved, sessions, checked = {}, 0, 0
		for kind, time, body in tags(sys.argv[2]):
		    if kind == 18 and b'"session"' in body:
		        moved, sessions = {}, sessions + 1
		    if len(where.get((kind, body), [])) == 1 and body[1:2] != b"\0": # no header, nothing that comes twice
		        moved[kind] = time - where[kind, body][0]
		        if 8 in moved and 9 in moved:
		            assert abs(moved[8] - moved[9]) <= 40, (sessions, time, moved)
		            checked += 1
		assert checked > 100, checked
		print(sessions, "sessions,", checked, "tags beside the other track")
	END
}

@test "cut off at random moments: one broadcast, one list, no more discontinuities than cuts, lips in time" {
	local check faults=(-f 'die@200-2500' -f 'silence@600-2900' -f 'half-close@900-3300')
	open_door --grace-ms 8000
	rtmp-load -a "$CUTS" -w 1200 -t 3 -S "${SEED:-7}" "${faults[@]}" "$CLIP" "$port" live "$(cat alice)" >load 3>&- &
	local load=$!
	wait_event media 20 '.event=="playlist.written"' >/dev/null
	"$ROOT/examples/hls-check" --for 900 live/alice/master.m3u8 >checked 2>wrong 3>&- &
	check=$!
	wait "$load"
	wait_event events 20 '.event=="broadcast.ended"' >/dev/null
	wait "$check" || :
	cat load
	jq -e ".began == $CUTS + 1 and .refused == 0 and .answer_ms < 1000" load
	[ "$(jq -s '[.[] | select(.event == "broadcast.started")] | length' events)" = 1 ]
	[ "$(jq -s '[.[] | select(.event == "publish.started")] | length' events)" = $((CUTS + 1)) ]
	[ "$(jq -s '[.[] | select(.event == "publish.ended")] | length' events)" = $((CUTS + 1)) ]
	together "$CLIP" alice.flv
	local list
	list=$(echo archive/alice/*/source/index.m3u8)
	[ "$(grep -c 'EXT-X-DISCONTINUITY$' "$list")" -le "$CUTS" ]
	[ ! -s wrong ] || { cat wrong; false; }
	jq -se '[.[] | select(.event == "segment.written" and .track == "source").seq] | . == (sort | unique) and length > 3' media
}

@test "the faults of encoders' clocks: nothing stands still for longer than the fault, no segment is too long" {
	local name fault i=0 faults=(jump=3600000@4100 jump=-5000@4100 reset@4100 jump-video=30000@4100 jump-audio=-30000@4100
		stall=1500@4100 drift=2000@100 cts=-3000@4100 cts=8388607@4100)
	for fault in "${faults[@]}" wrap; do
		lv-auth --keys keys add "s$((i++))"
	done >secrets
	open_door --grace-ms 500
	for ((i = 0; i < ${#faults[@]}; i++)); do
		rtmp-load -t 10 -s 100000 -f "${faults[i]}" "$CLIP" "$port" live "$(sed -n $((i + 1))p secrets)" >"load$i" 3>&- &
	done
	rtmp-load -t 10 -s 4294963000 -f no-extended@100 "$CLIP" "$port" live "$(sed -n $((i + 1))p secrets)" >"load$i" 3>&- &
	wait $(jobs -rp | grep -vx "$door")
	for ((i = 0; i <= ${#faults[@]}; i++)); do
		wait_event events 20 ".event==\"broadcast.ended\" and .stream==\"s$i\"" >/dev/null
		name="s$i: ${faults[i]:-wrap}"
		jq -e '.began == 1 and .lost == 0' "load$i" >/dev/null || { echo "$name: $(cat "load$i")"; false; }
		# Ten seconds were sent; what is listed plays as long, but for the fault's own time, in pieces of at most 3 s.
		awk -v name="$name" '/^#EXTINF:/ { d = substr($0, 9) + 0; sum += d; n++; if (d > 3) { print name ": a segment of " d " s"; bad = 1 } }
			/^#EXT-X-DISCONTINUITY$/ { cuts++ }
			END { print name ": " sum " s in " n ", " cuts + 0 " discontinuities"
				if (sum < 8.5 || sum > 13 || cuts > 2) { print "wrong"; bad = 1 } exit bad }' \
			archive/s"$i"/*/source/index.m3u8
		"$ROOT/examples/hls-check" live/s"$i"/master.m3u8 >/dev/null 2>wrong || { echo "$name"; cat wrong; false; }
	done
}

@test "a network that is gone without a word: the same key is taken within a second" {
	command -v ip >/dev/null || skip "no ip"
	local a=lvdoor$$ b=lvgone$$ c=lvhere$$ n=0 net
	ip netns add "$a" || skip "no network namespaces"
	nets=$a
	for net in "$b" "$c"; do
		n=$((n + 1))
		ip netns add "$net"
		nets+=" $net"
		ip -n "$a" link add "v$n" type veth peer name v0 netns "$net"
		ip -n "$a" addr add "10.77.$n.1/24" dev "v$n"
		ip -n "$a" link set "v$n" up
		ip -n "$net" addr add "10.77.$n.2/24" dev v0
		ip -n "$net" link set v0 up
	done
	ip -n "$a" link set lo up
	inside=(ip netns exec "$a") at=0.0.0.0
	open_door --grace-ms 20000
	LOAD_HOST=10.77.1.1 ip netns exec "$b" "$(command -v rtmp-load)" -t 60 "$CLIP" "$port" live "$(cat alice)" >/dev/null 3>&- &
	local lost=$!
	wait_event media 20 '.event=="segment.written"' >/dev/null
	ip -n "$a" link set v1 down # nothing gets through any more, in either direction
	read -rt 1.2 <> <(:) || : # an encoder needs longer to notice
	LOAD_HOST=10.77.2.1 ip netns exec "$c" "$(command -v rtmp-load)" -t 4 "$CLIP" "$port" live "$(cat alice)" >load
	kill "$lost"
	jq -e '.began == 1 and .refused == 0 and .answer_ms < 1000' load
	wait_event events 20 '.event=="broadcast.ended"' >/dev/null
	[ "$(jq -s '[.[] | select(.event == "broadcast.started")] | length' events)" = 1 ]
	[ "$(jq -s '[.[] | select(.event == "publish.ended")] | length' events)" = 2 ]
	together "$CLIP" alice.flv
}

@test "a session that crashes in the middle of a tag: its publisher comes back to the same broadcast, no other loses a frame" {
	lv-auth --keys keys add bob >bob
	open_door --grace-ms 5000
	ffmpeg -nostdin -v error -i "$CLIP" -t 6 -c copy bobs.flv
	ffmpeg -nostdin -v error -re -i bobs.flv -c copy -f flv "rtmp://127.0.0.1:$port/live/$(cat bob)" 3>&- &
	local bob=$! session frames
	frames=$(ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 bobs.flv)
	wait_event events 10 '.event=="publish.started" and .stream=="bob"' >/dev/null
	session=$(pgrep -P "$door" rtmp-session)
	PORT=$port python "$(cat alice)" "$CLIP" <<-'END' 3>&- &
		import sys
		from rtmp import *
		p = Peer()
		p.publish(sys.argv[1])
		clip = [t for t in flv(sys.argv[2]) if t[0] in (8, 9)][:60]
		p.send(set_chunk(65536) + p.media(clip, chunk=65536))
		half = message(9, clip[-1][2] * 9, time=clip[-1][1] + 33, csid=6, msid=1, chunk=65536)
		p.send(half[:len(half) // 2])
		open("half", "w").close()
		assert p.ended()
	END
	local alice=$!
	eventually 10 test -e half
	eventually 10 kept_of alice 50
	kill -SEGV "$(pgrep -P "$door" rtmp-session | grep -vx "$session")"
	wait "$alice"
	wait_event events 10 '.event=="publish.ended" and .stream=="alice"' >/dev/null
	rtmp-load -t 3 "$CLIP" "$port" live "$(cat alice)" >load
	jq -e '.began == 1 and .answer_ms < 1000' load
	wait "$bob"
	wait_event events 15 '.event=="publish.ended" and .stream=="bob" and .frames=='"$frames" >/dev/null
	wait_event events 20 '.event=="broadcast.ended" and .stream=="alice"' >/dev/null
	[ "$(jq -s '[.[] | select(.event == "broadcast.started")] | length' events)" = 2 ]
	together "$CLIP" alice.flv
}
kept_of() { [ "$(PORT=0 python "$1.flv" <<<'import sys; from rtmp import *; print(len([t for t in flv(sys.argv[1]) if t[0] in (8, 9)]))')" -ge "$2" ]; }
