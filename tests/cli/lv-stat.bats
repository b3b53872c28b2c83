# lv-stat: real commands asked by real sockets, events as they come, and a terminal that is a pty of the test's.
bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/metrics

setup() {
	cd "$BATS_TEST_TMPDIR"
	pids=()
}

teardown() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
	for pid in "${pids[@]}"; do eventually 20 gone "$pid" || kill -9 "$pid" || :; done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# serve NAME: an origin that has alice, and its figures in run/NAME.metrics.
serve() {
	mkdir -p site/live/alice run
	printf '#EXTM3U\n#EXT-X-VERSION:7\n' >site/live/alice/index.m3u8
	lv-serve --root site --listen 127.0.0.1:0 --events "$1" --metrics "unix:$PWD/run/$1.metrics" 2>/dev/null 3>&- &
	pids+=("$!")
	url=http://127.0.0.1:$(wait_event "$1" 10 '.event=="server.ready" and .proto=="http"' | jq .port)
	wait_event "$1" 10 '.event=="server.ready" and .proto=="metrics"'
}

event() { # AGE-S SRC EVENT FIELDS
	printf '{"ts":"%s","src":"%s","event":"%s",%s}\n' "$(date -u -d "-$1 seconds" +%FT%T.%3NZ)" "${@:2}"
}

@test "wrong use is said, and that nobody answers" {
	run -64 --separate-stderr lv-stat nothing-like-it
	[ "$stderr" = "lv-stat: nothing-like-it: no folder, no ADDR:PORT and no unix:PATH; nor - for events" ]
	run -64 --separate-stderr lv-stat --interval-ms 5 .
	[ "$stderr" = "lv-stat: --interval-ms 5: not between 100 and 3600000" ]
	run -64 lv-stat --once --metrics :0 .
	run -69 --separate-stderr lv-stat --once unix:/no/such
	[ "$stderr" = "lv-stat: nobody answers" ]
	run -69 lv-stat --once .
	run -69 lv-stat --once 127.0.0.1:1
}

