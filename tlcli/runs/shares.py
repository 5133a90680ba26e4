"""Shares of a prediction: what one job of many says of its pictures, and how all are joined.

A share is a .jsonl file: a row a picture as `tl predict` gives it, then one line of facts. Pictures
are dealt out in batches, whole and in turn, so each is named among the same others as by one
process. The facts say which share of what it is; they come last, so a file with them is whole.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from tlcli.config.many_settings import MOST_SHARES
from tlcli.errors import DataError
from tlcli.system.opened import open_regular, reading
from tlcli.system.shown import shown

Item = TypeVar("Item")

KEY = "tl_share"
MOST_FACTS = 1 << 20
MOST_LINE = 1 << 26
WHOLE = "Name its pictures again, with the same words."


@dataclass(frozen=True)
class Facts:
    """What a share is of; all but the last four are the same for all shares.

    Attributes:
        of: How many shares there are.
        batch_size: Pictures that were named together.
        pictures: How many there are in all shares.
        names: Hash of the paths of all of them, in order.
        network: What named them, and how.
        told: What it tells of a picture beside its label.
        share: Number of this one, from 1.
        rows: Its pictures.
        failed: How many of them could not be read.
        sha256: Of its rows as they are written.
    """

    of: int
    batch_size: int
    pictures: int
    names: str
    network: str
    told: tuple[str, ...]
    share: int
    rows: int
    failed: int
    sha256: str

    @property
    def common(self) -> dict[str, Any]:
        """What all shares have."""
        own = ("share", "rows", "failed", "sha256")
        return {key: value for key, value in asdict(self).items() if key not in own}

    @property
    def expected(self) -> int:
        """Rows that this share is to have."""
        batches = -(-self.pictures // self.batch_size)
        mine = max(0, -(-(batches - self.share + 1) // self.of))
        has_last = batches > 0 and (batches - 1) % self.of == self.share - 1
        lacking = batches * self.batch_size - self.pictures if has_last else 0
        return mine * self.batch_size - lacking


class Deal:
    """Deals out paths: gives those of a share, and counts and hashes all.

    Attributes:
        pictures: How many there were so far.
        many: Whether the first batch of all was full; known with the first path.
    """

    def __init__(self, paths: Iterable[str], batch: int, share: int, of: int) -> None:
        self._paths, self._batch, self._share, self._of = iter(paths), batch, share, of
        self._digest = hashlib.sha256()
        self._first = list(islice(self._paths, batch))
        self.pictures, self.many = 0, len(self._first) == batch

    def mine(self) -> Iterator[str]:
        """Paths of the share."""
        number = 0
        part = self._first
        while part:
            for path in part:
                self._digest.update(os.fsencode(path) + b"\0")
            self.pictures += len(part)
            if number % self._of == self._share - 1:
                yield from part
            number += 1
            part = list(islice(self._paths, self._batch))

    @property
    def names(self) -> str:
        """Hash of all paths so far, hex."""
        return self._digest.hexdigest()


def write(file: BinaryIO, lines: Iterable[tuple[bytes, bool]], facts: Callable[..., Facts]) -> None:
    """Write a share.

    Args:
        file: That appears whole or not at all.
        lines: A row each, and whether its picture could not be read.
        facts: Gives the facts of so many rows, so many of them failed, of such a SHA-256.
    """
    digest, rows, failed = hashlib.sha256(), 0, 0
    for line, bad in lines:
        file.write(line)
        digest.update(line)
        rows, failed = rows + 1, failed + bad
    told = facts(rows=rows, failed=failed, sha256=digest.hexdigest())
    file.write(json.dumps({KEY: asdict(told)}).encode() + b"\n")


def read_facts(path: Path) -> Facts:
    """The facts of a share.

    Raises:
        DataError: The file is no whole share.
    """
    tail = _tail(path)
    last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    try:
        found = json.loads(last)[KEY]
        values = {one.name: found[one.name] for one in fields(Facts)}
        facts = Facts(**{**values, "told": tuple(map(str, values["told"]))})
        numbers = (facts.of, facts.batch_size, facts.pictures, facts.share, facts.rows)
        fits = all(type(one) is int for one in (*numbers, facts.failed)) and (
            1 <= facts.share <= facts.of <= MOST_SHARES and facts.batch_size >= 1
            and 0 <= facts.pictures <= 10**12 and 0 <= facts.failed <= facts.rows
        )  # fmt: skip
    # A border: whatever a foreign line raises.
    except Exception:
        fits = False
    if not fits or not tail.endswith(b"\n") or facts.rows != facts.expected:
        raise DataError(shown(path), "is no whole share of a prediction", WHOLE)
    return facts


def _tail(path: Path) -> bytes:
    with open_regular(path, "shard") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MOST_FACTS))
        return file.read(MOST_FACTS)


def ordered(paths: Sequence[Path]) -> tuple[list[Path], Facts]:
    """Files of all shares by their number, and the facts of the first.

    Raises:
        DataError: One is missing, or there twice, or of another prediction.
    """
    found: dict[int, tuple[Path, Facts]] = {}
    for path in paths:
        facts = read_facts(path)
        if facts.share in found:
            other = shown(found[facts.share][0])
            problem = f"is share {facts.share} of {facts.of}, as {other} is"
            raise DataError(shown(path), problem, "Give each share once.")
        found[facts.share] = path, facts
        _require_same(next(iter(found.values())), (path, facts))
    first = next(iter(found.values()))[1]
    missing = [number for number in range(1, first.of + 1) if number not in found]
    if missing:
        told = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
        problem = f"{len(missing)} of {first.of} shares are missing: {told}"
        raise DataError("parts", problem, f"Name them with shard={missing[0]}/{first.of}.")
    return [found[number][0] for number in range(1, first.of + 1)], first


def _require_same(one: tuple[Path, Facts], other: tuple[Path, Facts]) -> None:
    """Refuse shares of different predictions.

    Raises:
        DataError: They are.
    """
    words = {
        "of": "number of shares", "batch_size": "batch_size", "pictures": "pictures",
        "names": "pictures", "network": "network or its options", "told": "network or its options",
    }  # fmt: skip
    theirs = other[1].common
    differ = sorted({words[key] for key, value in one[1].common.items() if theirs[key] != value})
    if differ:
        problem = f"and {shown(one[0])} are of different predictions: {', '.join(differ)}"
        raise DataError(shown(other[0]), problem, "Give the shares of one.")


def joined(paths: Sequence[Path], facts: Facts) -> Iterator[dict[str, Any]]:
    """Rows of all shares in the order of the pictures.

    Args:
        paths: What `ordered` gave.
        facts: The same.

    Raises:
        DataError: A share is not what was written.
    """
    places = [0] * len(paths)
    digests = [hashlib.sha256() for _ in paths]
    for number, start in enumerate(range(0, facts.pictures, facts.batch_size)):
        at = number % facts.of
        with open_regular(paths[at], "shard") as file:
            file.seek(places[at])
            for _ in range(min(facts.batch_size, facts.pictures - start)):
                line = file.readline(MOST_LINE)
                digests[at].update(line)
                with reading(shown(paths[at]), WHOLE, "holds a line that is no row"):
                    row = dict(json.loads(line))
                yield row
            places[at] = file.tell()
    for path, place, digest in zip(paths, places, digests, strict=True):
        # The facts, and nothing else, come behind the rows.
        rest = len(_tail(path).removesuffix(b"\n").rpartition(b"\n")[2]) + 1
        if read_facts(path).sha256 != digest.hexdigest() or place + rest != path.stat().st_size:
            raise DataError(shown(path), "was changed since it was written", WHOLE)
