"""The models that are served, by name; a new version takes the place of an old one in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tlcli.errors import TlError
from tlcli.serve.batching import Batcher
from tlcli.serve.meter import Meter
from tlcli.serve.model import Model
from tlcli.serve.refused import Refused
from tlcli.system import console
from tlcli.system.opened import reason
from tlcli.system.shown import shown


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    Attributes:
        folder: A run or an export.
        stamp: Of the folder, equal as long as nothing changes; None while nothing whole is there.
        opened: The model of a folder under a name, looked at once.
    """

    folder: Path
    stamp: Callable[[Path], Any]
    opened: Callable[[str, Path], Model]


@dataclass(frozen=True)
class Steps:
    """How pictures are put together: at most how many, and seconds to wait for them."""

    max_batch: int
    max_delay: float


class Shelved:
    """A model with what it works through; it stays until the last request that holds it is done."""

    def __init__(self, model: Model, steps: Steps, meter: Meter) -> None:
        """Begin to answer."""
        self.model, self.holders, self.retired = model, 0, False
        most = min(steps.max_batch, model.most)
        self.batcher = Batcher(model.look, most, steps.max_delay, partial(meter.step, model.name))
        self._task = asyncio.get_running_loop().create_task(self.batcher.run())

    def retire(self) -> None:
        """End when nobody holds it any more."""
        self.retired = True
        if not self.holders:
            self._task.cancel()

    @contextlib.contextmanager
    def held(self) -> Iterator["Shelved"]:
        """Let it not end as long as this lasts."""
        self.holders += 1
        try:
            yield self
        finally:
            self.holders -= 1
            if self.retired:
                self.retire()


class Shelf:
    """Models by name, the first of which is meant where none is named."""

    def __init__(self, models: Mapping[str, tuple[Source, Model, Any]], steps: Steps,
                 meter: Meter) -> None:  # fmt: skip
        """Know models and answer nothing yet.

        Args:
            models: Source, model and stamp of the source before it was opened, by name.
            steps: How pictures are put together.
            meter: Where versions are told.
        """
        self._given, self._steps, self._meter = models, steps, meter
        self._stamps = {name: stamp for name, (_, _, stamp) in models.items()}
        self._shelved: dict[str, Shelved] = {}
        # One at a time: two versions of one model are in memory then, and not more.
        self._opener = ThreadPoolExecutor(1, "open")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the models."""
        return tuple(self._given)

    def given(self) -> list[Model]:
        """Those that it was given."""
        return [model for _, model, _ in self._given.values()]

    def models(self) -> list[Model]:
        """Those that answer now."""
        return [one.model for one in self._shelved.values()]

    @contextlib.asynccontextmanager
    async def answering(self, every: float) -> AsyncIterator[None]:
        """Answer as long as this lasts.

        Args:
            every: Seconds between two looks for new versions; 0 never looks.
        """
        for model in self.given():
            self._put(model.name, model)
        watch = asyncio.get_running_loop().create_task(self._watch(every)) if every else None
        try:
            yield
        finally:
            if watch is not None:
                watch.cancel()
            for one in self._shelved.values():
                one.retire()
            self._opener.shutdown(wait=False, cancel_futures=True)

    @contextlib.contextmanager
    def held(self, name: str | None, version: str | None = None) -> Iterator[Shelved]:
        """The model of a name, which does not change as long as this lasts.

        Args:
            name: As asked for; None takes the first.
            version: As asked for; None takes the one there is.

        Raises:
            Refused: There is none.
        """
        found = self._shelved.get(self.names[0] if name is None else name)
        if found is None:
            raise Refused(404, f"there is no model {shown(name, 80)!r}. GET /models lists them.")
        if version is not None and version != found.model.version:
            there = f"{found.model.name} has version {found.model.version}"
            raise Refused(404, f"{there}, and not {shown(version, 80)!r}.")
        with found.held():
            yield found

    def _put(self, name: str, model: Model) -> None:
        before = self._shelved.get(name)
        if before is not None:
            self._meter.models.remove(name, before.model.version)
            before.retire()
        self._shelved[name] = Shelved(model, self._steps, self._meter)
        self._meter.models.labels(name, model.version).set(1)

    async def _watch(self, every: float) -> None:
        """Look for new versions; one is taken when it stayed the same between two looks."""
        seen: dict[str, Any] = dict(self._stamps)
        while True:
            await asyncio.sleep(every)
            for name, (source, _, _) in self._given.items():
                stamp = source.stamp(source.folder)
                whole = stamp is not None and stamp == seen[name]
                seen[name] = stamp
                if whole and stamp != self._stamps[name]:
                    self._stamps[name] = stamp
                    await self._renew(name, source)

    async def _renew(self, name: str, source: Source) -> None:
        """Open a new version beside the old one, which goes on where the new one is faulty."""
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._opener, source.opened, name, source.folder)
        except Exception as problem:  # the old version serves on, whatever is wrong with the new
            self._meter.reloads.labels(name, "refused").inc()
            why = str(problem) if isinstance(problem, TlError) else reason(problem)
            console.say(f"{'kept':<10} {name} as it is, for its new version is refused: {why}")
            return
        if model.version != self._shelved[name].model.version:
            self._put(name, model)
            self._meter.reloads.labels(name, "taken").inc()
            console.say(f"{'renewed':<10} {name}, version {model.version}")
