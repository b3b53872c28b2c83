# What encoders say on the wire, byte by byte: tests/lib/rtmp.py speaks, one rtmp-accept answers all.
bats_require_minimum_version 1.5.0
load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	local n x
	for n in {1..40}; do
		for x in {0..9}; do
			printf 't%sx%s sha256:%s\n' "$n" "$x" "$(printf 'key-t%sx%s' "$n" "$x" | sha256sum | cut -d' ' -f1)"
		done
	done >keys
	chmod 600 keys
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run" --auth 'lv-auth --keys keys' --events events \
		--grace-ms 300 --drain-s 0 --publish-ms 5000 --play-url 'http://tv.example/%s' --password-app secure --deny 198.51.100.0/24 \
		--max-failures-address 3 --max-rate-address 20 \
		--proxy-from 127.0.0.2 --proxy-from 127.0.3.0/24 -- \
		sh -c 'exec cat >>"$LV_STREAM.flv"' 2>err 3>&- &
	echo $! >door
	PORT=$(wait_event events 10 '.event=="server.ready"' | jq .port)
	export PORT
}

teardown_file() {
	kill "$(cat "$BATS_FILE_TMPDIR/door")"
	eventually 20 gone "$(cat "$BATS_FILE_TMPDIR/door")"
	if grep . "$BATS_FILE_TMPDIR/err"; then return 1; fi # nothing crashed, nothing was warned of
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# speak: the script on standard input, as Python with tests/lib/rtmp.py around it.
speak() {
	cd "$BATS_FILE_TMPDIR"
	PYTHONPATH=$ROOT/tests/lib PYTHONDONTWRITEBYTECODE=1 timeout 60 python3 -c \
		'import sys; from rtmp import *; exec(compile(sys.stdin.read(), "test", "exec"))'
}

@test "the simple handshake: S2 echoes C1, C2 may be anything" {
	speak <<-'END'
		p = Peer()
		c1, s1, s2 = p.shake(c2=os.urandom(1536))
		assert s2 == c1 and s1[4:8] == b"\0" * 4
		p.send(command("connect", 1, {"app": "live"}))
		p.expect("_result")
	END
}

@test "the digest handshake, both places: S1 and S2 are signed as a player checks them" {
	speak <<-'END'
		for base in 772, 8:
		    p = Peer()
		    c1, s1, s2 = p.shake(signed_c1(base))
		    at = digest_at(s1, base)
		    assert s1[at:at + 32] == sign(s1, base, SERVER)
		    at = digest_at(c1, base)
		    secret = hmac.new(SERVER + COMMON, c1[at:at + 32], hashlib.sha256).digest()
		    assert s2[-32:] == hmac.new(secret, s2[:-32], hashlib.sha256).digest()
		    p.send(command("connect", 1, {"app": "live"}))
		    p.expect("_result")
	END
	# ffmpeg, asking to play, checks both signatures, and says when they are wrong
	run ! ffprobe -v debug "rtmp://127.0.0.1:$PORT/live/x"
	[[ $output == *"watch by HLS: http://tv.example/x"* ]]
	[[ $output != *[Mm]ismatch* && $output != *"validating failed"* ]]
}

@test "a version and no digest behind it is the simple handshake" {
	speak <<-'END'
		p = Peer()
		c1, s1, s2 = p.shake(b"\0\0\0\0\x80\0\7\2" + os.urandom(1528))
		assert s2 == c1 and s1[4:8] == b"\0" * 4
	END
}

@test "connect is answered in order: window, bandwidth, chunk size, then the result with what Enhanced RTMP asks" {
	speak <<-'END'
		p = Peer()
		p.shake()
		p.send(command("connect", 1, {"app": "live", "objectEncoding": 3, "fourCcList": ["av01", "hvc1"],
		    "capsEx": 15, "videoFourCcInfoMap": {"*": 1}}, csid=8))
		said = [p.hear() for _ in range(4)]
		assert [kind for kind, _, _ in said] == [5, 6, 1, 20]
		name, txn, server, info = unamf(said[3][2])
		assert (name, txn) == ("_result", 1) and info["code"] == "NetConnection.Connect.Success"
		assert info["objectEncoding"] == 0 and info["capsEx"] == 15
		assert info["videoFourCcInfoMap"]["hvc1"] == info["audioFourCcInfoMap"]["Opus"] == 4
	END
}

@test "one byte at a time, and everything in one segment" {
	speak <<-'END'
		p = Peer()
		p.publish(key(0), step=1)
		p.send(p.media([(8, 10 * i, sound(i)) for i in range(3)]), step=1)
		p.send(command("FCUnpublish", 4, None, key(0)))
		assert bodies(kept(3)) == [sound(i) for i in range(3)]

		q = Peer()
		q.send(b"\3" + bytes(1536) + bytes(1536) + command("connect", 1, {"app": "live"}) +
		    command("releaseStream", 2, None, key(1)) + command("FCPublish", 3, None, key(1)) +
		    command("createStream", 4, None) + command("publish", 5, None, key(1), "live", msid=1) +
		    q.media([(8, 10 * i, sound(i)) for i in range(3)]))
		q.take(1 + 2 * 1536)
		q.status("NetStream.Publish.Start")
		q.close()
		assert bodies(kept(3, 1)) == [sound(i) for i in range(3)]
	END
}

@test "chunk streams in one, two and three bytes, up to 65599" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		want, csids = [], [(3, 1), (63, 1), (64, 2), (319, 2), (320, 3), (65599, 3), (64, 3), (319, 3)]
		for i, (csid, form) in enumerate(csids):
		    want.append(sound(i, 300))
		    p.send(message(8, want[-1], time=20 * i, csid=csid, msid=1, form=form))
		assert bodies(kept(len(want))) == want
	END
}

