"""How much is taken in: bytes before they are read, pictures before they are decoded."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from starlette.requests import Request

from tlcli.serve.meter import Meter
from tlcli.serve.refused import CLOSE, Refused, busy

# Largest bodies that are held at once.
BODIES = 8


@dataclass(frozen=True)
class Limits:
    """What a client may ask for.

    Attributes:
        max_body: Bytes of a request.
        max_pictures: Pictures of a request.
        queue: Pictures that were taken and not answered, of all requests.
        timeout: Seconds that a client may take to send a request.
        top: Classes that are listed where nothing is said.
    """

    max_body: int
    max_pictures: int
    queue: int
    timeout: float
    top: int


class Gate:
    """Counts what was taken in, and refuses more than there is room for."""

    def __init__(self, limits: Limits, meter: Meter) -> None:
        """Hold nothing."""
        self.limits, self._meter = limits, meter
        self.pictures = self.bytes = 0

    @contextlib.contextmanager
    def entered(self, count: int) -> Iterator[None]:
        """Room for some pictures, as long as this lasts.

        Raises:
            Refused: They are too many for a request, or there is no room.
        """
        most = self.limits.max_pictures
        if count > most:
            raise Refused(413, f"{count} pictures are more than the {most} of a request.")
        self.check(count)
        self._count(count)
        try:
            yield
        finally:
            self._count(-count)

    def check(self, count: int = 1) -> None:
        """Refuse where there is no room for more pictures.

        Raises:
            Refused: There is none.
        """
        if self.pictures + count > self.limits.queue:
            raise busy(f"{self.pictures} pictures are waiting")

    def _count(self, change: int) -> None:
        self.pictures += change
        self._meter.pending.set(self.pictures)

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, counted as long as this lasts.

        Raises:
            Refused: It is too large, compressed, or comes too slowly, or there is no room.
        """
        self.check()
        most = self.limits.max_body
        given = request.headers.get("content-length", "0")
        if int(given) > most:  # digits alone: the protocol checked it
            raise too_large(most)
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "bodies are taken uncompressed alone.", CLOSE)
        held = _Held()
        try:
            yield await self._in_time(request, held)
        finally:
            self.bytes -= held.count

    async def _in_time(self, request: Request, held: "_Held") -> bytes:
        try:
            return await asyncio.wait_for(self._read(request, held), self.limits.timeout)
        except asyncio.TimeoutError:
            raise Refused(408, "the body did not come in time.", CLOSE) from None

    async def _read(self, request: Request, held: "_Held") -> bytes:
        parts = []
        async for part in request.stream():
            held.count += len(part)
            self.bytes += len(part)
            if held.count > self.limits.max_body:
                raise too_large(self.limits.max_body)
            if self.bytes > BODIES * self.limits.max_body:
                raise Refused(429, "too much is sent at once. Try again in a second.",
                              {"retry-after": "1", **CLOSE})  # fmt: skip
            parts.append(part)
        return b"".join(parts)


class _Held:
    """Bytes of one request that are held."""

    count = 0


def too_large(most: int) -> Refused:
    """A body beyond the limit; the rest of it is not read."""
    return Refused(413, f"the body has more than the {most:,} bytes that are taken.", CLOSE)
