"""What lies in a file that holds many pictures: found in one pass from end to end, and kept."""

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tlcli.data.header import BY_PILLOW, quiet_pillow
from tlcli.data.ids import Ids
from tlcli.data.prepared import COLUMNS, TYPES
from tlcli.data.scan import header_or_problem
from tlcli.data.stamps import stamp
from tlcli.lazy import np
from tlcli.system import cache, console
from tlcli.system.array_file import load_npz

_VERSION = 2


@dataclass(frozen=True)
class Row:
    """One picture of a file, as its format tells of it.

    Attributes:
        offset: First byte of the encoded picture in the file; below 0 where it does not lie there
            as it is, for the format's own reader to understand.
        data: The encoded picture.
        labels: Class numbers, or names of classes; none where it is unlabelled.
        name: What it is called, "" where nothing says.
        text: What the class of the number is called, "" where nothing says.
        problem: Why there is no picture, "" where there is one.
    """

    offset: int
    data: bytes
    labels: Sequence[int | str] = ()
    name: str = ""
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Index:
    """What is known of one file.

    Attributes:
        columns: prepared.COLUMNS by name, of the types of TYPES (rows,).
        counts: Labels of each row, int32 (rows,).
        values: All labels, row after row, int64: class numbers, or places in `words`.
        words: Names of classes; none where labels are numbers.
        names: What the rows are called, see Row; Ids.
        texts: What their classes are called, see Row; Ids.
        problems: Row to the reason why its picture is unreadable.
    """

    columns: dict[str, Any]
    counts: Any
    values: Any
    words: Sequence[str]
    names: Ids
    texts: Ids
    problems: dict[int, str]

    @property
    def labels(self) -> Any:
        """The first label of each row, -1 where it has none, int64 (rows,)."""
        found = np.full(len(self.counts), -1, np.int64)
        starts = np.cumsum(self.counts) - self.counts
        found[self.counts > 0] = self.values[starts[self.counts > 0]]
        return found


@dataclass(frozen=True)
class Format:
    """How files of a kind are gone through.

    Attributes:
        key: What tells it from others that read the same file in another way.
        what: What such files are called.
        rows: Rows of a file; raises DataError for one that is damaged.
    """

    key: str
    what: str
    rows: Callable[[Path], Iterator[Row]]


def index_files(
    form: Format, paths: Sequence[Path], max_pixels: int, cache_dir: Path
) -> list[Index]:
    """Index of each file, from the cache where path, size, times and inode are the same.

    Raises:
        DataError: A file that is damaged, or no such file.
    """
    with quiet_pillow(), ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(partial(_index, form, max_pixels, cache_dir), paths)
        return list(console.staged(read, "indexing", len(paths), form.what))


def _index(form: Format, max_pixels: int, cache_dir: Path, path: Path) -> Index:
    listed = stamp(path)
    key = f"{_VERSION}\0{form.key}\0{path.resolve()}\0{max_pixels}\0{listed}"
    kept = cache_dir / f"stored-{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
    index = cache.read(kept, _load)
    if index is None:
        index = built(form.rows(path), max_pixels)
        _save(kept, index)
    return index


def built(rows: Iterator[Row], max_pixels: int) -> Index:
    """Index of rows, the header of each picture looked at."""
    # Arrays of the machine's numbers: a million rows of Python's take half a gigabyte.
    table, values, counts = array("q"), array("q"), array("i")
    names, texts, problems = bytearray(), bytearray(), dict[int, str]()
    words: dict[str, int] = {}
    for number, row in enumerate(rows):
        header = row.problem or header_or_problem(row.data, max_pixels)
        place = (row.offset, len(row.data))
        if isinstance(header, str):
            problems[number] = header
            table.extend((*place, BY_PILLOW, 1, 0, 0, 0))
        else:
            size = (header.width, header.height)
            table.extend((*place, header.decoder, header.orientation, *size, header.checksum))
        counts.append(len(row.labels))
        values.extend(one if isinstance(one, int) else words.setdefault(one, len(words))
                      for one in row.labels)  # fmt: skip
        names += _text(row.name)
        texts += _text(row.text)
    columns = np.frombuffer(table, np.int64).reshape(-1, len(COLUMNS)).T
    narrow = {name: column.astype(TYPES[name])
              for name, column in zip(COLUMNS, columns, strict=True)}  # fmt: skip
    called, told = (Ids(np.frombuffer(one, np.uint8)) for one in (names, texts))
    counted, numbers = np.array(counts, np.int32), np.array(values, np.int64)
    return Index(narrow, counted, numbers, list(words), called, told, problems)


def _text(name: str) -> bytes:
    """A name as Ids has it; one with NUL can be none of a picture."""
    return name.replace("\0", "\n").encode("utf-8", "surrogatepass") + b"\0"


def problems_of(indexes: Sequence[Index]) -> dict[int, str]:
    """Row among those of all files to the reason why its picture is unreadable."""
    starts = np.cumsum([0, *(len(index.counts) for index in indexes)]).tolist()
    return {start + row: why for start, index in zip(starts, indexes, strict=False)
            for row, why in index.problems.items()}  # fmt: skip


def _load(path: Path) -> Index:
    found = load_npz(path)
    words = json.loads(found["words"].tobytes())
    problems = {int(row): str(why) for row, why in words.pop("problems").items()}
    columns = {name: found[name] for name in COLUMNS}
    names, texts = Ids(found["names"]), Ids(found["texts"])
    return Index(columns, found["counts"], found["values"], words["words"], names, texts, problems)


def _save(path: Path, index: Index) -> None:
    words = {"words": index.words, "problems": index.problems}
    columns = {
        **index.columns, "counts": index.counts, "values": index.values,
        "names": index.names.content, "texts": index.texts.content,
        "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
    }  # fmt: skip
    cache.write(path, lambda file: np.savez(file, **columns))
