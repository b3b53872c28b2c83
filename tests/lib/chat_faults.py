#!/usr/bin/python3
"""The faults that a chat written quickly on ws and redis has, each looked for in a server of its own.

chat_faults.py ours: prints nothing and ends with 0 if lv-chatd has none of them.
chat_faults.py FOLDER: the names of those that the server.mjs in FOLDER (tests/bench/chat-sketch) has.
"""
import asyncio
import atexit
import json
import socket
import subprocess
import sys

import websockets

import chat
from chat import PATIENCE, Redis

SOON = PATIENCE  # what has not come after so many seconds does not come


class Ours:
    @classmethod
    async def start(cls, redis):
        self = cls()
        self.server = await chat.Server.start("--redis", "unix:" + redis.socket, "-q")
        self.port, self.process = self.server.port, self.server.process
        await self.server.event("redis.back")
        return self

    def url(self, user=None, *options):
        return self.server.url(**({"token": chat.token(user, *options)} if user else {}))


class Sketch:
    """Whoever connects is who he says he is."""
    folder = None

    @classmethod
    async def start(cls, redis):
        self = cls()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(["node", cls.folder + "/server.mjs", str(self.port), redis.socket],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        await asyncio.to_thread(self.process.stdout.readline)
        return self

    def url(self, *_):
        return "ws://127.0.0.1:%d/chat?stream=alice" % self.port


async def enter(server, user=None, *options):
    ws = await websockets.connect(server.url(user, *options), ping_interval=None, max_queue=None)
    await hear(ws, "joined")
    return ws


async def say(ws, user, text):
    await ws.send(json.dumps({"type": "message", "userId": user, "text": text}))


async def hear(ws, kind="message"):
    while (m := json.loads(await asyncio.wait_for(ws.recv(), SOON)))["type"] != kind:
        pass
    return m


async def goes_on(server):
    """It did not end, and a newcomer can talk and hears himself."""
    await asyncio.sleep(0.5)
    ws = await enter(server, "77")
    await say(ws, "77", "still there")
    while (await hear(ws))["text"] != "still there":
        pass


async def one_leaves(server, redis):
    """Who leaves takes the others' messages away."""
    a, b, c, writer = [await enter(server) for _ in range(3)] + [await enter(server, "1")]
    await a.close()
    await asyncio.sleep(0.3)
    await say(writer, "1", "hello")
    for ws in (b, c):
        assert (await hear(ws))["text"] == "hello"


async def wrong_type(server, redis):
    """A message without its fields ends the process."""
    await (await enter(server, "1")).send('{"n":5}')
    await goes_on(server)


async def no_json(server, redis):
    """Text that is no JSON ends the process."""
    await (await enter(server, "1")).send("not json")
    await goes_on(server)


async def unmasked(server, redis):
    """A frame that is not masked ends the process."""
    r, w = await asyncio.open_connection("127.0.0.1", server.port)
    w.write(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    await r.readuntil(b"\r\n\r\n")
    w.write(b"\x81\x02{}")
    await asyncio.sleep(0.3)
    w.close()
    await goes_on(server)


async def redis_drops(server, redis):
    """Redis ends its connections, and that ends the process."""
    for kind in ("normal", "pubsub"):
        redis.call("client", "kill", "type", kind, "skipme", "yes")
    for _ in range(20):
        await asyncio.sleep(0.2)
        assert server.process.poll() is None, "it ended"
    await goes_on(server)


async def claimed_id(server, redis):
    """Who claims another id each time is not limited, and who claims a victim's locks him out."""
    ws = await enter(server, "1")
    for n in range(30):
        await say(ws, "u%d" % n, "x")
    await hear(ws, "slowmode")
    victim = await enter(server, "2")
    for n in range(25):
        await say(ws, "2", "x")
    await asyncio.sleep(0.3)
    await say(victim, "2", "me")
    while (await hear(victim))["text"] != "me":
        pass


async def order(server, redis):
    """The first message of a window is overtaken by those behind it."""
    ws = await enter(server, "1")
    for n in range(18):
        await say(ws, "1", str(n))
    got = [(await hear(ws))["text"] for _ in range(18)]
    assert got == [str(n) for n in range(18)], got


async def stalled_reader(server, redis):
    """Who reads nothing is kept, and all that he should have read with him."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", server.port))
    sock.sendall(b"GET /chat?stream=alice HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    ws = await enter(server, "1", "--role", "service")
    for n in range(2000):
        await say(ws, "u%d" % n, "%d " % n + "\U0001f600" * 450)
        if n % 20 == 0:
            await asyncio.sleep(0)
    while (await hear(ws))["text"].split(" ")[0] != "1999":
        pass
    sock.settimeout(SOON)
    while await asyncio.to_thread(sock.recv, 1 << 20):
        pass


async def true_wait(server, redis):
    """The wait that is told is not the true one, and a message has no id to go on from."""
    ws = await enter(server, "1")
    for n in range(20):
        await say(ws, "1", "x")
    for n in range(20):
        assert "id" in await hear(ws)
    await asyncio.sleep(1.5)
    await say(ws, "1", "x")
    assert (await hear(ws, "slowmode"))["waitMs"] <= 4000


FAULTS = [one_leaves, wrong_type, no_json, unmasked, redis_drops, claimed_id, order, stalled_reader, true_wait]


async def look(kind, fault):
    redis = await Redis().start()
    server = await kind.start(redis)
    try:
        await asyncio.wait_for(fault(server, redis), 3 * PATIENCE)
        return None
    except Exception as e:  # whatever it is, the fault is there
        return e
    finally:
        server.process.kill()
        redis.process.kill()


async def main(who):
    global SOON
    kind = Ours
    if who != "ours":
        kind, SOON = Sketch, 10
        Sketch.folder = who
    found = await asyncio.gather(*[look(kind, f) for f in FAULTS])
    for fault, e in zip(FAULTS, found):
        if e is not None:
            print(fault.__name__ + ("" if kind is Sketch else ": %s %r" % (fault.__doc__, e)))
    return kind is Ours and any(e is not None for e in found)


if __name__ == "__main__":
    chat.new_secret("a secret of thirty-two bytes, no less")
    sys.exit(asyncio.run(main(sys.argv[1])))
