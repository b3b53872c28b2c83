"""RTMP as bytes: what a publisher says and hears, every field in the caller's hand.

Written from the specification (RTMP 1.0, AMF 0), not from lib/: the two do not share mistakes.
Standard library only.  A test is a script on standard input: see interop.bats.
"""
import atexit
import hashlib
import hmac
import os
import socket
import struct
import time

UNDEFINED = object()


def stream(n=0):
    """The n-th stream that is this test's own; its key is the same word after "key-"."""
    return f"t{os.environ['BATS_TEST_NUMBER']}x{n}"


def key(n=0):
    return "key-" + stream(n)


class Raw(bytes):
    """AMF as it is: for values that no writer would write."""


def amf_string(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(s)) + s


def amf(*values):
    out = b""
    for v in values:
        if isinstance(v, Raw):
            out += v
        elif isinstance(v, bool):
            out += struct.pack(">BB", 1, v)
        elif isinstance(v, (int, float)):
            out += struct.pack(">Bd", 0, v)
        elif isinstance(v, (str, bytes)):
            out += b"\2" + amf_string(v)
        elif v is None:
            out += b"\5"
        elif v is UNDEFINED:
            out += b"\6"
        elif isinstance(v, dict):
            out += b"\3" + b"".join(amf_string(k) + amf(m) for k, m in v.items()) + b"\0\0\x09"
        elif isinstance(v, list):
            out += struct.pack(">BI", 10, len(v)) + amf(*v)
        else:
            raise TypeError(v)
    return out


def unamf(data):
    """All values of a command, as Python has them."""
    values = []
    while data:
        v, data = unamf_one(data)
        values.append(v)
    return values


def unamf_one(d):
    kind, d = d[0], d[1:]
    if kind == 0:
        return struct.unpack(">d", d[:8])[0], d[8:]
    if kind == 1:
        return bool(d[0]), d[1:]
    if kind == 2:
        n = struct.unpack(">H", d[:2])[0]
        return d[2:2 + n].decode(), d[2 + n:]
    if kind in (3, 8):
        out = {}
        d = d if kind == 3 else d[4:]
        while d[:3] != b"\0\0\x09":
            n = struct.unpack(">H", d[:2])[0]
            key = d[2:2 + n].decode()
            out[key], d = unamf_one(d[2 + n:])
        return out, d[3:]
    return {5: None, 6: UNDEFINED}[kind], d


def basic(fmt, csid, form=None):
    """5.3.1.1: the chunk stream in 1, 2 or 3 bytes, the shortest unless form says how many."""
    form = form or (1 if csid < 64 else 2 if csid < 320 else 3)
    if form == 1:
        return bytes([fmt << 6 | csid])
    if form == 2:
        return bytes([fmt << 6, csid - 64])
    return bytes([fmt << 6 | 1, (csid - 64) & 255, (csid - 64) >> 8])


def header(fmt, csid, time=0, size=0, kind=0, msid=0, form=None, extended=None):
    """One chunk's header; extended None: where the time needs it."""
    out = basic(fmt, csid, form)
    if fmt < 3:
        out += struct.pack(">I", min(time, 0xffffff))[1:]
    if fmt < 2:
        out += struct.pack(">I", size)[1:] + bytes([kind])
    if fmt == 0:
        out += struct.pack("<I", msid)
    if extended is None:
        extended = time >= 0xffffff
    return out + (struct.pack(">I", time) if extended else b"")


def message(kind, body, time=0, csid=3, msid=0, fmt=0, chunk=128, form=None, repeat=True):
    """A message in chunks; repeat False leaves the extended time out of those that go on."""
    out = header(fmt, csid, time, len(body), kind, msid, form) + body[:chunk]
    for at in range(chunk, len(body), chunk):
        out += basic(3, csid, form)
        out += struct.pack(">I", time) if time >= 0xffffff and repeat else b""
        out += body[at:at + chunk]
    return out


def command(*values, kind=20, csid=3, msid=0, **how):
    return message(kind, amf(*values), csid=csid, msid=msid, **how)


def set_chunk(n):
    return message(1, struct.pack(">I", n), csid=2)


PLAYER = b"Genuine Adobe Flash Player 001"
SERVER = b"Genuine Adobe Flash Media Server 001"
COMMON = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")


def digest_at(c, base):
    return base + 4 + sum(c[base:base + 4]) % 728


def sign(c, base, key):
    at = digest_at(c, base)
    return hmac.new(key, c[:at] + c[at + 32:], hashlib.sha256).digest()


def signed_c1(base):
    c1 = bytearray(b"\0\0\0\0\x0a\0\x2d\2" + os.urandom(1528))
    at = digest_at(c1, base)
    c1[at:at + 32] = sign(bytes(c1), base, PLAYER)
    return bytes(c1)


peers = []


@atexit.register
def record():
    """With RTMP_RECORD=DIR what each peer said is kept there, as tests/fuzz/fuzz_rtmp.c reads it."""
    to = os.environ.get("RTMP_RECORD")
    for p in peers if to else []:
        whole = p.said[:1] == b"\3" and len(p.said) > 3073
        flags = (1 if whole else 0) | (8 if b"secure?" in p.said else 0)
        data = bytes([flags]) + (p.said[3073:] if whole else p.said)
        open(os.path.join(to, hashlib.sha256(data).hexdigest()[:16]), "wb").write(data)


