# Three publishers at once for a while: nothing is lost, nothing drifts, nothing grows.
# SOAK_SECONDS says how long (60; tests/run --long: 600, and then 1080p30 with the whole ladder alone).
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	export LV_HOME=$PWD/site LV_LADDER=$PWD/ladder
	mkdir -p site/live site/archive
	printf '%s\n' source 480p=854x480@30:800k:96k:preset=ultrafast >ladder
	local s clip=(-nostdin -v error -f lavfi)
	ffmpeg "${clip[@]}" -i testsrc2=s=960x540:r=30 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 -preset ultrafast -bf 2 \
		-g 60 -pix_fmt yuv420p -c:a aac bframes.flv
	ffmpeg "${clip[@]}" -i testsrc2=s=540x960:r=30000/1001 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 -preset ultrafast \
		-g 75 -pix_fmt yuv420p -c:a aac portrait.flv
	ffmpeg "${clip[@]}" -i testsrc2=s=854x480:r=25 -f lavfi -i sine=r=44100 -t 20 -c:v libx264 -preset ultrafast \
		-g 50 -pix_fmt yuv420p -c:a aac -ac 1 mono.flv
	for s in bframes portrait mono hd; do lv-auth --keys keys add $s >$s.key; done
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --drain-s 0 \
		-- "$ROOT/pipelines.sh" stream 2>err 3>&- &
	door=$!
	url=rtmp://127.0.0.1:$(wait_event events 10 '.event=="server.ready"' | jq .port)/live
}