@test "headers of 11, 7, 3 and no bytes, and what each leaves unsaid" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		a = [sound(i) for i in range(7)]
		p.send(header(0, 4, 1000, 40, 8, 1) + a[0] + header(1, 4, 20, 40, 8) + a[1] + header(2, 4, 30) + a[2] +
		    basic(3, 4) + a[3] + basic(3, 4) + a[4] +  # fmt 3 repeats the delta
		    header(0, 4, 1200, 40, 8, 1) + a[5] + basic(3, 4) + a[6])  # and no delta after fmt 0
		tags = kept(7)
		assert bodies(tags) == a
		assert times(tags) == [0, 20, 50, 80, 110, 200, 200], times(tags)
	END
}

@test "extended times: repeated, left out, and left out where a message ends inside the four bytes" {
	speak <<-'END'
		base = 0x01000000
		for n, repeat in enumerate((True, False)):
		    p = Peer()
		    p.publish(key(n))
		    want = [sound(i, size) for i, size in enumerate((300, 128, 129, 130, 131, 132, 256 + 2, 40))]
		    p.send(b"".join(message(8, b, time=base + 20 * i, csid=4, msid=1, repeat=repeat) for i, b in enumerate(want)))
		    tags = kept(len(want), n)
		    assert bodies(tags) == want
		    assert times(tags) == [20 * i for i in range(len(want))], times(tags)
	END
}

@test "extended times in deltas, and new ones where a message begins with no header" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		a = [sound(i) for i in range(4)]
		t = 0x01000000
		p.send(header(0, 4, t, 40, 8, 1) + a[0] + basic(3, 4) + struct.pack(">I", t + 40) + a[1] +
		    header(2, 4, 20, extended=False) + a[2] + basic(3, 4) + a[3])
		tags = kept(4)
		assert bodies(tags) == a and times(tags) == [0, 40, 60, 80], times(tags)
	END
}

@test "times that wrap at 32 bits, and at 31, go on" {
	speak <<-'END'
		for n, wrap in enumerate((1 << 32, 1 << 31)):
		    p = Peer()
		    p.publish(key(n))
		    p.send(p.media([(8, (wrap - 60 + 20 * i) % wrap, sound(i)) for i in range(6)]))
		    tags = kept(6, n)
		    t = times(tags)
		    assert t == sorted(t) and t[-1] < 1000, t
	END
}

@test "interleaved messages, an abort, a new message inside another" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		picture = b"\x27\1\0\0\0" + bytes(295)
		p.send(header(0, 6, 0, 300, 9, 1) + picture[:128] + message(8, sound(0), csid=4, msid=1) + basic(3, 6) +
		    picture[128:256] + message(8, sound(1), time=20, csid=4, msid=1) + basic(3, 6) + picture[256:])
		assert bodies(kept(3)) == [sound(0), sound(1), picture]
		p.send(header(0, 4, 40, 300, 8, 1) + bytes(128) + message(2, struct.pack(">I", 4), csid=2) +
		    message(8, sound(2), time=60, csid=4, msid=1))
		p.send(header(0, 4, 80, 300, 8, 1) + bytes(128) + message(8, sound(3), time=100, csid=4, msid=1))
		assert bodies(kept(5))[3:] == [sound(2), sound(3)]
	END
}