@test "what events tell is counted by stream, and gone with the broadcast or in silence" {
	local origin
	origin=$(($(date +%s%3N) - 60000))
	{
		event 20 rtmp-accept broadcast.started '"stream":"alice","broadcast":"b1","origin_ms":'$origin
		event 20 rtmp-accept publish.started '"stream":"alice","broadcast":"b1","origin_ms":'$origin
		event 20 lv-tee reader.attached '"stream":"alice","broadcast":"b1","reader":"fifo:x","policy":"drop"'
		event 15 lv-tee media.dropped '"stream":"alice","broadcast":"b1","reader":"fifo:x","frames":10,"size_bytes":1000'
		event 15 lv-segment media.dropped '"stream":"alice","broadcast":"b1","track":"x","frames":7'
		event 15 lv-transcode load.shed '"stream":"alice","broadcast":"b1","level":2,"lag_ms":1500'
		event 11 lv-transcode transcode.measured '"stream":"alice","broadcast":"b1","speed":0.987,"frames_in":300,"frames_out":600,"frames_dropped":3,"lag_ms":1200'
		event 10 lv-segment segment.written '"stream":"alice","broadcast":"b1","track":"source","seq":1,"pts_ms":46000,"dur_ms":2000,"size_bytes":1000'
		event 10 lv-segment segment.missing '"stream":"alice","broadcast":"b1","track":"720p","seq":1,"dur_ms":2000'
		event 10 lv-segment playlist.written '"stream":"alice","broadcast":"b1","path":"source/index.m3u8","seq":1'
		event 9 lv-transcode transcode.measured '"stream":"alice","broadcast":"b1","speed":1.5,"frames_in":300,"frames_out":600,"frames_dropped":0,"lag_ms":100'
		event 8 lv-segment write.failed '"stream":"alice","broadcast":"b1","path":"x","reason":"y"'
		event 30 lv-segment segment.written '"stream":"over","broadcast":"b2","track":"source","seq":1,"pts_ms":0,"dur_ms":2000,"size_bytes":1'
		event 29 rtmp-accept broadcast.ended '"stream":"over","broadcast":"b2"'
		event 30 rtmp-accept broadcast.started '"stream":"again","broadcast":"b4","origin_ms":'$origin
		event 29 rtmp-accept broadcast.ended '"stream":"again","broadcast":"b3"'
		event 100 lv-segment segment.written '"stream":"silent","broadcast":"b2","track":"source","seq":1,"pts_ms":0,"dur_ms":2000,"size_bytes":1'
		event 5 lv-vod vod.failed '"path":"x","status":75'
		event 5 lv-vod vod.ready '"stream":"over","broadcast":"b2","path":"x"'
		event 5 lv-serve events.dropped '"count":5'
		echo '{"no":"event"}'
		echo 'nor this'
		head -c 70000 /dev/zero | tr '\0' x
		echo
		event 5 lv-transcode transcode.measured '"stream":"../x","speed":1'
	} >events
	lv-stat --once --textfile out.prom - <events
	cp out.prom scraped
	command -v promtool >/dev/null && promtool check metrics <scraped
	has 'lv_transcode_speed_ratio{unit="lv-stat",stream="alice"} 1.5'
	has 'lv_transcode_lag_seconds{unit="lv-stat",stream="alice"} 0.1'
	has 'lv_transcode_shed_level{unit="lv-stat",stream="alice"} 2'
	has 'lv_transcode_output_frames_total{unit="lv-stat",stream="alice"} 1200'
	has 'lv_transcode_dropped_frames_total{unit="lv-stat",stream="alice"} 3'
	has 'lv_segment_segments_total{unit="lv-stat",stream="alice"} 1'
	has 'lv_segment_gaps_total{unit="lv-stat",stream="alice"} 1'
	has 'lv_segment_errors_total{unit="lv-stat",stream="alice"} 1'
	has 'lv_tee_readers{unit="lv-stat",stream="alice"} 1'
	has 'lv_tee_dropped_bytes_total{unit="lv-stat",stream="alice"} 1000'
	has 'lv_vod_recordings_total{unit="lv-stat"} 1'
	has 'lv_vod_failures_total{unit="lv-stat"} 1'
	has 'lv_broadcasts_ended_total{unit="lv-stat"} 2'
	has 'lv_events_dropped_total{unit="lv-stat"} 5'
	has 'lv_events_faulty_total{unit="lv-stat"} 3'
	has 'lv_events_uncounted_total{unit="lv-stat"} 1'
	has 'lv_segment_duration_seconds_count{unit="lv-stat"} 3'
	# The segment ended 48 s after the origin, a minute ago, and was written ten seconds ago.
	awk '$1 == "lv_segment_publish_lag_seconds{unit=\"lv-stat\",stream=\"alice\"}" { good = $2 > 1.5 && $2 < 4 } END { exit !good }' scraped
	awk '$1 == "lv_playlist_age_seconds{unit=\"lv-stat\",stream=\"alice\"}" { good = $2 >= 9.5 && $2 < 40 } END { exit !good }' scraped
	run ! grep -E 'stream="(over|silent)"' scraped
	lv-stat --once - <events | jq -es '[.[] | .stream] == ["alice", "again"] or [.[] | .stream] == ["alice"]'
	lv-stat --once - <events | jq -es '.[] | select(.stream=="alice") | .speed == 1.5 and .shed_level == 2 and
		(.publish_lag_ms | . > 1500 and . < 4000) and (has("live") | not)'
}

@test "several commands together: each family once, each series with its unit, and who does not answer" {
	command -v promtool >/dev/null || skip "no promtool"
	serve one
	serve two
	curl -sf -o /dev/null "$url/live/alice/index.m3u8"
	lv-stat --metrics "unix:$PWD/all" --interval-ms 100 run 3>&- &
	pids+=("$!")
	eventually 10 scraped_has all 'lv_viewers{unit="two",stream="alice"} 1'
	[ "$(grep -c '^# TYPE lv_http_connections ' scraped)" = 1 ]
	has 'lv_http_connections{unit="one"} 0'
	has 'lv_unit_up{unit="one"} 1'
	grep -q '^lv_build_info{unit="lv-stat",command="lv-stat",' scraped
	kill -9 "${pids[0]}"
	eventually 10 scraped_has all 'lv_unit_up{unit="one"} 0'
	run ! has 'lv_http_connections{unit="one"} *'
	rm run/one.metrics
	eventually 10 scraped_lacks all 'lv_unit_up{unit="one"} *'
	serve three
	eventually 10 scraped_has all 'lv_unit_up{unit="three"} 1'
	lv-stat --once run | jq -es 'map(select(.unit)) | map(.unit) == ["three", "two"] and all(.up and .command == "lv-serve" and
		.memory_bytes > 100000)'
	lv-stat --once --textfile nested.prom "unix:$PWD/all" run
	promtool check metrics <nested.prom
	[ -z "$(grep -v '^#' nested.prom | sed 's/ [^ ]*$//' | sort | uniq -d)" ]
	grep -q '^process_start_time_seconds{unit="all/two"} ' nested.prom
	grep -q '^lv_unit_up{unit="all/two"} 1$' nested.prom
	grep -q '^lv_unit_up{unit="two"} 1$' nested.prom
	lv-stat --once "unix:$PWD/all" run/two.metrics | jq -es 'map(select(.stream == "alice")) | .[0].viewers == 2' # both tell of it
}
scraped_lacks() { scrape "$1" >/dev/null && ! has "$2" >/dev/null; }

