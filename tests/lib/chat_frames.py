#!/usr/bin/python3
"""Frames as no client makes them, thrown at a running lv-chatd, which has to be there afterwards.

chat_frames.py COUNT [SEED]: messages of the corpus, mutated, in frames whose opcodes, lengths, masks and pieces
are wrong now and then.  Fails when the process ends (a sanitizer's report ends it), or does not answer any more.
"""
import asyncio
import json
import os
import random
import signal
import socket
import sys
import urllib.request

from chat import PATIENCE, Client, Server, new_secret, same, token

CORPUS = os.path.join(os.path.dirname(__file__), "../fuzz/corpus/chat")
AT_ONCE = 32
PIECES = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0", b'"', b"\\u0000", b"\\ud800",
          b"9" * 400, b"[" * 300, b'{"a":', b"-1e999", b"null", "\u202e".encode(), "e\u0301".encode() * 50, b" " * 4000)
HEAD = ("GET /chat?stream=alice%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def said():
    """What the corpus has: lines, without the byte that says who speaks."""
    lines = []
    for name in ("talk", "modes", "held"):
        with open(os.path.join(CORPUS, name), "rb") as f:
            lines += [line[1:].rstrip(b"\n") for line in f if line[1:2] == b"{"]
    assert lines
    return lines


class Thrower:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.lines = said()
        self.frames = 0

    def text(self):
        ref = b'"ref":"%d"' % self.r.randrange(10000)  # seldom one that there was
        b = bytearray(self.r.choice(self.lines).replace(b'"ref":"a"', ref))
        for _ in range(self.r.choice((0, 0, 0, 1, 2, 5))):
            at = self.r.randrange(len(b) + 1)
            to = min(len(b), at + self.r.randrange(12))
            what = self.r.randrange(5)
            if what == 0:
                b[at:to] = b""
            elif what == 1:
                b[at:at] = self.r.choice(PIECES)
            elif what == 2:
                b[at:to] = bytes(c & 0x7f for c in self.r.randbytes(to - at))
            elif what == 3:
                b[at:at] = b[at:to]
            else:
                b[at:] = self.r.choice(self.lines)[at:]
        return bytes(b)

    def frame(self, opcode, payload, fin=0x80):
        """As it should be, but for one in thirty: the server ends a connection at the first fault."""
        self.frames += 1
        r, n, wrong = self.r, len(payload), self.r.randrange(210)
        first = fin | opcode
        if wrong == 0:
            first = r.randrange(256)
        elif wrong == 1:
            n = max(0, n + r.choice((-1, 1, 3, 200)))
        elif wrong == 2:
            n = r.choice((1 << 16, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1))
        form = 0 if n < 126 else 2 if n < 1 << 16 else 8
        if wrong == 3:  # longer than it need be
            form = 8 if form else 2
        mask = 0 if wrong == 4 else 0x80
        length = bytes([mask | n]) if not form else bytes([mask | (126 if form == 2 else 127)]) + n.to_bytes(form, "big")
        key = r.randbytes(4)
        if not mask:
            return bytes([first]) + length + payload
        size = len(payload)
        pad = (key * (size // 4 + 1))[:size]
        body = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        whole = bytes([first]) + length + key + body
        if wrong == 5:
            whole = whole[:r.randrange(len(whole))]
        elif wrong == 6:
            at = r.randrange(len(whole))
            whole = whole[:at] + r.randbytes(1) + whole[at + 1:]
        return whole

    def control(self):
        kind = self.r.choice((8, 9, 9, 9, 10, 10))
        size = self.r.choice((0, 1, 2, 4, 125, 125, 126, 300) if self.r.randrange(8) == 0 else (0, 2, 4, 125))
        return self.frame(kind, self.r.randbytes(size), self.r.choice((0x80,) * 20 + (0,)))

    def message(self):
        """Whole, or in pieces with something between them."""
        text = self.text()
        if self.r.randrange(4):
            return self.frame(self.r.choice((1,) * 150 + (0, 2)), text)
        out, opcode = b"", 1
        while self.r.randrange(3):
            cut = self.r.randrange(len(text) + 1)
            out += self.frame(opcode, text[:cut], 0)
            text, opcode = text[cut:], 0
            if self.r.randrange(4) == 0:
                out += self.frame(9, self.r.randbytes(4))
        return out + self.frame(opcode, text)

    def stream(self):
        return b"".join(self.control() if self.r.randrange(12) == 0 else self.message() for _ in range(30))


def throw(port, heads, thrower):
    """Connections at once, all that they say, in two writes; then each until the server has ended it."""
    socks = []
    for _ in range(AT_ONCE):
        s = socket.create_connection(("127.0.0.1", port), PATIENCE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = thrower.stream()
        s.sendall(thrower.r.choice(heads))
        assert s.recv(12).startswith(b"HTTP/1.1 101"), "not let in"
        socks.append((s, stream, thrower.r.randrange(len(stream))))
    for part in (lambda cut: slice(cut), lambda cut: slice(cut, None)):
        for s, stream, cut in socks:
            try:
                s.sendall(stream[part(cut)])
            except ConnectionError:
                pass
    for s, _, _ in socks:
        try:
            s.shutdown(socket.SHUT_WR)
            while s.recv(1 << 16):
                pass
        except TimeoutError:
            raise AssertionError("the server leaves a connection as it is") from None
        except OSError:
            pass
        s.close()


async def main(count, seed):
    server = await Server.start("--per-address", "1000", "--per-user", "1000", "--window-ms", "0")
    heads = [(HEAD % "").encode()]
    heads += [(HEAD % ("&token=" + token(str(n), "--role", role))).encode()
              for n, role in enumerate(("viewer", "mod", "owner", "service", "service"))]
    thrower = Thrower(seed)
    while thrower.frames < count:
        try:
            throw(server.port, heads, thrower)
        except OSError as e:
            if server.process.poll() is None:
                raise AssertionError("does not answer: %s" % e) from None
        assert server.process.poll() is None, "lv-chatd ended with %d (seed %d, within %d frames)" % (
            server.process.returncode, seed, thrower.frames)
    one = await Client.enter(server, "one", "--role", "service", stream="alice")
    m = await one.accepted(type="message", text="all is well", ref="the last")
    same((await Client.enter(server, offset=m["id"])).joined["recovered"], True)
    with urllib.request.urlopen("http://127.0.0.1:%d/healthz" % server.port, timeout=PATIENCE) as page:
        health = json.load(page)
    same(health["status"], "ok")
    await server.end()
    print("%d frames, seed %d; %d messages were taken" % (thrower.frames, seed, health["messages"]))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("out of time"))
    new_secret("a secret of thirty-two bytes, no less")
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