class Peer:
    """One connection."""

    def __init__(self, port=None, seconds=15, source="127.0.0.1"):
        port = int(port or os.environ["PORT"])
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=seconds, source_address=(source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got, self.read, self.chunk, self.said = b"", 0, 128, b""
        peers.append(self)
        self.streams, self.csid = {}, 0  # of what was heard last

    def send(self, data, step=None):
        """All of it, or in pieces of step bytes, each a segment of its own."""
        self.said += data
        step = step or len(data)
        for at in range(0, len(data), step):
            self.sock.sendall(data[at:at + step])

    def take(self, n):
        while len(self.got) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError("the server closed the connection")
            self.got += more
            self.read += len(more)
        out, self.got = self.got[:n], self.got[n:]
        return out

    def shake(self, c1=None, c2=None, step=None):
        """The handshake; gives C1, S1, S2."""
        c1 = c1 or b"\0" * 8 + os.urandom(1528)
        self.send(b"\3" + c1, step)
        assert self.take(1) == b"\3"
        s1, s2 = self.take(1536), self.take(1536)
        self.send(c2 if c2 is not None else s1, step)
        return c1, s1, s2

    def hear(self):
        """The next message: type, message stream, body."""
        while True:
            first = self.take(1)[0]
            fmt, csid = first >> 6, first & 63
            assert csid > 1, "the server's chunk streams have one byte"
            h = self.take((11, 7, 3, 0)[fmt])
            s = self.streams.setdefault(csid, {"body": b""})
            if fmt < 2:
                s["size"], s["kind"] = int.from_bytes(h[3:6], "big"), h[6]
            if fmt == 0:
                s["msid"] = int.from_bytes(h[7:11], "little")
            s["body"] += self.take(min(self.chunk, s["size"] - len(s["body"])))
            if len(s["body"]) == s["size"]:
                body, s["body"] = s["body"], b""
                self.csid = csid
                if s["kind"] == 1:
                    self.chunk = int.from_bytes(body, "big")
                return s["kind"], s["msid"], body

    def expect(self, want):
        """Messages up to one of this type (a number) or command (its name); gives its body or values."""
        while True:
            kind, _, body = self.hear()
            if kind == want:
                return body
            if kind == 20 and unamf(body)[0] == want:
                return unamf(body)

    def status(self, code):
        """Messages up to an onStatus, which has to have this code; gives its description."""
        info = self.expect("onStatus")[3]
        assert info["code"] == code, info
        return info["description"]

    def ended(self):
        """True once the server has closed the connection."""
        try:
            while True:
                self.take(1)
        except (EOFError, ConnectionResetError):
            return True

    def publish(self, name, app="live", more=b"", step=None, **connect):
        """Everything up to Publish.Start, simple and straight."""
        self.shake(step=step)
        self.send(command("connect", 1, {"app": app, "tcUrl": "rtmp://h/" + app, **connect}) +
                  command("createStream", 2, None) + command("publish", 3, None, name, "live", msid=1) + more, step)
        return self.status("NetStream.Publish.Start")

    def media(self, tags, **how):
        """(type, time, body) in turn, as one string of bytes, audio and video on their own chunk streams."""
        return b"".join(message(k, b, time=t, csid={8: 4, 9: 6}.get(k, 5), msid=1, **how) for k, t, b in tags)

    def close(self):
        self.sock.close()


def sound(n, size=40):
    """A body that tells itself apart: AAC, raw, its number, and filling."""
    return b"\xaf\1" + struct.pack(">I", n) + bytes((n + i) & 255 for i in range(size - 6))


def flv(path):
    """The tags of a file: (type, time, body); without marks, and without what the keeper repeats."""
    d = open(path, "rb").read()
    at, tags = 13, []
    while at + 11 <= len(d):
        size = int.from_bytes(d[at + 1:at + 4], "big")
        if at + size + 15 > len(d):
            break  # it is still being written
        t = int.from_bytes(d[at + 4:at + 7], "big") | d[at + 7] << 24
        body = d[at + 11:at + 11 + size]
        if not (d[at] == 18 and body[3:11] == b"onLvMark"):
            tags.append((d[at], t, body))
        at += size + 15
    return tags


def kept(n, which=0, kinds=(8, 9), seconds=15):
    """Waits until the program of stream(which) has n tags of these kinds, and gives them."""
    path = stream(which) + ".flv"
    end = time.monotonic() + seconds
    while True:
        tags = [t for t in flv(path) if t[0] in kinds] if os.path.exists(path) else []
        if len(tags) >= n:
            return tags
        assert time.monotonic() < end, f"{len(tags)} tags of {n} in {path}"
        time.sleep(0.02)


def bodies(tags):
    return [b for _, _, b in tags]


def times(tags):
    return [t - tags[0][1] for _, t, _ in tags]
