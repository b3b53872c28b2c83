#!/usr/bin/python3
"""hole.py PORT: forwards connections to a port of this machine, and says on which of its own it listens.

On SIGUSR1 those that are open lead nowhere any more, as when a machine has slept: nothing passes, nothing ends.
"""
import asyncio
import signal
import sys

tasks = set()


async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def on_connection(reader, writer):
    there, back = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    for pair in ((reader, back), (there, writer)):
        tasks.add(asyncio.ensure_future(pass_on(*pair)))


def lose():
    for t in tasks:
        t.cancel()


async def main():
    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lose)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