@test "a text file appears whole, is kept up, and goes with lv-stat" {
	serve one
	lv-stat --textfile out.prom --interval-ms 100 run 3>&- &
	pids+=("$!")
	eventually 10 test -s out.prom
	local i inode
	inode=$(stat -c %i out.prom)
	for i in {1..200}; do
		grep -q '^process_cpu_seconds_total{unit="lv-stat"}' out.prom
	done
	eventually 10 other_than "$inode"
	kill "${pids[1]}"
	wait "${pids[1]}"
	[ ! -e out.prom ]
	run -73 --separate-stderr lv-stat --textfile no/such/out.prom run
	[ "$stderr" = "lv-stat: cannot write no/such/out.prom: No such file or directory" ]
}
other_than() { [ "$(stat -c %i out.prom)" != "$1" ]; }

@test "a terminal: a screen that is drawn over itself, fits, follows its size, and is given back by q and Ctrl-C" {
	serve one
	curl -sf -o /dev/null "$url/live/alice/index.m3u8"
	for i in {01..20}; do printf '{"ts":"%s","src":"lv-transcode","event":"transcode.measured","stream":"s%s","speed":1}\n' \
		"$(date -u +%FT%T.%3NZ)" "$i"; done >events
	mkfifo in
	exec 7<>in
	cat events >&7
	lv-stat --metrics "unix:$PWD/run/tally.metrics" - <in 3>&- 7>&- &
	pids+=("$!")
	eventually 10 test -S run/tally.metrics
	python3 - <<-'END'
		import fcntl, os, pty, re, select, struct, termios, time

		def start(*args):
		    pid, fd = pty.fork()
		    if pid == 0:
		        os.execvp("lv-stat", ["lv-stat", *args])
		    return pid, fd

		def size(fd, rows, cols):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

		def until(fd, what, seconds=10):
		    got, end = b"", time.monotonic() + seconds
		    while not re.search(what, got):
		        assert time.monotonic() < end, (what, got[-1000:])
		        if select.select([fd], [], [], 0.1)[0]:
		            try:
		                got += os.read(fd, 65536)
		            except OSError:
		                assert re.search(what, got), (what, got[-1000:])
		    return got

		def screens(got):
		    return [s for s in got.split(b"\x1b[H")[1:] if s.endswith(b"\x1b[J")]

		pid, fd = start("--interval-ms", "100", "run")
		before = termios.tcgetattr(fd)
		size(fd, 12, 90)
		got = until(fd, rb"and 12 more")
		assert got.startswith(b"\x1b[?1049h"), got[:40]
		assert b"\x1b[2J" not in got # nothing is ever blank
		got = until(fd, rb"(?s)\x1b\[J\x1b\[H.*\x1b\[J\x1b\[H")
		picture = screens(got)[-1]
		lines = picture.replace(b"\x1b[K\x1b[J", b"").split(b"\x1b[K\r\n")
		assert len(lines) == 12 and all(len(l) <= 89 for l in lines), lines
		assert re.match(rb"\d\d:\d\d:\d\d  21 streams", lines[0]), lines[0]
		assert lines[1].split()[:3] == [b"STREAM", b"STATE", b"UPTIME"]
		assert lines[2].split()[0] == b"alice" and lines[2].split()[5] == b"1", lines[2]
		assert lines[3].split()[0] == b"s01" and lines[3].split()[7] == b"1.00", lines[3]
		size(fd, 40, 60)
		until(fd, rb"s20[^\r\n]*\x1b\[K\r\n\x1b\[J")
		os.write(fd, b"q")
		assert until(fd, rb"\x1b\[\?25h\x1b\[\?1049l$")
		assert os.waitpid(pid, 0)[1] == 0

		pid, fd = start("run")
		until(fd, rb"alice")
		os.write(fd, b"\x03")
		until(fd, rb"\x1b\[\?25h\x1b\[\?1049l$")
		assert os.waitpid(pid, 0)[1] == 0

		pid, fd = start("--once", "run")
		got = until(fd, rb"s20[^\n]*\n")
		assert b"\x1b" not in got and b"alice" in got
		assert os.waitpid(pid, 0)[1] == 0

		pid, fd = start("--once", "--json", "run")
		until(fd, rb'"stream":"s20","speed":1.000')
		assert os.waitpid(pid, 0)[1] == 0
	END
}

@test "a reader that has gone ends it quietly" {
	serve one
	set +o pipefail
	lv-stat --interval-ms 100 run 2>err | head -n 1 >/dev/null
	[ "${PIPESTATUS[0]}" = 74 ]
	[ ! -s err ]
}