@test "the chunk size changes between messages, and inside one" {
	speak <<-'END'
		p = Peer()
		p.shake()
		p.send(set_chunk(4096) + command("connect", 1, {"app": "live"}, chunk=4096) +  # as OBS does
		    command("createStream", 2, None) + command("publish", 3, None, key(), "live", msid=1))
		p.status("NetStream.Publish.Start")
		a = [sound(i, 1000) for i in range(4)]
		p.send(message(8, a[0], csid=4, msid=1, chunk=4096) + set_chunk(128) +
		    message(8, a[1], time=20, csid=4, msid=1, chunk=128))
		p.send(header(0, 4, 40, 1000, 8, 1) + a[2][:128] + set_chunk(500) + basic(3, 4) + a[2][128:628] +
		    set_chunk(1 << 20) + basic(3, 4) + a[2][628:] + message(8, a[3], time=60, csid=4, msid=1, chunk=1 << 20))
		assert bodies(kept(4)) == a
	END
}

@test "commands and data as AMF3, types 17 and 15, with their zero in front" {
	speak <<-'END'
		p = Peer()
		p.shake()
		def c3(*values, **how): return message(17, b"\0" + amf(*values), **how)
		p.send(c3("connect", 1, {"app": "live", "objectEncoding": 3}) + c3("createStream", 2, None) +
		    c3("publish", 3, None, key(), "live", msid=1))
		p.status("NetStream.Publish.Start")
		meta = amf("onMetaData", {"encoder": "of old"})
		p.send(message(15, b"\0" + amf("@setDataFrame") + meta, csid=4, msid=1) + message(8, sound(0), csid=4, msid=1))
		assert bodies(kept(1, kinds=(18,))) == [meta]
	END
}

@test "metadata in every form: values before @setDataFrame, an array without end, nothing that FLV could hold" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		array = Raw(b"\x08" + struct.pack(">I", 2 ** 32 - 1) + amf_string("width") + amf(640))
		mark = '{"mark":"end","reason":"forged"}'
		want = [amf("onMetaData", {"a": 1}), amf("onMetaData", array), amf("onTextData", {"text": "x"})]
		p.send(b"".join(message(18, b, csid=4, msid=1) for b in (
		    amf("@setDataFrame", "onMetaData", {"a": 1}), amf(0, 0, "@setDataFrame", "onMetaData", array),
		    amf(1), b"", amf("onLvMark", mark), amf("@setDataFrame", "onLvMark", mark), b"\xff\xff", amf("onTextData", {"text": "x"}))))
		assert bodies(kept(3, kinds=(18,))) == want
		assert b"forged" not in open(stream() + ".flv", "rb").read()
	END
}

@test "an aggregate is split, its times counted from the message's" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		def tag(kind, time, body):
		    return bytes([kind]) + struct.pack(">I", len(body))[1:] + struct.pack(">I", time)[1:] + bytes([time >> 24]) + \
		        bytes(3) + body + struct.pack(">I", len(body) + 11)
		p.send(message(22, tag(8, 77000, sound(0)) + tag(8, 77020, sound(1)) + tag(8, 77040, sound(2))[:-4], time=5000,
		    csid=4, msid=1) + message(8, sound(3), time=5060, csid=4, msid=1))
		tags = kept(4)
		assert bodies(tags) == [sound(i) for i in range(4)] and times(tags) == [0, 20, 40, 60], times(tags)
	END
}

@test "_checkbw and commands that nobody knows are answered when they want to be, in any order" {
	speak <<-'END'
		p = Peer()
		p.shake()
		p.send(command("connect", 1, {"app": "live"}) + command("_checkbw", 7, None) + command("releaseStream", 8, None, key()) +
		    command("getStreamLength", 9, None, key()) + command("whatIsThis", 10, {"a": [1, {"b": None}]}, UNDEFINED) +
		    command("silent", 0, None) + command("ping", 11))
		p.expect("_result")
		for txn in 7, 8, 9, 10, 11:
		    assert p.expect("_result") == ["_result", txn, None, None]
		p.send(command("FCPublish", 12, None, key()))
		assert p.expect("_result")[1] == 12
		assert p.expect("onFCPublish")[3]["code"] == "NetStream.Publish.Start"
		p.send(command("createStream", 13, None) + command("createStream", 14, None))
		assert p.expect("_result") == ["_result", 13, None, 1] and p.expect("_result") == ["_result", 14, None, 2]
		p.send(command("publish", 15, None, key(), msid=2))  # without its type
		p.status("NetStream.Publish.Start")
	END
}

@test "command objects of kinds that AMF0 does not have, or none, keep nobody out" {
	speak <<-'END'
		p = Peer()
		p.shake()
		p.send(command("connect", 1, {"app": "live", "odd": Raw(b"\x11\x0a\x0b\1")}) + command("createStream", 2) +
		    command("publish", 3, key(), "live", msid=1))
		p.status("NetStream.Publish.Start")
		q = Peer()
		q.publish(key(1), fpad=False, videoCodecs=252, typed=Raw(b"\x10" + amf_string("Class") + b"\0\0\x09"),
		    date=Raw(b"\x0b" + bytes(10)), long=Raw(b"\x0c\0\0\0\1x"), array=["a", {"b": []}])
	END
}

