# What publishers send, measured: a good one, one with rare key frames, one that sends too much.
bats_require_minimum_version 1.5.0
load ../lib/common

setup() {
	cd "$BATS_TEST_TMPDIR"
	door=
	lv-auth --keys keys add good >good
	lv-auth --keys keys add rare >rare
	lv-auth --keys keys add much >much
	lv-auth --keys keys add brief --until "$(date -u -d '+8 seconds' +%FT%TZ)" >brief
	sed -i '/^much /s/$/ max_kbps=100/' keys
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events --grace-ms 200 \
		--drain-s 0 --health-ms 1000 -- sh -c 'exec cat >/dev/null' 2>err 3>&- &
	door=$!
	port=$(wait_event events 10 '.event=="server.ready"' | jq .port)
}

teardown() {
	[ -z "$door" ] || kill "$door" 2>/dev/null || :
	[ -z "$door" ] || eventually 20 gone "$door" || kill -9 "$door" || :
}
gone() { ! kill -0 "$1" 2>/dev/null; }

publish() { # NAME GOP OPTION...
	ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=s=320x180:r=30 -f lavfi -i sine=r=44100 -c:v libx264 -preset ultrafast \
		-bf 2 -b:v 600k -g "$2" -x264-params scenecut=0 -pix_fmt yuv420p -c:a aac "${@:3}" -f flv \
		"rtmp://127.0.0.1:$port/live/$(cat "$1")"
}

@test "a report a period; problems begin, are listed, and end with their publisher; too much is warned of, then ended" {
	publish good 30 -t 5 3>&- &
	local good=$!
	publish brief 30 -t 30 >brief.end 2>&1 3>&- &
	local brief=$!
	publish rare 900 -t 7 3>&- &
	local rare=$!
	run ! publish much 30 -t 20
	[[ $output =~ "Server error: 100 kbit/s are allowed, "[0-9]+" were sent" ]]
	wait_event events 5 '.event=="problem.began" and .stream=="much" and .problem=="bitrate-over"'
	wait_event events 5 '.event=="publish.ended" and .stream=="much" and (.reason | test("100 kbit/s are allowed"))'
	grep -q "warning: much: more is sent than this key allows" err

	wait_event events 10 '.event=="problem.began" and .stream=="rare" and .problem=="key-frames-rare"'
	python3 - >list <<-'END'
		import socket
		s = socket.socket(socket.AF_UNIX)
		s.connect("run/control")
		s.sendall(b'{"do":"list"}\n')
		s.shutdown(socket.SHUT_WR)
		print(s.makefile().read(), end="")
	END
	[ "$(jq -c 'select(.stream=="rare").problems' list)" = '["key-frames-rare"]' ]
	wait "$good" "$rare"
	wait_event events 10 '.event=="problem.ended" and .stream=="rare" and .problem=="key-frames-rare" and .dur_ms>500'
	wait_event events 10 '.event=="broadcast.ended" and .stream=="rare"'

	! wait "$brief" || false # not in run, whose shell is no parent of it
	grep -q "Server error: the time of this key is over" brief.end
	wait_event events 10 '.event=="problem.began" and .stream=="brief" and .problem=="time-short"'
	wait_event events 10 '.event=="publish.health" and .stream=="good" and .fps>27 and .fps<33 and .gop_ms==1000 and .b_frames
		and .kbps>200 and .kbps<2000 and .av_gap_ms<200 and .av_gap_ms>-200 and .drift_ms<500 and .drift_ms>-500'
	# (a busy machine may well make it stall)
	run ! grep -E '"problem.began".*"good".*(rare|apart|over|stopped)' events
}
