"""Predictions of which a process makes a share: as a job of many, or as one of several workers."""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tlcli import __version__
from tlcli.commands.namer import Namer
from tlcli.config.many_settings import share_of
from tlcli.config.settings import Predict
from tlcli.data import named
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError
from tlcli.runs import output, shares
from tlcli.system import console, files
from tlcli.system.crew import PART, Crew, Work
from tlcli.system.opened import open_regular
from tlcli.system.shown import json_line

Rows = Callable[[Namer, Iterable[str], Predict, Any], Iterator[Mapping[str, Any]]]

# Batches that a worker names at a time.
BATCHES = 8


def network(namer: Namer, settings: Predict) -> str:
    """Hash of what the rows follow from, beside the pictures and the batches they come in."""
    facts = [namer.identity, settings.tta, settings.top, settings.image_size, __version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def line_of(row: Mapping[str, Any]) -> bytes:
    """A row as JSON in one line."""
    return (json_line(json.dumps(row, ensure_ascii=False)) + "\n").encode()


def write(
    place: Path, namer: Namer, paths: Iterable[str], settings: Predict, rows: Rows
) -> tuple[int, int]:
    """Name the pictures of a share; gives how many it has, and how many could not be read.

    Args:
        place: Of the file, which appears whole.
        namer: What names them.
        paths: Of all pictures.
        settings: Of the command.
        rows: Gives the rows of paths.
    """
    share, of = share_of(str(settings.shard))
    deal = shares.Deal(paths, settings.batch_size, share, of)
    call = namer.look(deal.many)
    named_rows = rows(namer, deal.mine(), settings, call)
    found = console.staged(named_rows, "naming pictures", None, "pictures")
    kept: list[shares.Facts] = []

    def facts(**told: Any) -> shares.Facts:
        columns = tuple(namer.told)
        kept.append(shares.Facts(
            of=of, batch_size=settings.batch_size, pictures=deal.pictures, names=deal.names,
            network=network(namer, settings), told=columns, share=share, **told,
        ))  # fmt: skip
        return kept[-1]

    lines = ((line_of(row), "error" in row) for row in found)
    output.write_by(place, lambda file: shares.write(file, lines, facts))
    console.say(f"{'share':<10} {share} of {of}: {kept[0].rows} of {deal.pictures} pictures")
    return kept[0].rows, kept[0].failed


def require_readable(crew: Crew, settings: Predict) -> None:
    """Refuse pictures that only one worker could be told of.

    Raises:
        ConfigError: They come from standard input.
    """
    if "-" in settings.images and not crew.is_alone:
        remedy = "Give a folder or a glob, or a share to each of several jobs: shard=1/2."
        raise ConfigError("images", "standard input cannot be shared by workers", remedy)


def shared(
    crew: Crew, namer: Namer, settings: Predict, left_out: LeftOut, rows: Rows
) -> Iterator[Mapping[str, Any]]:
    """Rows of all pictures in order, of which this worker named some.

    Args:
        crew: This worker.
        namer: What names them.
        settings: Of the command.
        left_out: Gets what folders hold beside pictures.
        rows: Gives the rows of paths.

    Raises:
        DataError: Pictures came, went or changed meanwhile.
    """
    place = crew.place("naming", f"{network(namer, settings)} {settings.batch_size}")
    parts = _Parts(place, namer, settings, left_out, rows)
    tell = "naming" if crew.is_chief else ""
    names = Work(place, parts.items, parts.do, parts.done, tell=tell).finish()
    return _read(map(parts.path, names))


class _Parts:
    """Pictures some batches at a time: named by what they are called and were, rows in files."""

    def __init__(
        self, place: Path, namer: Namer, settings: Predict, left_out: LeftOut, rows: Rows
    ) -> None:
        self.place, self.namer, self.settings, self.rows = place, namer, settings, rows
        self._noted = iter([left_out])
        self._call: Any = None

    def items(self) -> Iterator[tuple[str, list[str]]]:
        batch = self.settings.batch_size
        paths = named.expand(self.settings.images, next(self._noted, LeftOut()))
        for number in itertools.count():
            part = list(itertools.islice(paths, BATCHES * batch))
            if not part:
                return
            # As one process has it: by the first batch of all.
            self._call = self._call or self.namer.look(len(part) >= batch)
            yield f"{number:08d}-{_named(part)}", part

    def path(self, name: str) -> Path:
        return self.place / f"{name}{PART}"

    def done(self, name: str) -> bool:
        return self.path(name).is_file()

    def do(self, name: str, part: list[str]) -> None:
        found = self.rows(self.namer, part, self.settings, self._call)

        def fill(file: BinaryIO) -> None:
            file.writelines(map(line_of, found))

        files.write(self.path(name), fill)


def _named(part: Sequence[str]) -> str:
    """Hash of some paths and of the files there, by their size and time."""
    digest = hashlib.sha256()
    for path in part:
        digest.update(os.fsencode(path) + b"\0")
        with contextlib.suppress(OSError, ValueError):
            found = os.stat(path)
            digest.update(f"{found.st_size} {found.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:16]


def _read(paths: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    """Rows of some parts, in order."""
    for path in paths:
        with open_regular(path, "shard") as file:
            for line in file:
                yield json.loads(line)