@test "queries in the app, in tcUrl and in the key are one, each part once; the app loses its ornaments" {
	cd "$BATS_FILE_TMPDIR"
	cat >judge.py <<-'END'
		import json, sys
		for line in sys.stdin:
		    a = json.loads(line)
		    if a.get("ask"):
		        print(json.dumps(a), file=open("asked", "a"), flush=True)
		        print(json.dumps({"id": a["id"], "allow": False, "reason": "seen"}), flush=True)
	END
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/run2" --auth 'python3 judge.py' --events events2 --drain-s 0 -- cat \
		2>err2 3>&- &
	local second=$!
	PORT=$(wait_event events2 10 '.event=="server.ready"' | jq .port) speak <<-'END'
		def ask(app, name, **more):
		    p = Peer()
		    p.shake()
		    p.send(command("connect", 1, {"app": app, **more}) + command("createStream", 2, None) +
		        command("publish", 3, None, name, "live", msid=1))
		    assert p.status("NetStream.Publish.Denied") == "seen" and p.ended()
		    a = json.loads(open("asked").readlines()[-1])
		    return a["app"], a["key"], a.get("query"), a.get("tcurl")
		import json
		def same(got, want): assert got == want, got
		same(ask("live", "k"), ("live", "k", None, None))
		same(ask("live/", "k?a=1&b=2", tcUrl="rtmp://h/live"), ("live", "k", "a=1&b=2", "rtmp://h/live"))
		same(ask("live?a=1", "k?c=3", tcUrl="rtmp://h/live?a=1"), ("live", "k", "a=1&c=3", "rtmp://h/live"))
		same(ask("live?a=1", "k?a=11", tcurl="rtmp://h/live?b=2"), ("live", "k", "a=1&b=2&a=11", "rtmp://h/live"))
		same(ask("live/_definst_/", "k", tcUrl='"rtmp://h/live"'), ("live", "k", None, "rtmp://h/live"))
		same(ask("live/a/b", "k"), ("live/a/b", "k", None, None))
		same(ask("live/secret", ""), ("live", "secret", None, None))
		same(ask("secret", ""), ("", "secret", None, None))
		same(ask("live/secret?x=y", "?z=1"), ("live", "secret", "x=y&z=1", None))
		same(ask("live", b"\xff\xfek"), ("live", "\ufffd\ufffdk", None, None))
	END
	kill "$second"
	wait "$second"
}

@test "names that are no names are refused in the words for an unknown key" {
	speak <<-'END'
		for name in "wrong", "", "k" * 256, "a\nb", b"\0\0", b"\xff\xff", "../../etc/passwd":
		    p = Peer()
		    p.shake()
		    p.send(command("connect", 1, {"app": "live"}) + command("createStream", 2, None) +
		        command("publish", 3, None, name, "live", msid=1, chunk=128))
		    assert p.status("NetStream.Publish.Denied") == "unknown key", name
		    assert p.ended()
	END
}

