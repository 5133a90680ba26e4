"""Pictures of many requests are looked at together: one step of a network costs less a picture."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

# Told after each step: how many pictures it had, and its seconds.
Told = Callable[[int, float], None]


class Batcher:
    """Shows a network whatever waits, in the order in which it came.

    While the network is at work pictures gather. An idle one waits for more only while there are
    pictures that are still being decoded, and never longer than the delay.
    """

    def __init__(
        self, look: Callable[[Any], tuple[Any, Any]], most: int, delay: float, told: Told
    ) -> None:
        """Look at nothing yet.

        Args:
            look: From uint8 images (batch, side, side, 3) to logits and strangeness or None.
            most: Pictures at a time.
            delay: Seconds that the first picture waits for others.
            told: See Told.
        """
        self._look, self._most, self._delay, self._told = look, most, delay, told
        self._waiting: deque[tuple[Any, asyncio.Future[tuple[Any, Any]]]] = deque()
        self._expected = 0
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "look")

    @property
    def waiting(self) -> int:
        """Pictures that are ready and not yet looked at."""
        return len(self._waiting)

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """A picture is about to come, as long as this lasts."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            self._news.set()

    def submit(self, image: Any) -> "asyncio.Future[tuple[Any, Any]]":
        """Logits (classes,) of an image and how strange it is or None, once they are known."""
        answer: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((image, answer))
        self._news.set()
        return answer

    async def run(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                await self._gather()
                count = min(self._most, len(self._waiting))
                await self._answer([self._waiting.popleft() for _ in range(count)])
        finally:
            self._thread.shutdown(wait=False)

    async def _gather(self) -> None:
        """Wait until there is a picture, and for others that are near."""
        loop = asyncio.get_running_loop()
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        end = loop.time() + self._delay
        while self._expected and len(self._waiting) < self._most and loop.time() < end:
            self._news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), end - loop.time())

    async def _answer(self, batch: Sequence[tuple[Any, "asyncio.Future[tuple[Any, Any]]"]]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        images = np.stack([image for image, _ in batch])
        try:
            logits, strange = await loop.run_in_executor(self._thread, self._look, images)
        except Exception as problem:  # whatever a runtime raises is each request's answer
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(problem)
            return
        self._told(len(batch), loop.time() - begun)
        for place, (_, answer) in enumerate(batch):
            if not answer.done():
                answer.set_result((logits[place], None if strange is None else strange[place]))