teardown() {
	kill "${publishers[@]}" "$door" 2>/dev/null || :
	eventually 30 gone "$door" || kill -9 "$door" || :
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# The private memory of every process below the door, in KB, one a line with its name.
memory() {
	local pid all
	all=$(pgrep -d' ' -f "$LV_HOME/live|rtmp-keeper (bframes|portrait|mono|hd) ") # sessions hold next to nothing
	for pid in $all; do
		awk -v n="$(cat "/proc/$pid/comm")-$pid" '/^Private/ { s += $2 } END { print n, s }' "/proc/$pid/smaps_rollup"
	done | sort
}

# Packets of a stream, by their contents.
packets() { # FILE STREAM
	ffmpeg -nostdin -v error -i "$1" -map "0:$2" -c copy -f framemd5 - | awk -F, '!/^#/ { print $6 }'
}

@test "three streams, all frames, no violation, flat memory" {
	local s seconds=${SOAK_SECONDS:-60} checks=() pid n
	publishers=()
	for s in bframes portrait mono; do
		ffmpeg -nostdin -v error -re -stream_loop -1 -i $s.flv -c copy -f flv "$url/$(cat $s.key)" 3>&- &
		publishers+=("$!")
	done
	for s in bframes portrait mono; do
		wait_event events 30 ".event==\"segment.written\" and .stream==\"$s\" and .seq>=1" >/dev/null
		"$ROOT/examples/hls-check" --for 36000 site/live/$s/master.m3u8 >$s.json 2>$s.err 3>&- &
		checks+=("$!")
	done
	n=$((seconds / 2 / 3))
	wait_event events "$seconds" ".event==\"segment.written\" and .stream==\"mono\" and .track==\"source\" and .seq>=$n" >/dev/null
	memory >memory.before
	n=$((seconds / 2))
	wait_event events "$((seconds + 20))" ".event==\"segment.written\" and .stream==\"mono\" and .track==\"source\" and .seq>=$n" >/dev/null
	memory >memory.after
	kill "${publishers[@]}"
	for s in bframes portrait mono; do
		wait_event events 60 ".event==\"broadcast.ended\" and .stream==\"$s\"" >/dev/null
	done
	for pid in "${checks[@]}"; do wait "$pid" || :; done
	cat ./*.err >errors
	[ ! -s errors ] || { cat errors; false; }
	# What was published is in the archive, packet for packet, from the first on.
	for s in bframes portrait mono; do
		for n in v a; do
			packets site/archive/$s/*/"$([ $n = v ] && echo source || echo audio-source)"/index.m3u8 $n >got
			[ "$(wc -l <got)" -gt $((seconds * 20)) ]
			packets $s.flv $n >once
			: >want
			while [ "$(wc -l <want)" -lt $(($(wc -l <got) + 100)) ]; do cat once >>want; done
			# In the same order, and what is missing was told: the clip's sound is longer than its picture,
			# so that a frame of it is too much now and then where it begins again.
			awk 'NR == FNR { want[NR] = $0; all = NR; next } { while (++i <= all && want[i] != $0) missing++ }
				END { print missing + 0; exit i > all }' want got >missing
			[ "$(cat missing)" = "$(jq -s --arg s $s --arg t "$([ $n = v ] && echo source || echo audio-source)" \
				'[.[] | select(.event == "media.dropped" and .stream == $s and .track == $t).frames] | add // 0' events)" ]
		done
		jq -e '.violations == {} and (.tracks | length) == 4' $s.json >/dev/null
	done
	# The same processes, and none has grown by more than a tenth and a megabyte.
	join memory.before memory.after >memory
	[ "$(wc -l <memory)" = "$(wc -l <memory.before)" ]
	echo "# private KB before and after: $(awk '{ b[$1 ~ /trans/ ? "transcode" : $1 ~ /segm/ ? "segment" : $1 ~ /keep/ ? "keeper" : "bash"] = $2 "-" $3 } END { for (k in b) printf "%s %s  ", k, b[k] }' memory)" >&3
	awk '$3 > $2 * 1.1 + 1024 { print; bad = 1 } END { exit bad }' memory
	jq -e -s 'all(.[]; .event != "load.shed" and .event != "pipeline.restarted")' events
}

@test "1080p30 with the whole ladder: on time, no violation, flat memory" {
	[ -n "${SOAK_SECONDS:-}" ] || skip "in tests/run --long"
	local check
	unset LV_LADDER
	kill "$door"
	eventually 30 gone "$door"
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events hd.events --drain-s 0 \
		-- "$ROOT/pipelines.sh" stream 2>err 3>&- &
	door=$!
	url=rtmp://127.0.0.1:$(wait_event hd.events 10 '.event=="server.ready"' | jq .port)/live
	ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=1920x1080:r=30 -f lavfi -i sine=r=48000 -t 20 -c:v libx264 \
		-preset ultrafast -b:v 6M -maxrate 6M -bufsize 6M -bf 2 -g 60 -pix_fmt yuv420p -c:a aac hd.flv
	ffmpeg -nostdin -v error -re -stream_loop -1 -i hd.flv -c copy -f flv "$url/$(cat hd.key)" 3>&- &
	publishers=("$!")
	wait_event hd.events 30 '.event=="segment.written" and .seq>=1' >/dev/null
	"$ROOT/examples/hls-check" --for 36000 site/live/hd/master.m3u8 >hd.json 2>hd.err 3>&- &
	check=$!
	wait_event hd.events "$SOAK_SECONDS" ".event==\"segment.written\" and .track==\"source\" and .seq>=$((SOAK_SECONDS / 6))" >/dev/null
	memory >memory.before
	wait_event hd.events "$((SOAK_SECONDS + 20))" ".event==\"segment.written\" and .track==\"source\" and .seq>=$((SOAK_SECONDS / 2))" >/dev/null
	memory >memory.after
	kill "${publishers[@]}"
	wait_event hd.events 60 '.event=="broadcast.ended"' >/dev/null
	wait "$check" || :
	[ ! -s hd.err ] || { cat hd.err; false; }
	jq -e '.violations == {} and (.tracks | length) == 6' hd.json >/dev/null
	jq -e -s 'all(.[]; .event != "load.shed" and .event != "pipeline.restarted")' hd.events
	echo "# most behind: $(jq -s '[.[] | select(.event == "transcode.measured").lag_ms] | max' hd.events) ms" >&3
	join memory.before memory.after >memory
	echo "# private KB before and after: $(awk '{ printf "%s %s-%s  ", $1, $2, $3 }' memory)" >&3
	awk '$3 > $2 * 1.1 + 1024 { print; bad = 1 } END { exit bad }' memory
}
