#!/usr/bin/python3
"""Scenes of a chat, each played by real WebSocket clients against a lv-chatd of its own.

chat.py SCENE...: prints nothing and ends with 0, or says what went otherwise than it should.
"""
import asyncio
import atexit
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

import websockets

PATIENCE = 30
BIN = os.path.join(os.environ["BUILD"], "bin")
DIR = os.environ.get("BATS_TEST_TMPDIR") or tempfile.mkdtemp()
SECRET = os.path.join(DIR, "secret")


def new_secret(text):
    with open(SECRET, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(text)


def token(user, *options, stream="alice"):
    return subprocess.run(
        [BIN + "/lv-auth", "token", stream, "--token-secret", SECRET, "--user", user, *options],
        check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Server:
    def __init__(self, *options, port=0):
        self.log = os.path.join(DIR, "events-%d" % time.monotonic_ns())
        self.process = subprocess.Popen(
            [BIN + "/lv-chatd", "--listen", "127.0.0.1:%d" % port, "--token-secret", SECRET,
             "--events", self.log, *options], close_fds=True)
        atexit.register(self.process.kill)
        self.port = None

    @classmethod
    async def start(cls, *options, port=0):
        self = cls(*options, port=port)
        self.port = (await self.event("server.ready"))["port"]
        return self

    def events(self, name):
        try:
            with open(self.log) as f:
                return [e for e in map(json.loads, f) if e["event"] == name]
        except FileNotFoundError:
            return []

    async def event(self, name, test=lambda e: True):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.process.poll() is None, "lv-chatd ended with %d" % self.process.returncode
            for e in self.events(name):
                if test(e):
                    return e
            await asyncio.sleep(0.02)
        raise AssertionError("no event " + name)

    def url(self, **query):
        query.setdefault("stream", "alice")
        return "ws://127.0.0.1:%d/chat?%s" % (self.port, "&".join("%s=%s" % q for q in query.items()))

    def rss_kb(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    async def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        status = await asyncio.to_thread(self.process.wait, PATIENCE)
        assert status == 0, "lv-chatd ended with %d" % status


class Redis:
    """A server of the scene's own, on a socket."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(dir=DIR)
        self.socket = self.dir + "/redis.sock"
        self.options = options

    async def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.dir,
             "--loglevel", "warning", *self.options], stdout=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        for _ in range(PATIENCE * 20):
            if self.call("ping", check=False) == "PONG":
                return self
            await asyncio.sleep(0.05)
        raise AssertionError("Redis does not start")

    def call(self, *words, check=True):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], check=check, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()

    async def end(self):
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, PATIENCE)


class Client:
    @classmethod
    async def enter(cls, server, user=None, *options, headers=None, greeted=True, **query):
        self = cls()
        if user:
            query["token"] = token(user, *options)
        self.ws = await websockets.connect(server.url(**query), extra_headers=headers,
                                           ping_interval=None, max_queue=None, open_timeout=PATIENCE)
        self.seen = []
        self.joined = await self.get("joined") if greeted else None
        return self

    async def next(self):
        m = json.loads(await asyncio.wait_for(self.ws.recv(), PATIENCE))
        self.seen.append(m)
        return m

    async def get(self, kind):
        while True:
            m = await self.next()
            if m["type"] == kind:
                return m

    async def answer(self, **ask):
        """Say it, and the next thing heard that has its ref."""
        ask.setdefault("ref", "r%d" % time.monotonic_ns())
        await self.send(**ask)
        while True:
            m = await self.next()
            if m.get("ref") == ask["ref"]:
                return m

    async def send(self, **ask):
        await self.ws.send(json.dumps(ask))

    async def refused(self, notice, **ask):
        m = await self.answer(**ask)
        same(m["type"], "notice")
        same(m["notice"], notice)
        assert m["message"] and m["message"] != notice, m
        return m

    async def accepted(self, **ask):
        m = await self.answer(**ask)
        assert m["type"] == ask["type"] and "id" in m, m
        return m

    async def texts(self, n):
        """The next n messages, whatever else comes between."""
        return [(await self.get("message"))["text"] for _ in range(n)]

    async def closed(self):
        try:
            while True:
                await self.next()
        except websockets.ConnectionClosed as e:
            return e.rcvd.code if e.rcvd else 1006, e.rcvd.reason if e.rcvd else ""


def same(got, want):
    assert got == want, "got %r, not %r" % (got, want)


async def refused_with(status, url, **options):
    try:
        await websockets.connect(url, open_timeout=PATIENCE, **options)
    except websockets.InvalidStatusCode as e:
        same(e.status_code, status)
        return
    raise AssertionError("let in: " + url)


async def identity():
    """Only the token says who somebody is."""
    s = await Server.start()
    reader = await Client.enter(s)
    await reader.refused("login_required", type="message", text="hi", user="1", userId="1", role="owner")
    zoe = await Client.enter(s, "1", "--name", "Zoë", "--badge", "vip", "--tier", "2")
    same(zoe.seen[0]["type"], "welcome")
    m = await zoe.accepted(type="message", text="hé \"quoted\" <b>", user="2", userId="2", name="Eve", role="owner",
                           badges=["staff"], id="1-1", ts=1)
    same((m["user"], m["name"], m["badges"], m["tier"], m["text"]),
         ("1", "Zoë", ["vip"], 2, "hé \"quoted\" <b>"))
    assert "role" not in m and m["id"] != "1-1" and m["ts"] > 1, m
    same(await reader.get("message"), m)
    # in the first frame, and in a header
    same((await reader.answer(type="auth", token=token("2", "--role", "mod")))["type"], "welcome")
    same((await reader.accepted(type="message", text="me"))["role"], "mod")
    await reader.refused("token_refused", type="auth", token=token("3"))  # one person a connection
    program = await Client.enter(s, headers={"Authorization": "Bearer " + token("4")})
    same((await program.accepted(type="message", text="me"))["user"], "4")
    same((await program.accepted(type="emote", emote="Kappa"))["emote"], "Kappa")
    await s.end()


async def tokens():
    """Bad tokens, other rooms' and expired ones; a new secret on SIGHUP."""
    s = await Server.start()
    other = await Client.enter(s)
    await other.refused("token_refused", type="auth", token=token("1", stream="bob"))
    same((await other.answer(type="auth", token=token("1", stream="*")))["type"], "welcome")
    ws = await websockets.connect(s.url(token="a.b.c"))
    same(json.loads(await ws.recv())["notice"], "token_refused")
    await ws.wait_closed()
    same(ws.close_code, 4401)
    guesser = await Client.enter(s)
    for _ in range(5):
        await guesser.send(type="auth", token="eyJhbGciOiJub25lIn0.e30.")
    same((await guesser.closed())[0], 4401)
    old = await Client.enter(s, "1")
    before = token("1")
    new_secret("another secret of enough bytes, and more")
    s.process.send_signal(signal.SIGHUP)
    late = await Client.enter(s)
    for _ in range(100):
        if (await late.answer(type="auth", token=token("5")))["type"] == "welcome":
            break
        late = await Client.enter(s)
    else:
        raise AssertionError("the new secret is not used")
    await (await Client.enter(s)).refused("token_refused", type="auth", token=before)
    await old.accepted(type="message", text="who is in stays in")
    await s.end()


async def expiry():
    """A token that is over writes no more, and a new one continues."""
    s = await Server.start()
    c = await Client.enter(s, "1", "--for-s", "3")
    await c.accepted(type="message", text="in time")
    while (m := await c.answer(type="emote", emote="a"))["type"] != "notice":
        await asyncio.sleep(0.3)
    same(m["notice"], "token_expired")
    same((await c.answer(type="auth", token=token("1")))["type"], "welcome")
    await c.accepted(type="message", text="again")
    await s.end()


async def login():
    """--login: nobody reads without a token, and has five seconds to show it."""
    s = await Server.start("--login")
    silent, quick = [await Client.enter(s, greeted=False) for _ in range(2)]
    same((await quick.answer(type="auth", token=token("1")))["type"], "welcome")
    same((await quick.next())["type"], "joined")
    await quick.accepted(type="message", text="here")
    await silent.refused("login_required", type="history")
    code, reason = await silent.closed()
    same((code, json.loads(reason)["reason"]), (4401, "login_required"))
    same([m["type"] for m in silent.seen], ["notice"])
    await s.event("chat.counted", lambda e: e["connections"] == 1 and e["messages"] == 1)
    await s.end()


async def limits():
    """Twenty in five seconds, of a person, wherever from; the wait is the true one; order is kept."""
    s = await Server.start("--window-ms", "2000")
    one, two, reader = await Client.enter(s, "1"), await Client.enter(s, "1"), await Client.enter(s)
    began = time.monotonic()
    for n in range(20):
        await (one, two)[n % 2].accepted(type="message", text="m%d" % n)
    wait = await two.answer(type="message", text="too much", ref="w")
    same((wait["type"], wait["ref"]), ("slowmode", "w"))
    left = 2000 - (time.monotonic() - began) * 1000
    assert left - 20 <= wait["waitMs"] <= 2000, (wait, left)
    assert (await one.answer(type="emote", emote="x"))["type"] == "slowmode"
    await (await Client.enter(s, "2")).accepted(type="message", text="another")
    await asyncio.sleep(wait["waitMs"] / 1000)
    await one.accepted(type="message", text="now")
    same(await reader.texts(22), ["m%d" % n for n in range(20)] + ["another", "now"])
    await s.end()


async def history():
    """Newcomers see the last messages, those who return what they missed, and are told when it is gone."""
    s = await Server.start("--history", "10", "--window-ms", "0")
    writer = await Client.enter(s, "1", "--role", "service")
    lost = await Client.enter(s)
    for n in range(30):
        await writer.accepted(type="message", text="m%d" % n)
    got = [await lost.get("message") for _ in range(20)]
    same([m["text"] for m in got], ["m%d" % n for n in range(20)])
    await lost.ws.close()
    new = await Client.enter(s)
    same(await new.texts(10), ["m%d" % n for n in range(20, 30)])
    assert "recovered" not in new.joined, new.joined
    back = await Client.enter(s, offset=got[-1]["id"])
    same(back.joined["recovered"], True)
    await writer.accepted(type="message", text="live")
    same(await back.texts(11), ["m%d" % n for n in range(20, 30)] + ["live"])
    same(back.joined["offset"], new.joined["offset"])
    empty = await Client.enter(s, offset=back.seen[-1]["id"])
    same(empty.joined["recovered"], True)
    # more than is kept
    for n in range(1000):
        await writer.send(type="message", text="n%d" % n)
    await empty.texts(1000)
    gone = await Client.enter(s, offset=got[-1]["id"])
    same(gone.joined["recovered"], False)
    same(await gone.texts(10), ["n%d" % n for n in range(990, 1000)])
    whole = await Client.enter(s, offset=back.seen[-1]["id"])
    same(whole.joined["recovered"], True)
    same(await whole.texts(1000), ["n%d" % n for n in range(1000)])
    for offset in ("1-0", "9999999999999-0", "x"):
        c = await Client.enter(s, offset=offset)
        same(c.joined["recovered"], False)
    assert "recovered" not in (await Client.enter(s, offset="")).joined
    # what was said before: anybody may ask
    h = await c.answer(type="history", id=gone.seen[1]["id"], count=3)
    same(([m["text"] for m in h["entries"]], h["more"]), (["n987", "n988", "n989"], True))
    h = await c.answer(type="history")
    same(h["entries"][-1], gone.seen[-1])
    same(len(h["entries"]), 50)
    elsewhere = await Client.enter(s, stream="bob")
    same(len(elsewhere.seen), 1)
    await s.end()


async def resent():
    """A message that is sent again after a reconnect, with its ref, is there once."""
    s = await Server.start()
    one = await Client.enter(s, "1")
    m = await one.accepted(type="message", text="once", ref="a1")
    again = await Client.enter(s, "1")
    same(await again.get("message"), m)
    n = await again.refused("duplicate", type="message", text="once", ref="a1")
    same(n["id"], m["id"])
    await (await Client.enter(s, "2")).accepted(type="message", text="once", ref="a1")
    await s.end()


async def leaving():
    """One who leaves takes nobody's messages away; the numbers of viewers are told."""
    s = await Server.start()
    a, b, c = [await Client.enter(s) for _ in range(3)]
    writer = await Client.enter(s, "1")
    await a.ws.close()
    b.ws.transport.abort()
    await writer.accepted(type="message", text="still")
    same((await c.get("message"))["text"], "still")
    while (await c.get("viewers"))["count"] != 2:
        pass
    await s.end()


async def caps():
    """Connections of an address and of a person are counted; the whole has an end too."""
    s = await Server.start("--per-address", "3", "--per-user", "2")
    held = [await Client.enter(s, "1"), await Client.enter(s, "1")]
    third = await Client.enter(s)
    await third.send(type="auth", token=token("1"))
    same((await third.closed())[0], 4429)
    held.append(await Client.enter(s))
    await refused_with(429, s.url())
    await held[0].ws.close()
    for _ in range(100):
        try:
            held[0] = await Client.enter(s, "1")
            break
        except websockets.InvalidStatusCode:
            await asyncio.sleep(0.05)
    else:
        raise AssertionError("who has left still counts")
    await s.end()
    # who says nothing takes a place, but not everybody's
    s = await Server.start("--per-address", "2")
    silent = [socket.create_connection(("127.0.0.1", s.port)) for _ in range(5)]
    same(await asyncio.to_thread(silent[4].recv, 1), b"")
    same(select.select(silent[:4], [], [], 0)[0], [])
    for c in silent[:2]:
        c.shutdown(socket.SHUT_WR)
        same(await asyncio.to_thread(c.recv, 1), b"")
    held = await Client.enter(s)
    for c in silent:
        c.close()
    await s.end()
    s = await Server.start("--proxied", "--per-address", "1")
    a = await Client.enter(s, headers={"X-Forwarded-For": "10.0.0.1, 192.0.2.1"})
    b = await Client.enter(s, headers={"X-Forwarded-For": "10.0.0.1, 192.0.2.2"})
    await refused_with(429, s.url(), extra_headers={"X-Forwarded-For": "10.9.9.9, 192.0.2.2"})
    await refused_with(429, s.url(), extra_headers={"X-Forwarded-For": "::ffff:192.0.2.2"})
    c = await Client.enter(s, headers={"X-Forwarded-For": "2001:db8::1"})
    await refused_with(429, s.url(), extra_headers={"X-Forwarded-For": "2001:db8::2:3:4:5"})
    d = await Client.enter(s, headers={"X-Forwarded-For": "2001:db8:0:1::1"})
    for c in (a, b, c, d):
        await c.ws.close()
    await s.end()
    s = await Server.start("--max-connections", "2")
    held = [await Client.enter(s), await Client.enter(s)]
    try:
        await Client.enter(s)
        raise AssertionError("a third of two")
    except (ConnectionError, EOFError, websockets.WebSocketException):
        pass
    await s.end()


async def origins():
    """Pages from elsewhere stay out; what is no page needs a token."""
    s = await Server.start("--origin", "https://example.org", "--origin", "http://localhost:8080")
    await Client.enter(s, headers={"Origin": "https://example.org"})
    await Client.enter(s, headers={"Origin": "http://localhost:8080"})
    for bad in ("https://example.org.evil.net", "http://example.org", "https://example.org:444", "null"):
        await refused_with(403, s.url(), origin=bad)
    program = await Client.enter(s, "1")
    await program.accepted(type="message", text="a program")
    same((await (await Client.enter(s, greeted=False)).closed())[0], 4401)
    await s.end()


async def wrong_requests():
    """Everything that is no request for a room is refused in HTTP; /healthz answers."""
    s = await Server.start()
    base = "ws://127.0.0.1:%d" % s.port
    await refused_with(404, base + "/")
    await refused_with(404, base + "/chatter?stream=alice")
    await refused_with(400, base + "/chat")
    await refused_with(400, base + "/chat?stream=a/b")
    await refused_with(400, base + "/chat?stream=" + "a" * 65)
    r, w = await asyncio.open_connection("127.0.0.1", s.port)
    w.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = (await asyncio.wait_for(r.read(), PATIENCE)).decode()
    same(answer.split("\r\n")[0], "HTTP/1.1 200 OK")
    same(json.loads(answer.split("\r\n\r\n")[1])["status"], "ok")
    w.close()
    await s.end()


async def raw(server, frames, headers=b""):
    """A handshake by hand, then bytes; what comes back until the end."""
    r, w = await asyncio.open_connection("127.0.0.1", server.port)
    w.write(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + headers + b"\r\n")
    await asyncio.wait_for(r.readuntil(b"\r\n\r\n"), PATIENCE)
    w.write(frames)
    data = await asyncio.wait_for(r.read(), PATIENCE)
    w.close()
    return data


def frame(head, payload, masked=True):
    n = len(payload)
    b = bytes([head])
    m = 0x80 if masked else 0
    b += bytes([m | n]) if n < 126 else bytes([m | 126]) + n.to_bytes(2, "big")
    return b + (b"\0\0\0\0" if masked else b"") + payload


async def hostile():
    """No input ends the process, or troubles anybody else."""
    s = await Server.start("--per-address", "1000")
    reader = await Client.enter(s)
    writer = await Client.enter(s, "1")
    for text in ('', 'not json', '{"n":5}', '5', 'null', '[]', '[' * 2000, '{"type":5}', '{"type":"ban"}',
                 '{"type":"message"}', '{"type":"message","text":5}', '{"type":"message","text":"a\\u0000b"}',
                 '{"type":"message","text":"a","text":"b"}', '{"type":"timeout","user":"1","seconds":1e99}',
                 '{"type":"message","text":"\\ud800"}', '{"type":"joined"}', '{"type":"sub","user":"1"}',
                 '{"type":"modes","slow":-1}', '{"type":"pin","id":"1-"}', '{"type":"auth","token":{}}'):
        await writer.ws.send(text)
        same((await writer.next())["type"], "notice")
    for text, notice in (("x" * 501, "text_too_long"), (" \u200b", "text_missing"), ("a\u0301" * 3 + "\u0301" * 4,
                         "text_refused"), ("a\nb", "text_refused"), ("\u202eabc", "text_refused")):
        await writer.refused(notice, type="message", text=text)
    await writer.accepted(type="message", text="😀" * 500)
    hello = b'{"type":"message","text":"x"}'
    ends = {"reserved bits": frame(0xf1, hello),
            "a long control frame": frame(0x89, b"x" * 126), "a control frame in pieces": frame(0x09, b"x"),
            "an unknown opcode": frame(0x83, hello), "binary": frame(0x82, hello),
            "no UTF-8": frame(0x81, b'{"type":"\xff"}'), "UTF-8 broken over frames": frame(0x01, b"\xe2\x82") +
            frame(0x80, b"("), "a continuation of nothing": frame(0x80, hello),
            "a huge length": bytes([0x81, 0xff]) + b"\x7f" + b"\xff" * 7 + b"\0\0\0\0" +
            b" " * 9000,
            "too long": frame(0x81, b" " * 9000), "too long in pieces": frame(0x01, b" " * 6000) +
            frame(0x00, b" " * 6000), "a bad close": frame(0x88, b"\x03\xed")}

    async def ended(what, frames):
        try:
            await raw(s, frames)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.TimeoutError:
            raise AssertionError("goes on after " + what) from None

    async def unfinished(size):  # a handshake that never ends, of which nothing is answered
        r, w = await asyncio.open_connection("127.0.0.1", s.port)
        w.write(b"GET /chat?stream=alice&x=" + b"y" * size)
        same(await asyncio.wait_for(r.read(), PATIENCE), b"")
        w.close()

    await asyncio.gather(*[ended(*e) for e in ends.items()], *[unfinished(n) for n in (3, 80, 700)])
    lax = await raw(s, frame(0x81, hello, masked=False) + frame(0x88, b"\x03\xe8"))
    assert b"login_required" in lax, lax[-200:]  # libwebsockets takes what is not masked
    split = await raw(s, frame(0x01, b'{"type":"mes') + frame(0x89, b"") + frame(0x80, b'sage","text":"x"}') +
                      frame(0x88, b"\x03\xe8"))
    assert b"login_required" in split, split[-200:]
    await asyncio.wait_for(await reader.ws.ping(b"x" * 125), PATIENCE)
    flood = await Client.enter(s)
    for _ in range(200):
        await flood.ws.send("x")
    same((await flood.closed())[0], 4429)
    await writer.accepted(type="message", text="all is well")
    while (await reader.get("message"))["text"] != "all is well":
        pass
    await s.end()


async def slow_reader():
    """Who takes nothing is cut; memory stays, and everybody else gets everything in order."""
    s = await Server.start()
    r, w = None, None
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", s.port))
    sock.sendall(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert b"101" in sock.recv(100)
    quick = await Client.enter(s)
    writer = await Client.enter(s, "1", "--role", "service")
    before = s.rss_kb()

    async def write():
        for n in range(2500):
            await writer.send(type="message", text="%d " % n + "\U0001f600" * 490)
            if n % 50 == 0:
                await asyncio.sleep(0)
        while (await writer.next()).get("text", "").split(" ")[0] != "2499":
            pass

    task = asyncio.ensure_future(write())
    same([t.split(" ")[0] for t in await quick.texts(2500)], [str(n) for n in range(2500)])
    await task
    tail = b""
    while data := sock.recv(1 << 20):  # what was on its way, and then the end
        tail = (tail + data)[-200:]
    code, reason = tail[tail.rindex(b"\x88") + 2:][:2], tail[tail.rindex(b"\x88") + 4:]
    same(int.from_bytes(code, "big"), 4008)
    same(json.loads(reason)["reason"], "too slow")
    if "asan" not in os.environ["BUILD"]:
        assert s.rss_kb() < before + 12000, (before, s.rss_kb())
    await s.end()


async def silent():
    """Who does not answer pings is gone; who does, stays, also when it was the server that slept."""
    s = await Server.start("--ping-s", "1")
    r, w = await asyncio.open_connection("127.0.0.1", s.port)
    w.write(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    there = await Client.enter(s)
    data = await asyncio.wait_for(r.read(), PATIENCE)
    assert b"\x89\x04ping" in data, data
    await s.event("client.cut", lambda e: e["reason"] == "not there any more" and e["remote"] == "127.0.0.1")
    s.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3.5)
    s.process.send_signal(signal.SIGCONT)
    writer = await Client.enter(s, "1")
    await writer.accepted(type="message", text="there?")
    same((await there.get("message"))["text"], "there?")
    w.close()
    await s.end()


async def spread():
    """Those who come at once get their pings one after the other."""
    s = await Server.start("--ping-s", "5")

    def first_pings(): # of 20; in a thread, so that no other scene's work comes between
        waiting, times = set(), []
        for _ in range(20):
            c = socket.create_connection(("127.0.0.1", s.port), PATIENCE)
            c.sendall(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            waiting.add(c)
        while waiting:
            ready = select.select(list(waiting), [], [], PATIENCE)[0]
            assert ready, "no ping"
            for c in ready:
                data = c.recv(4096)
                assert data, "cut"
                if b"\x89\x04ping" in data:
                    times.append(time.monotonic())
                    waiting.remove(c)
                    c.close()
        return times

    times = await asyncio.to_thread(first_pings)
    assert times[-1] - times[0] > 1.5, times # of five seconds
    await s.end()


async def drain():
    """SIGTERM: everybody is told when to return, nobody new comes in, and it ends with 0."""
    s = await Server.start()
    clients = [await Client.enter(s) for _ in range(20)]
    writer = await Client.enter(s, "1")
    await writer.send(type="message", text="last")
    same((await clients[0].get("message"))["text"], "last")
    s.process.terminate()
    waits = set()
    for c in clients:
        code, reason = await c.closed()
        same((code, json.loads(reason)["reason"]), (1012, "restart"))
        waits.add(json.loads(reason)["retryMs"])
        assert any(m.get("text") == "last" for m in c.seen)
    assert len(waits) > 10, waits
    same(await asyncio.to_thread(s.process.wait, PATIENCE), 0)


async def moderation():
    """Deleting, time-outs, bans: for those who are here, and for those who come later."""
    s = await Server.start("--window-ms", "0")
    reader, mod = await Client.enter(s), await Client.enter(s, "9", "--role", "mod")
    owner = await Client.enter(s, "10", "--role", "owner")
    troll, good = await Client.enter(s, "1"), await Client.enter(s, "2")
    first, second = [await troll.accepted(type="message", text=t) for t in ("bad", "worse")]
    await good.accepted(type="message", text="good")
    for kind in ({"type": "delete", "id": first["id"]}, {"type": "ban", "user": "2"}, {"type": "clear"},
                 {"type": "timeout", "user": "2", "seconds": 5}, {"type": "modes", "slow": 5},
                 {"type": "pin", "id": first["id"]}, {"type": "unban", "user": "2"}):
        await troll.refused("no_permission", **kind)
        await reader.refused("login_required", **kind)
    d = await mod.accepted(type="delete", id=first["id"])
    same((d["target"], d["by"]), (first["id"], "9"))
    same((await reader.get("delete"))["target"], first["id"])
    await mod.refused("message_unknown", type="delete", id=first["id"])
    same(await (await Client.enter(s)).texts(2), ["worse", "good"])
    back = await Client.enter(s, offset=first["id"])
    same([m["type"] for m in [await back.next() for _ in range(3)]], ["message", "message", "delete"])
    # a time-out hides what he said, ends by itself, and a ban does not
    t = await mod.accepted(type="timeout", user="1", seconds=1, reason="calm down")
    same((t["user"], t["seconds"], t["reason"], t["until"]), ("1", 1, "calm down", t["ts"] + 1000))
    same((await reader.get("timeout"))["user"], "1")
    same(await (await Client.enter(s)).texts(1), ["good"])
    same((await troll.refused("timed_out", type="message", text="x"))["until"], t["until"])
    await asyncio.sleep(1.1)
    await troll.accepted(type="message", text="sorry")
    await mod.accepted(type="ban", user="1")
    await troll.refused("banned", type="message", text="x")
    await (await Client.enter(s, "1", "--name", "Other")).refused("banned", type="emote", emote="x")
    await mod.accepted(type="unban", user="1")
    await troll.accepted(type="message", text="thanks")
    # who may act on whom
    await mod.accepted(type="ban", user="10")
    await owner.accepted(type="message", text="the owner speaks")
    await owner.accepted(type="ban", user="9")
    await mod.refused("banned", type="message", text="x")
    await owner.accepted(type="clear")
    last = await Client.enter(s)
    await owner.accepted(type="message", text="fresh")
    same(await last.texts(1), ["fresh"])
    await s.event("chat.moderated", lambda e: e["kind"] == "timeout" and e["user"] == "1" and e["by"] == "9" and
            e["reason"] == "calm down")
    await s.end()


async def modes():
    """Slow, followers only, subscribers only, emotes only, nothing twice; pins; for newcomers too."""
    s = await Server.start("--window-ms", "0")
    mod, viewer = await Client.enter(s, "9", "--role", "mod"), await Client.enter(s, "1")
    follower = await Client.enter(s, "2", "--followed", "2020-01-01T00:00:00Z")
    sub = await Client.enter(s, "3", "--tier", "1")
    await mod.accepted(type="modes", slow=2)
    m = await viewer.accepted(type="message", text="a")
    wait = await viewer.answer(type="message", text="b")
    assert wait["type"] == "slowmode" and 0 < wait["waitMs"] <= 2000, wait
    for t in "xyz":
        await mod.accepted(type="message", text=t)
    r = await mod.accepted(type="modes", slow=0, followers=10)
    same((r["slow"], r["followers"]), (0, 10))
    await viewer.refused("followers_only", type="message", text="b")
    for c in (follower, sub, mod):
        await c.accepted(type="message", text="b")
    await mod.accepted(type="modes", followers=-1, subs=True)
    await follower.refused("subs_only", type="message", text="b")
    await sub.accepted(type="message", text="c")
    same((await Client.enter(s)).joined["subs"], True)
    await mod.accepted(type="modes", subs=False, emote=True)
    await viewer.refused("emote_only", type="message", text="b")
    await viewer.accepted(type="emote", emote="Kappa")
    await mod.accepted(type="modes", emote=False, unique=True)
    await viewer.refused("unique_only", type="message", text="c")
    await viewer.accepted(type="message", text="d")
    await mod.refused("field_missing", type="modes", slow=121)
    await mod.refused("field_missing", type="modes")
    p = await mod.accepted(type="pin", id=m["id"])
    same(p["message"]["text"], "a")
    same((await Client.enter(s)).joined["pin"]["id"], m["id"])
    await mod.accepted(type="unpin")
    assert "pin" not in (await Client.enter(s)).joined
    await mod.refused("message_unknown", type="pin", id=p["id"])
    for away in ({"type": "delete", "id": m["id"]}, {"type": "clear"}, {"type": "ban", "user": "3"}):
        if away["type"] != "delete":
            m = await sub.accepted(type="message", text="e" + away["type"])
        await mod.accepted(type="pin", id=m["id"])
        await mod.accepted(**away)
        assert "pin" not in (await Client.enter(s)).joined, away
    m = await viewer.accepted(type="message", text="to be answered")
    answer = await viewer.accepted(type="message", text="e", reply=m["id"])
    same(answer["reply"], m["id"])
    await viewer.refused("message_unknown", type="message", text="f", reply="1-1")
    await s.end()


async def held():
    """A suspect message is seen by moderators, who let it through or not; its author is told."""
    path = DIR + "/suspect"
    with open(path, "w") as f:
        f.write("*spoiler*\n")
    r = await Redis().start()
    both = [await Server.start("--hold", path, "--redis", "unix:" + r.socket) for _ in range(2)]
    for s in both:
        await s.event("redis.back")
    await held_on(*both)
    for s in both:
        await s.end()
    alone = await Server.start("--hold", path)
    await held_on(alone, alone)
    await alone.end()


async def held_on(a, b):
    """The author on one box, a moderator on each."""
    author, reader = await Client.enter(a, "1", "--name", "Zoë"), await Client.enter(b)
    here, there = await Client.enter(a, "8", "--role", "mod"), await Client.enter(b, "9", "--role", "mod")
    n = await author.refused("held", type="message", text="a SPOILER!", ref="r1")
    m = await there.get("held")
    same((m["id"], m["text"], m["user"], m["name"], m["why"]), (n["id"], "a SPOILER!", "1", "Zoë", "word"))
    same((await here.get("held"))["id"], m["id"])
    await author.refused("no_permission", type="approve", id=m["id"])
    # a moderator who comes later, by a token in the first frame, sees it too; nobody else does
    late = await Client.enter(b)
    await late.send(type="auth", token=token("7", "--role", "owner"))
    same((await late.get("held"))["id"], m["id"])
    newcomer = await Client.enter(a)
    done = await there.answer(type="approve", id=m["id"])
    said = await reader.get("message")
    same((done["type"], done["message"]), ("approve", said["id"]))
    same((said["text"], said["user"], said["name"], said["held"], said["by"], said["ref"]),
         ("a SPOILER!", "1", "Zoë", m["id"], "9", "r1"))
    assert "why" not in said, said
    for c in (author, here, late, newcomer):
        same(await c.get("message"), said)
    assert said in there.seen or await there.get("message") == said
    await here.refused("message_unknown", type="approve", id=m["id"])
    await here.refused("message_unknown", type="deny", id=m["id"])
    # denied: the author learns it, the room does not
    n = await author.refused("held", type="message", text="spoilers again")
    same((await here.get("held"))["id"], n["id"])
    d = await here.accepted(type="deny", id=n["id"])
    same((d["target"], d["user"], d["by"]), (n["id"], "1", "8"))
    same((await there.get("deny"))["target"], n["id"])
    no = await author.get("notice")
    same((no["notice"], no["id"]), ("held_denied", n["id"]))
    # links, for who may not write them; no more than three of one person
    await here.accepted(type="modes", links="hold")
    for k in range(3):
        await author.refused("held", type="message", text="see example.com/%d" % k)
        same((await there.get("held"))["why"], "link")
        await here.get("held")  # the author's box counts what it has heard of
    await author.refused("busy", type="message", text="see example.com/x")
    await there.accepted(type="message", text="moderators may: example.com")
    ban = await here.accepted(type="ban", user="1")
    await there.get("ban")
    held = [m["id"] for m in here.seen if m["type"] == "held"]
    await there.refused("message_unknown", type="approve", id=held[-1])
    await here.accepted(type="unban", user="1")
    m = await here.accepted(type="modes", links="mods")
    same(m["links"], "mods")
    await author.refused("links_refused", type="message", text="see example.com")
    await here.accepted(type="modes", links="subs")
    sub = await Client.enter(b, "3", "--tier", "1")
    same(sub.joined["links"], "subs")
    await sub.accepted(type="message", text="see example.com")
    await here.accepted(type="message", text="the end")
    while (m := await reader.next()).get("text") != "the end":
        assert m["type"] not in ("held", "deny"), m
    # who resumes: a viewer without them, a moderator with those that wait
    await author.refused("links_refused", type="message", text="see example.com")
    back = await Client.enter(a, offset=ban["id"])
    same(await back.texts(2), ["see example.com", "the end"])
    assert not [m for m in back.seen if m["type"] in ("held", "deny")], back.seen
    for c in (author, reader, here, there, late, newcomer, sub, back):
        await c.ws.close()


async def emotes():
    """Emotes within a text are named with their places, in code points; a list says which there are."""
    path = DIR + "/emotes"
    with open(path, "w") as f:
        f.write("Kappa /player/emotes/kappa.png\n@bob Only\n")
    s = await Server.start("--emotes", path)
    c = await Client.enter(s, "1")
    m = await c.accepted(type="message", text="h\u00e9 \U0001f600 Kappa, Kappa Only")
    same(m["emotes"], [{"emote": "Kappa", "from": 12, "to": 17, "url": "/player/emotes/kappa.png"}])
    same(m["text"][12:17], "Kappa")  # as Python counts
    same((await c.accepted(type="emote", emote="Kappa"))["emotes"][0]["url"], "/player/emotes/kappa.png")
    await c.refused("emote_unknown", type="emote", emote="Only")
    assert "emotes" not in await c.accepted(type="message", text="none")
    with open(path, "w") as f:
        f.write("none\n")
    s.process.send_signal(signal.SIGHUP)
    for n in range(100):
        if "emotes" in await c.accepted(type="message", text="none"):
            break
        await asyncio.sleep(0.3)
    else:
        raise AssertionError("the new emotes are not used")
    await s.end()


async def service():
    """What a back end tells the room: subscriptions, gifts, raids."""
    s = await Server.start()
    backend, reader = await Client.enter(s, "billing", "--role", "service"), await Client.enter(s)
    await (await Client.enter(s, "1", "--role", "owner")).refused("no_permission", type="sub", user="1")
    await backend.accepted(type="sub", user="1", name="Zoë", tier=2)
    await backend.accepted(type="gift", user="1", tier=1, count=50)
    await backend.accepted(type="raid", user="bob", viewers=1200)
    same((await reader.get("gift"))["count"], 50)
    same((await reader.get("raid"))["viewers"], 1200)
    await backend.refused("field_missing", type="gift", user="1", count=100000)
    await s.end()


async def boxes():
    """Two boxes, one Redis: one room, one order, one limit, one history, one set of bans."""
    r = await Redis().start()
    a, b = [await Server.start("--redis", "unix:" + r.socket, "--history", "10") for _ in range(2)]
    for s in (a, b):
        await s.event("redis.back")
    one, two = await Client.enter(a, "1"), await Client.enter(b, "1")
    m = await one.accepted(type="message", text="hello")
    same(await two.get("message"), m)
    for n in range(19):
        await (one, two)[n % 2].accepted(type="message", text="m%d" % n)
    wait = await one.answer(type="message", text="x")
    assert wait["type"] == "slowmode" and 0 < wait["waitMs"] <= 5000, wait
    late = await Client.enter(b)
    same(await late.texts(10), ["m%d" % n for n in range(9, 19)])
    mod = await Client.enter(a, "9", "--role", "mod")
    # a ban on one silences on the other, and what was said is gone on both, and in Redis
    began = time.monotonic()
    ban = await mod.accepted(type="ban", user="1", reason="no")
    await two.get("ban")
    assert time.monotonic() - began < 1
    await two.refused("banned", type="message", text="x")
    await one.refused("banned", type="message", text="x")
    other = await Client.enter(b, "2", offset=m["id"])
    same(other.joined["recovered"], True)
    same((await other.next())["type"], "ban")
    # a message that is deleted on one is gone from the history of both, and for who resumes
    gone = await other.accepted(type="message", text="take me away")
    await mod.get("message")
    began = time.monotonic()
    await mod.accepted(type="delete", id=gone["id"])
    same((await other.get("delete"))["target"], gone["id"])
    assert time.monotonic() - began < 1
    for s in (a, b):
        for query in ({}, {"offset": ban["id"]}):
            resumed = await Client.enter(s, **query)
            await resumed.refused("login_required", type="message", text="x")  # all that is known came before it
            assert not [m for m in resumed.seen if m.get("text") == "take me away"], resumed.seen
            same([m["type"] for m in resumed.seen if m["type"] == "delete"], ["delete"] if query else [])
            await resumed.ws.close()
    assert "take me away" not in r.call("xrange", "stream_chat:alice", "-", "+")
    p = await other.accepted(type="message", text="pin me")
    await mod.get("message")
    await mod.accepted(type="pin", id=p["id"])
    await mod.accepted(type="modes", slow=30, followers=-1)
    await other.get("modes")
    d = await other.answer(type="message", text="too soon")
    assert d["type"] == "slowmode" and 5000 < d["waitMs"] <= 30000, d
    # a box that was never in this room knows all of it
    c = await Server.start("--redis", "unix:" + r.socket)
    new = await Client.enter(c, "1")
    same((new.joined["slow"], new.joined["pin"]["text"]), (30, "pin me"))
    same(await new.texts(1), ["pin me"])
    await new.refused("banned", type="message", text="x")
    back = await Client.enter(c, offset=ban["id"])
    same(back.joined["recovered"], True)
    same([(await back.next())["type"] for _ in range(4)], ["delete", "message", "pin", "modes"])
    await mod.accepted(type="unban", user="1")
    await new.get("unban")
    await mod.accepted(type="delete", id=p["id"])
    await new.get("delete")
    assert "pin me" not in r.call("xrange", "stream_chat:alice", "-", "+") + r.call("hgetall", "chat_state:alice")
    d = await Server.start("--redis", "unix:" + r.socket)
    fresh = await Client.enter(d)
    assert "pin" not in fresh.joined, fresh.joined
    said = await mod.accepted(type="message", text="first seen")
    same(await fresh.texts(1), ["first seen"])
    same(r.call("xlen", "stream_chat:alice"), "6")
    for away in ({"type": "ban", "user": "9"}, {"type": "clear"}):
        await mod.accepted(type="pin", id=said["id"])
        assert "first seen" in r.call("hget", "chat_state:alice", "pin")
        await mod.accepted(**away)
        assert "first seen" not in r.call("xrange", "stream_chat:alice", "-", "+")
        same(r.call("hexists", "chat_state:alice", "pin"), "0")
        if away["type"] == "ban":
            said = await mod.accepted(type="message", text="first seen")
    # viewers of all boxes
    while (await late.get("viewers"))["count"] < 8:
        pass
    for s in (a, b, c, d):
        await s.end()


async def outage():
    """Redis away: reading goes on, writing is refused; back: nothing is lost, doubled or reordered."""
    r = await Redis("--appendonly", "yes", "--appendfsync", "always").start()
    a, b = [await Server.start("--redis", "unix:" + r.socket, "-q") for _ in range(2)]
    for s in (a, b):
        await s.event("redis.back")
    writer = await Client.enter(a, "1", "--role", "service")
    readers = [await Client.enter(s) for s in (a, b)]
    sent = []

    async def say(n):
        text = "m%d" % n
        while True:
            m = await writer.answer(type="message", text=text, ref="ref%d" % n)
            if m["type"] == "message" or m["notice"] == "duplicate":
                break
            same(m["notice"], "unavailable")
            await asyncio.sleep(0.05)
        sent.append(text)

    for n in range(20):
        await say(n)
    await r.end()
    for s in (a, b):
        await s.event("redis.away")
    await writer.refused("unavailable", type="message", text="lost")
    cut_off = await Client.enter(b)  # in the meantime there is what the box has
    same((await cut_off.texts(20))[-1], "m19")
    talk = asyncio.ensure_future(say(20))
    await r.start()
    await talk
    # one box dies in mid-talk: its reader goes on at the other
    for n in range(21, 40):
        await say(n)
    last = None
    while last != "m30":
        m = await readers[1].get("message")
        last = m["text"]
    b.process.kill()
    moved = await Client.enter(a, offset=m["id"])
    same(moved.joined["recovered"], True)
    r.call("client", "kill", "type", "pubsub")  # its subscription is lost, and what it missed is filled in
    for n in range(40, 60):
        await say(n)
    got = [x["text"] for x in readers[1].seen if x["type"] == "message"] + await moved.texts(29)
    same(got, sent)
    same(await readers[0].texts(60), sent)
    # a Redis that has forgotten everything is told of honestly
    old = m["id"]
    r.call("flushall")
    c = await Server.start("--redis", "unix:" + r.socket)
    same((await Client.enter(c, offset=old)).joined["recovered"], False)
    for s in (a, c):
        await s.end()


async def sequence():
    """Writers and readers on two boxes; Redis killed and started again, then one box killed, all in mid-talk.

    Every reader has every number of every writer once and in order, and all readers have one order.
    """
    r = await Redis("--appendonly", "yes", "--appendfsync", "always").start()
    servers = [await Server.start("--redis", "unix:" + r.socket, "-q") for _ in range(2)]
    for s in servers:
        await s.event("redis.back")
    count = 250
    heard = {}  # of each reader: all numbers

    async def anywhere(n, *who, **query):
        """At the n-th box, or the one that is left."""
        while True:
            for s in servers[n:] + servers[:n]:
                try:
                    return await Client.enter(s, *who, **query)
                except (OSError, asyncio.IncompleteReadError, websockets.WebSocketException):
                    await asyncio.sleep(0.05)

    async def write(n):
        c = await anywhere(n, "w%d" % n, "--role", "service")
        for k in range(count):
            while True:
                try:
                    m = await c.answer(type="message", text="%d %d" % (n, k), ref="w%d-%d" % (n, k))
                except websockets.ConnectionClosed:
                    c = await anywhere(n, "w%d" % n, "--role", "service")
                    continue
                if m["type"] == "message" or m["notice"] == "duplicate":
                    break
                same(m["notice"], "unavailable")
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.005)

    async def read(n):
        mine = []
        query = {}
        while len(mine) < 2 * count:
            c = await anywhere(n % 2, **query)
            heard[n] = mine  # it is there: what it hears from here on counts
            if query:
                same(c.joined["recovered"], True)
            try:
                while len(mine) < 2 * count:
                    m = await c.get("message")
                    query = {"offset": m["id"]}
                    mine.append(m["text"])
            except websockets.ConnectionClosed:
                pass

    async def reached(share):
        while min([len(h) for h in heard.values()] or [0]) < share * 2 * count:
            await asyncio.sleep(0.02)

    readers = [asyncio.ensure_future(read(n)) for n in range(10)]
    while len(heard) < 10:
        await asyncio.sleep(0.02)
    writers = [asyncio.ensure_future(write(n)) for n in range(2)]
    await reached(0.25)
    r.process.kill()
    r.process.wait()
    for s in servers:
        await s.event("redis.away")
    await r.start()
    await reached(0.6)
    servers[1].process.kill()
    await asyncio.wait_for(asyncio.gather(*writers, *readers), 3 * PATIENCE)
    for n, h in heard.items():
        same(h, heard[0])
    for n in range(2):
        same([t for t in heard[0] if t.startswith("%d " % n)], ["%d %d" % (n, k) for k in range(count)])
    await servers[0].end()


async def refusing():
    """A Redis that answers, but only with errors, is away until it does not; a password is shown."""
    r = await Redis().start()
    r.call("config", "set", "requirepass", "hush")
    with open(DIR + "/hush", "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write("hush\n")
    a = await Server.start("--redis", "unix:" + r.socket, "-q")
    b = await Server.start("--redis", "unix:" + r.socket, "-q", "--redis-password-file", DIR + "/hush")
    await b.event("redis.back")
    await a.event("redis.away")
    there = await Client.enter(b, "1")
    await there.accepted(type="message", text="one")
    lost = await Client.enter(a, "2")
    await lost.refused("unavailable", type="message", text="x")
    r.call("-a", "hush", "config", "set", "requirepass", "")
    same((await lost.get("message"))["text"], "one")
    await lost.accepted(type="message", text="two")
    same((await there.get("message"))["text"], "two")
    for s in (a, b):
        await s.end()


async def notify():
    """/notify: what lv-notify tells a follower, now and in the meantime; only to himself."""
    r = await Redis().start()
    s = await Server.start("--redis", "unix:" + r.socket, "-q")
    await s.event("redis.back")

    def began(stream):  # as lv-notify tells it
        text = json.dumps({"type": "stream_started", "stream": stream})
        r.call("lpush", "inbox:1", text)
        r.call("publish", "notify:1", text)

    async def follow(user, first_frame=False):
        url = "ws://127.0.0.1:%d/notify" % s.port
        ws = await websockets.connect(url if first_frame else url + "?token=" + token(user))
        if first_frame:
            await ws.send(json.dumps({"type": "auth", "token": token(user)}))
        same(json.loads(await ws.recv())["type"], "welcome")
        inbox = json.loads(await asyncio.wait_for(ws.recv(), PATIENCE))
        same(inbox["type"], "inbox")
        return ws, [m["stream"] for m in inbox["messages"]]

    began("before")
    began("later")
    one, missed = await follow("1")
    same(missed, ["before", "later"])
    two, none = await follow("2", first_frame=True)
    same(none, [])
    again, missed = await follow("1", first_frame=True)
    began("now")
    for ws in (one, again):
        same(json.loads(await asyncio.wait_for(ws.recv(), PATIENCE))["stream"], "now")
    await one.send(json.dumps({"type": "message", "text": "x"}))
    same(json.loads(await one.recv())["notice"], "unknown_type")
    await again.close()
    # a page that is loaded anew leaves and comes back at once: it hears on
    for _ in range(10):
        await two.close()
        two, none = await follow("2")
    r.call("publish", "notify:2", json.dumps({"type": "stream_started", "stream": "anew"}))
    same(json.loads(await asyncio.wait_for(two.recv(), PATIENCE))["stream"], "anew")
    # over a restart of Redis
    await r.end()
    await s.event("redis.away")
    await r.start()
    await s.event("redis.back", lambda e: len(s.events("redis.back")) > 1)
    while r.call("pubsub", "numsub", "notify:1") != "notify:1\n1":
        await asyncio.sleep(0.05)
    began("after")
    same(json.loads(await asyncio.wait_for(one.recv(), PATIENCE))["stream"], "after")
    assert not two.messages, two.messages
    silent = await websockets.connect("ws://127.0.0.1:%d/notify" % s.port)
    await asyncio.wait_for(silent.wait_closed(), PATIENCE)
    same(silent.close_code, 4401)
    await s.end()
    alone = await Server.start()
    await refused_with(404, "ws://127.0.0.1:%d/notify" % alone.port)
    await alone.end()


async def words():
    """Blocked words are refused, in their rooms; not to moderators; SIGHUP reads them again."""
    path = DIR + "/words"
    with open(path, "w") as f:
        f.write("# not here\nbad\n@bob worse*\n")
    s = await Server.start("--blocked", path, "--window-ms", "0")
    c, mod = await Client.enter(s, "1"), await Client.enter(s, "2", "--role", "mod")
    await c.refused("blocked_word", type="message", text="this is BAD!")
    await c.accepted(type="message", text="a badge, and worse")
    await mod.accepted(type="message", text="bad")
    with open(path, "w") as f:
        f.write("sad\n")
    s.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        if (await c.answer(type="message", text="so sad"))["type"] == "notice":
            break
    else:
        raise AssertionError("the new words are not used")
    await c.accepted(type="message", text="not bad")
    await s.end()


async def play(scenes):
    """All at once: most of them wait for clocks."""
    for scene, end in zip(scenes, await asyncio.gather(*[globals()[s]() for s in scenes], return_exceptions=True)):
        if end:
            raise AssertionError(scene + ": " + str(end)[-2000:]) from end


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))
    new_secret("a secret of thirty-two bytes, no less")
    asyncio.run(play(sys.argv[1:]))