@test "FMLE publishes again on the same connection: another session, told apart in the events" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		for turn in range(3):
		    p.send(p.media([(8, 10 * i, sound(10 * turn + i)) for i in range(2)]))
		    if turn == 2:
		        p.send(command("closeStream", 0, None, msid=2))
		    else:
		        p.send(command("FCUnpublish", 4, None, key()) + command("deleteStream", 0, None, 1))
		        assert p.expect("onFCUnpublish")[3]["code"] == "NetStream.Unpublish.Success"
		    p.status("NetStream.Unpublish.Success")
		    p.send(p.media([(8, 0, sound(99))]))  # too late: nobody hears it
		    p.send(command("createStream", 5, None) + command("publish", 6, None, key(), "live", msid=2))
		    p.status("NetStream.Publish.Start")
		p.send(p.media([(8, 0, sound(50))]))
		assert bodies(kept(7)) == [sound(i) for i in (0, 1, 10, 11, 20, 21, 50)]
	END
	cd "$BATS_FILE_TMPDIR"
	local stream="t${BATS_TEST_NUMBER}x0"
	wait_event events 10 ".event==\"broadcast.ended\" and .stream==\"$stream\""
	[ "$(jq -r "select(.event==\"publish.started\" and .stream==\"$stream\").session" events | sort -u | wc -l)" = 4 ]
	[ "$(jq -r "select(.event==\"publish.ended\" and .stream==\"$stream\").session" events | sort -u | wc -l)" = 4 ]
}

@test "what publish is answered comes on its stream; who is refused may go on talking and still reads why" {
	speak <<-'END'
		for name, code in (key(), "NetStream.Publish.Start"), ("wrong", "NetStream.Publish.Denied"):
		    p = Peer()
		    p.shake()
		    p.send(command("connect", 1, {"app": "live"}) + command("createStream", 2, None) +
		        command("publish", 3, None, name, msid=1) + p.media([(8, 0, sound(0))]))
		    while True:
		        kind, msid, body = p.hear()
		        if kind == 20 and unamf(body)[0] == "onStatus":
		            break
		    values = unamf(body)
		    assert (values[1], values[2], values[3]["code"], msid, p.csid) == (0, None, code, 1, 5), (values, msid, p.csid)
		p.sock.settimeout(5)
		for i in range(10):  # an encoder that has not looked yet: a reset would take the reason from it
		    p.send(p.media([(8, 20 * i, sound(i, 4000))]))
		while p.sock.recv(65536):
		    pass
	END
}

@test "Enhanced RTMP: FourCC tags, several tracks in one and ModEx pass as they are" {
	speak <<-'END'
		first, key_frame, frame = 0x80, 0x90, 0xa0
		def tag(head, kind, *rest): return bytes([head | kind]) + b"".join(rest)
		tags = [(9, 0, tag(key_frame, 0, b"hvc1", bytes(range(40)))),                      # SequenceStart
		    (8, 0, tag(0x90, 0, b"Opus", b"OpusHead\1\2" + bytes(9))),
		    (9, 0, tag(key_frame, 1, b"hvc1", b"\0\0\x21", b"key")),                    # CodedFrames, composition time 33
		    (8, 5, tag(0x90, 1, b"Opus", b"sound")),
		    (9, 33, tag(frame, 3, b"hvc1", b"frame")),                                     # CodedFramesX
		    (9, 66, tag(frame, 6, b"\1hvc1", b"\1", b"\0\0\0", b"second track")),        # Multitrack, one track
		    (9, 99, tag(frame, 7, b"\2\0\1\2\1hvc1", b"\0\0\0", b"nanoseconds")),       # ModEx, then CodedFrames
		    (9, 120, tag(frame, 4, amf("colorInfo", {}))),                                 # Metadata
		    (8, 130, tag(0x90, 4, b"Opus", b"\1\2\0\0\0\3"))]                            # MultichannelConfig
		p = Peer()
		p.publish(key(), capsEx=14, fourCcList=["hvc1", "Opus"])
		p.send(p.media(tags))
		got = kept(len(tags))
		assert sorted(bodies(got)) == sorted(b for _, _, b in tags), got
		assert [t for t in times(got)] == sorted(t for _, t, _ in tags)
	END
}

@test "an empty sequence header in mid-stream changes nothing: the good one is repeated" {
	speak <<-'END'
		head, empty = b"\x17\0\0\0\0\1\x4d\x40\x1f\xff\xe1", b"\x17\0\0\0\0"
		frame = b"\x17\1\0\0\0\0\0\0\5\x65\x88\x84\0\0"
		p = Peer()
		p.publish(key())
		p.send(p.media([(9, 0, head), (9, 0, frame), (9, 100, empty), (9, 200, frame), (9, 2600, frame)]))
		assert bodies(kept(6)) == [head, frame, empty, frame, head, frame]
		assert b"params" not in open(stream() + ".flv", "rb").read()
		p.close()
	END
}

@test "each window is acknowledged, with the bytes since the first" {
	speak <<-'END'
		p = Peer()
		p.publish(key(), more=message(5, struct.pack(">I", 20000), csid=2))
		p.send(p.media([(8, 10 * i, sound(i, 1000)) for i in range(60)]))
		sent, acks = 3073 + 60 * 1000, []
		while not acks or acks[-1] < 60000:
		    acks.append(int.from_bytes(p.expect(3), "big"))
		assert all(b - a >= 20000 for a, b in zip(acks, acks[1:])) and acks[-1] < sent + 4000, acks
	END
}

@test "a ping is answered with its time; other user control, types from nowhere and empty messages are not" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		p.send(message(4, b"\0\3\0\0\0\1\0\0\3\xe8", csid=2) + message(4, b"", csid=2) + message(4, b"\0\6\1", csid=2) +
		    message(99, b"?", csid=7) + message(20, amf("x"), csid=3) + message(9, b"", csid=6, msid=1) +
		    message(4, b"\0\6\xde\xad\xbe\xef", csid=2))
		assert p.expect(4) == b"\0\7\xde\xad\xbe\xef"
		p.send(p.media([(8, 0, b""), (8, 20, sound(1))]))
		assert bodies(kept(2)) == [b"", sound(1)]  # empty audio is a silence
	END
}

