"""A line of TCP between two hosts that takes its time, and stands still when it is told to.

    python relay.py DELAY STALL LISTEN:PORT=TO:PORT…

What comes in goes out DELAY seconds later. SIGUSR1 stops it for STALL seconds, SIGUSR2 for good; as
on a link that loses packets, connections stay open meanwhile. Prints a line when it listens.
"""

import asyncio
import contextlib
import signal
import sys


class Line:
    """What all connections go over."""

    def __init__(self, delay, stall):
        self.delay, self.stall = delay, stall
        self.moving = asyncio.Event()
        self.moving.set()

    def stand_still(self, for_good=False):
        """Let nothing through for a while."""
        self.moving.clear()
        if not for_good:
            asyncio.get_running_loop().call_later(self.stall, self.moving.set)

    async def connect(self, address, reader, writer):
        """Join a connection that came in to one that goes out."""
        host, _, port = address.rpartition(":")
        try:
            await self.moving.wait()
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:  # refused there, so here
            writer.transport.abort()
            return
        await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer))

    async def carry(self, reader, writer):
        """Hand on what comes, each piece after the delay."""
        pieces = asyncio.Queue()
        taking = asyncio.create_task(self.take(reader, pieces))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                due, piece = await pieces.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self.moving.wait()
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
        taking.cancel()
        writer.close()

    async def take(self, reader, pieces):
        """Note when pieces came."""
        loop, piece = asyncio.get_running_loop(), b"?"
        while piece:
            try:
                piece = await reader.read(1 << 16)
            except OSError:
                piece = b""
            pieces.put_nowait((loop.time() + self.delay, piece))


async def main(delay, stall, pairs):
    """Listen until the process is ended."""
    line = Line(float(delay), float(stall))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, line.stand_still)
    loop.add_signal_handler(signal.SIGUSR2, line.stand_still, True)
    for pair in pairs:
        here, _, there = pair.partition("=")
        host, _, port = here.rpartition(":")

        async def connect(reader, writer, there=there):
            await line.connect(there, reader, writer)

        await asyncio.start_server(connect, host, int(port))
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
