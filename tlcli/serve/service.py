"""What the routes share: from encoded pictures to what a model says of them."""

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tlcli.data.header import inspect
from tlcli.errors import DataError, TlError
from tlcli.serve.gate import Gate
from tlcli.serve.meter import Meter
from tlcli.serve.model import Model
from tlcli.serve.refused import busy
from tlcli.serve.shelf import Shelf, Shelved

# Pixels above which pictures are decoded one at a time: each takes 16 bytes a pixel for a while.
LARGE = 4_000_000
# Pictures that may wait to be explained; each takes as long as many answers.
EXPLAINED = 16


class Service:
    """Decodes in threads, and lets models look."""

    def __init__(self, shelf: Shelf, gate: Gate, meter: Meter, workers: int) -> None:
        """Do nothing yet.

        Args:
            shelf: The models.
            gate: What is taken in.
            meter: What is counted.
            workers: Threads that decode.
        """
        self.shelf, self.gate, self.meter = shelf, gate, meter
        self.stopping = False
        self._workers = ThreadPoolExecutor(workers, "decode")
        self._explainer = ThreadPoolExecutor(1, "explain")
        self._explaining = 0
        self._large = threading.Lock()

    def close(self) -> None:
        """End the threads."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._explainer.shutdown(wait=False, cancel_futures=True)

    async def apart(self, work: Callable[..., Any], *given: Any) -> Any:
        """What work gives that would keep others waiting, done in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, functools.partial(work, *given))

    def _decoded(self, model: Model, data: bytes) -> Any:
        """A picture as the network is shown it, or why it cannot be."""
        begun = time.perf_counter()
        try:
            header = inspect(data, model.max_pixels)
        except DataError as problem:
            return problem
        large = header.width * header.height > LARGE
        with self._large if large else contextlib.nullcontext():
            image = model.read(data)
        self.meter.decoding.observe(time.perf_counter() - begun)
        return image

    async def seen(self, held: Shelved, data: bytes) -> tuple[Any, Any, Any]:
        """An encoded picture as it is shown, its logits and how strange it is.

        Raises:
            TlError: It cannot be read.
        """
        with held.batcher.expecting():
            image = await self.apart(self._decoded, held.model, data)
            if isinstance(image, TlError):
                raise image
            waiting = held.batcher.submit(image)
        return image, *(await waiting)

    async def all_seen(self, held: Shelved, parts: Sequence[bytes]) -> list[Any]:
        """`seen` of several pictures, each its answer or the TlError that it raises."""
        found = await asyncio.gather(
            *(self.seen(held, data) for data in parts), return_exceptions=True
        )
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, TlError):
                raise one
        return found

    @contextlib.contextmanager
    def explaining(self, count: int) -> Iterator[None]:
        """Room for some explanations, as long as this lasts.

        Raises:
            Refused: There is none.
        """
        if self._explaining + count > EXPLAINED:
            raise busy(f"{self._explaining} explanations are waiting, {EXPLAINED} may")
        self._explaining += count
        try:
            yield
        finally:
            self._explaining -= count

    async def heat(self, model: Model, image: Any, label: int) -> bytes:
        """A picture with heat over it where a class was read from, a PNG."""
        assert model.heat is not None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._explainer, model.heat, image, label)