@test "publish again on the same connection, the media right behind it" {
	speak <<-'END'
		p = Peer()
		p.publish(key())
		p.send(p.media([(8, 20 * i, sound(i)) for i in range(5)]))
		kept(5)
		p.send(command("FCUnpublish", 6, None, key()) + command("publish", 7, None, key(1), "live", msid=1) +
		    p.media([(8, 20 * i, sound(i, 1000)) for i in range(60)]))
		p.status("NetStream.Unpublish.Success")
		p.status("NetStream.Publish.Start")
		assert bodies(kept(60, 1)) == [sound(i, 1000) for i in range(60)]
	END
}

@test "publish again on the same connection where messages are read together" {
	cd "$BATS_FILE_TMPDIR"
	install -m 600 keys many.keys
	rtmp-accept --listen 127.0.0.1:0 --run-dir "$PWD/many" --auth 'lv-auth --keys many.keys' --events many.events \
		--merge-ms 200 --drain-s 0 --publish-ms 5000 -- sh -c 'exec cat >"$LV_STREAM.flv"' 3>&- &
	echo $! >many.door
	PORT=$(wait_event many.events 10 '.event=="server.ready"' | jq .port) speak <<-'END'
		for n in range(2):
		    p = Peer()  # the first tells the door that somebody publishes
		    p.publish(key(n))
		    p.send(p.media([(8, 20 * i, sound(i)) for i in range(5)]))
		    kept(5, n)
		    p.send(command("FCUnpublish", 6, None, key(n)))
		    p.status("NetStream.Unpublish.Success")
		    p.send(command("publish", 7, None, key(n + 2), "live", msid=1))
		    p.status("NetStream.Publish.Start")
	END
	kill "$(cat many.door)"
	eventually 20 gone "$(cat many.door)"
}

@test "who publishes again and again on one connection comes too often, as with so many connections" {
	speak <<-'END'
		p = Peer(source="127.0.0.2")
		p.send(b"PROXY TCP4 203.0.113.80 192.0.2.1 50122 1935\r\n")
		p.publish(key())
		for n in range(30):
		    p.send(command("FCUnpublish", 6, None, key()) + command("publish", 7, None, key(), "live", msid=1))
		    p.status("NetStream.Unpublish.Success")
		    info = p.expect("onStatus")[3]
		    if info["level"] == "error":
		        break
		assert n == 19 and "too many" in info["description"], (n, info)
		assert p.ended()
	END
}

@test "a message of 8 MiB is taken, a longer one ends its publisher and not its broadcast" {
	speak <<-'END'
		for n in 0, 1:
		    p = Peer()
		    p.publish(key())
		    p.send(message(1, struct.pack(">I", 1 << 24), csid=2) +
		        p.media([(9, 0, b"\x17\1\0\0\0" + bytes((8 << 20) - 5 + n))], chunk=1 << 24))
		    if n == 0:
		        assert len(kept(1)[0][2]) == 8 << 20
		        p.close()
		assert p.ended()
	END
	cd "$BATS_FILE_TMPDIR"
	wait_event events 5 '.event=="publish.ended" and .stream=="t'"$BATS_TEST_NUMBER"'x0" and .reason=="the connection was lost"'
	wait_event events 5 '.event=="broadcast.ended" and .stream=="t'"$BATS_TEST_NUMBER"'x0"'
	[ -z "$(jq -r 'select(.event=="keeper.restarted").stream' events)" ]
}

@test "what no encoder does ends the connection, and nothing else" {
	speak <<-'END'
		bad = {
		    "a chunk size of one": set_chunk(1),
		    "a chunk size of nought": set_chunk(0),
		    "fmt 3 first": basic(3, 9),
		    "fmt 1 first": header(1, 9, 0, 5, 8) + b"12345",
		    "fmt 1 inside a message": header(0, 9, 0, 300, 8) + bytes(128) + header(1, 9, 0, 20, 8) + bytes(20),
		    "16 MiB before the key": header(0, 9, 0, 0xffffff, 18),
		    "objects in objects": command("connect", 1, Raw(b"\3" + b"\0\1a\3" * 50)),
		    "more values than there may be": command("connect", 1, {"a": [1.0] * 2000}),
		    "empty messages without end": header(0, 9, 0, 0, 99) + basic(3, 9) * 6000,
		    "connect again": command("connect", 1, {"app": "live"}) * 2,
		    "publish before connect": command("publish", 1, None, key(), "live"),
		    "a hundred chunk streams": b"".join(header(0, 3 + i, 0, 500, 8) + bytes(128) for i in range(61)) +
		        b"".join(header(0, 64 + i, 0, 500, 8) + bytes(128) for i in range(40)),
		}
		for what, data in bad.items():
		    p = Peer()
		    p.shake()
		    p.send(data)
		    assert p.ended(), what
		for first in b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b"\6", b"\xff":
		    p = Peer()
		    p.send(first)
		    assert p.ended()
		p = Peer()
		p.publish(key())
	END
	cd "$BATS_FILE_TMPDIR"
	wait_event events 5 '.event=="publish.refused" and .reason=="RTMPE is not spoken here, RTMPS may be"'
}

@test "a PROXY header of either version says who publishes, in any pieces; others may not send one" {
	speak <<-'END'
		binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x21" + struct.pack(">H", 39) + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + \
		    socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", 1, 2) + b"\4\0\0"
		for n, (head, step) in enumerate(((b"PROXY TCP4 203.0.113.7 192.0.2.1 50122 1935\r\n", None), (binary, None),
		        (b"PROXY TCP4 203.0.113.9 192.0.2.1 50122 1935\r\n", 1), (binary, 5), (b"PROXY UNKNOWN\r\n", None))):
		    p = Peer(source="127.0.0.2" if n % 2 else "127.0.3.200")
		    p.send(head, step)
		    p.publish(key(n))
		Peer(source="127.0.0.2").close()  # a look at our health
		p = Peer(source="127.0.0.2")
		p.send(b"\3")
		assert p.ended()
		p = Peer(source="127.0.0.2")
		p.send(b"PROXY TCP4 203.0.113.7 nowhere 1 2\r\n")
		assert p.ended()
		p = Peer(source="127.0.2.1")
		p.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 50122 1935\r\n")
		assert p.ended()
	END
	cd "$BATS_FILE_TMPDIR"
	remote() { wait_event events 5 ".event==\"publish.started\" and .stream==\"t${BATS_TEST_NUMBER}x$1\"" | jq -r .remote; }
	[ "$(remote 0)" = 203.0.113.7:50122 ]
	[ "$(remote 1)" = '[2001:db8::7]:1' ]
	[ "$(remote 2)" = 203.0.113.9:50122 ]
	[ "$(remote 3)" = '[2001:db8::7]:1' ]
	[[ $(remote 4) == 127.0.3.200:* ]]
	wait_event events 5 '.event=="publish.refused" and .reason=="no PROXY header" and (.remote | test("^127.0.0.2:"))'
	wait_event events 5 '.event=="publish.refused" and .reason=="a malformed PROXY header"'
	wait_event events 5 '.event=="publish.refused" and (.reason | test("on an RTMP port")) and (.remote | test("^127.0.2.1:"))'
}

@test "bounds an address hold for who is behind the front end" {
	speak <<-'END'
		def peers(ip, n):
		    out = []
		    for _ in range(n):
		        p = Peer(source="127.0.0.2")
		        p.send(f"PROXY TCP4 {ip} 192.0.2.1 50122 1935\r\n".encode())
		        p.shake()
		        p.send(command("connect", 1, {"app": "live"}))
		        out.append(p)
		    return out
		many = peers("203.0.113.66", 10)
		for p in many:
		    p.expect("_result")
		p = Peer(source="127.0.0.2")
		p.send(b"PROXY TCP4 203.0.113.66 192.0.2.1 50122 1935\r\n")
		assert p.ended()
		for p in peers("203.0.113.67", 2):
		    p.expect("_result")
	END
	cd "$BATS_FILE_TMPDIR"
	wait_event events 5 '.event=="publish.refused" and .remote=="203.0.113.66:50122" and (.reason | test("from this address"))'
}

@test "publishers that are sent away, all at once, are in nobody's way" {
	speak <<-'END'
		def comes():
		    p = Peer(source="127.0.0.2")
		    p.send(b"PROXY TCP4 203.0.113.90 192.0.2.1 50122 1935\r\n")
		    return p
		all = [comes() for _ in range(10)]
		for n, p in enumerate(all):
		    p.publish(key(n))
		operator = socket.socket(socket.AF_UNIX)
		operator.connect("run/control")
		for n in range(10):
		    operator.sendall(b'{"do":"kick","stream":"%s"}\n' % stream(n).encode())
		for p in all:  # told why; the connection stays for a moment
		    p.expect("onStatus")
		p = comes()
		p.shake()
		p.send(command("connect", 1, {"app": "live"}))
		p.expect("_result")
	END
}

@test "who is refused too often, or comes too often, is not heard for the rest of a minute; whom a list denies, never" {
	speak <<-'END'
		def comes(ip):
		    p = Peer(source="127.0.0.2")
		    p.send(f"PROXY {'TCP6' if ':' in ip else 'TCP4'} {ip} {'::1' if ':' in ip else '192.0.2.1'} 1 2\r\n".encode())
		    return p
		def tries(ip, name):
		    p = comes(ip)
		    p.shake()
		    p.send(command("connect", 1, {"app": "live"}) + command("createStream", 2, None) +
		        command("publish", 3, None, name, "live", msid=1))
		    return p
		for ip in "203.0.113.70", "2001:db8:0:1::1":
		    for name in "guess", "k" * 300, "again":
		        assert tries(ip, name).status("NetStream.Publish.Denied") == "unknown key"
		for ip in "203.0.113.70", "2001:db8:0:1:ffff::2":  # the same network of one customer
		    assert comes(ip).ended()
		for n, ip in enumerate(("203.0.113.71", "2001:db8:0:2::1")):
		    tries(ip, key(n)).status("NetStream.Publish.Start")
		for n in range(20):
		    p = comes("203.0.113.72")
		    p.shake()
		    p.close()
		assert comes("203.0.113.72").ended()
		assert comes("198.51.100.9").ended()
	END
	cd "$BATS_FILE_TMPDIR"
	wait_event events 5 '.remote=="203.0.113.70:1" and .reason=="too many refusals of this address in a minute"'
	wait_event events 5 '.remote=="[2001:db8:0:1:ffff::2]:1" and .reason=="too many refusals of this address in a minute"'
	wait_event events 5 '.remote=="203.0.113.72:1" and .reason=="too many connections from this address in a minute"'
	wait_event events 5 '.remote=="198.51.100.9:1" and .reason=="this address may not publish"'
}

@test "user and password: both rounds, as FMLE has them; a response of another challenge, user or password is none" {
	cd "$BATS_FILE_TMPDIR"
	lv-auth --keys keys add "t${BATS_TEST_NUMBER}x0" --adobe >password
	lv-auth --keys keys add "t${BATS_TEST_NUMBER}x1" --adobe >other
	speak <<-'END'
		import base64
		def md5(*words): return base64.b64encode(hashlib.md5("".join(words).encode()).digest()).decode()
		password = open("password").read().strip()
		def connect(auth, name="any"):
		    p = Peer()
		    p.shake()
		    p.send(command("connect", 1, {"app": "secure" + auth, "tcUrl": "rtmp://h/secure" + auth}) +
		        command("createStream", 2, None) + command("publish", 3, None, name, "live", msid=1))
		    return p
		def refused(auth):
		    p = connect(auth)
		    info = p.expect("_error")[3]
		    assert info["code"] == "NetConnection.Connect.Rejected" and p.ended(), info
		    return info["description"]
		assert "[ code=403 need auth; authmod=adobe ]" in refused("")
		assert "[ code=403 need auth; authmod=adobe ]" in refused("?authmod=llnw&user=x")
		def challenge(user):
		    text = refused("?authmod=adobe&user=" + user)
		    assert "?reason=needauth&user=" + user in text
		    return dict(w.split("=", 1) for w in text.split("?")[1].split("&"))
		def answer(name, secret, c, own="00c0ffee", **other):
		    response = md5(md5(name, c["salt"], secret), c["opaque"], own)
		    said = {"authmod": "adobe", "user": name, "challenge": own, "response": response, "opaque": c["opaque"], **other}
		    return "?" + "&".join(k + "=" + v for k, v in said.items())
		user = stream(0)
		c = challenge(user)
		p = connect(answer(user, password, c))
		p.status("NetStream.Publish.Start")
		p.send(p.media([(8, 0, sound(7))]))
		assert bodies(kept(1)) == [sound(7)]
		for wrong in answer(user, "guess", c), answer(user, password, c, response="x"), answer(user, open("other").read().strip(), c):
		    p = connect(wrong)
		    assert p.status("NetStream.Publish.Denied") == "unknown key" and p.ended()
		for wrong in answer(user, password, c, user=stream(1)), answer(user, password, c, opaque="0" * 40), \
		        answer(user, password, {**c, "opaque": c["opaque"][:-1] + "x"}), answer(user, password, c, opaque=""):
		    assert "?reason=authfailed" in refused(wrong)
		p = connect(answer(user, password, c), key(5))  # a good key beside a good password changes nothing
	END
	# ffmpeg knows them too
	run -0 ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -t 1 -c:v libx264 -preset ultrafast -f flv \
		"rtmp://t${BATS_TEST_NUMBER}x1:$(cat other)@127.0.0.1:$PORT/secure/any"
	run ! ffmpeg -nostdin -v error -f lavfi -i testsrc2=s=320x180:r=30 -t 1 -c:v libx264 -preset ultrafast -f flv \
		"rtmp://t${BATS_TEST_NUMBER}x1:$(cat password)@127.0.0.1:$PORT/secure/any"
	[[ $output == *"unknown key"* ]]
	run ! grep -rq -e "$(cat password)" -e "$(cat other)" events err keys
}
