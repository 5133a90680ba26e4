"""Pictures listed in a table: CSV or JSON lines with path, label and, optionally, split."""

import contextlib
import csv
import io
import json
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

from tlcli.contracts.data import SPLIT_NAMES, TRAIN, Manifest
from tlcli.data.grouping import Groups
from tlcli.data.ids import Ids
from tlcli.data.index import Index
from tlcli.data.manifest import Listed, indexed_manifest
from tlcli.data.samples import SPLIT_WORDS, Samples
from tlcli.data.scan import stat_files
from tlcli.errors import ConfigError, DataError, require
from tlcli.lazy import np
from tlcli.options.data._read import ReadTested
from tlcli.system.located import located, parent
from tlcli.system.opened import open_regular, reading
from tlcli.system.remote import is_address
from tlcli.system.shown import shown

_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class _Row:
    """One line of the table; split is -1 where none is given."""

    place: str
    path: str
    labels: tuple[str, ...]
    split: int


@dataclass(frozen=True)
class Data(ReadTested):
    """A .csv or .jsonl with columns path, label and, optionally, split.

    An empty label means unlabelled; such rows are for training. An empty split means train.

    Attributes:
        image_root: Folder that relative paths start from; null for the table's own.
        label_separator: Between the labels of a picture that has several.
        multi_label: Whether a picture may have several labels; null: when any row has.
    """

    image_root: str | None
    label_separator: str
    multi_label: bool | None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.label_separator, "data.label_separator", self.label_separator, "Give a text.")

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Read the table, scan the files it names, complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the scan is kept.

        Raises:
            ConfigError: There is no such table or folder.
            DataError: A row that cannot be used, or what holds for folders as well.
        """
        table = self._table()
        if not table.is_file():
            raise ConfigError(
                "data.path", f"{table}: there is no such file", "Give a .csv or .jsonl."
            )
        root = located(self.image_root, "data.image_root") if self.image_root else table.parent
        if not root.is_dir():
            raise ConfigError("data.image_root", f"{root}: there is no such folder", "Give one.")
        how = self.how(by_column(table, self.groups))
        facts = ["csv", str(table.resolve()), self.label_separator, self.multi_label]
        index = Index(str(root), facts, self.max_pixels, cache_dir)
        return indexed_manifest(
            index, str(table), lambda: self._listed(table, str(root)), how, seed, cache_dir
        )

    def _table(self) -> Path:
        """The table; of one in a store its folder is listed, too, for the pictures in it."""
        if is_address(self.path) and not self.image_root:
            return located(parent(self.path), "data.path") / Path(self.path).name
        return located(self.path, "data.path")

    def _listed(self, table: Path, root: str) -> Listed:
        """Samples and files of the table; and the table and all folders of its pictures."""
        rows = self._checked(table)
        labels, class_names = self._labels(table, rows)
        paths = Ids.of(row.path for row in rows)
        samples = Samples(
            where=str(table),
            ids=paths,
            labels=labels,
            splits=np.array([max(row.split, TRAIN) for row in rows], np.int8),
            class_names=class_names,
        )
        folders = sorted({os.path.dirname(os.path.join(root, path)) for path in paths})
        return samples, stat_files(root, paths), [str(table), *folders]

    def _checked(self, table: Path) -> list[_Row]:
        """Rows sorted by path, each path once."""
        read = _read_jsonl if table.suffix.lower() in (".jsonl", ".ndjson") else _read_csv
        rows = sorted((self._row(*line) for line in read(table)), key=lambda row: row.path)
        if not rows:
            raise DataError(str(table), "has no rows", "Give one row a picture.")
        for before, row in pairwise(rows):
            if row.path == before.path:
                line = before.place.rsplit(" ", 1)[-1]
                raise DataError(
                    row.place,
                    f"{row.path} stands in line {line} as well",
                    "Keep one of the two; give several labels in one row.",
                )
        return rows

    def _row(self, place: str, values: dict[str, Any]) -> _Row:
        """One line, checked."""
        path = values.get("path")
        if not isinstance(path, str) or not path.strip():
            raise DataError(place, "has no path", "Give the path of a picture.")
        if "\0" in path:
            raise DataError(place, "has a path with a NUL character", "Correct it.")
        label = values.get("label")
        labels = label if isinstance(label, list) else self._several(label)
        # Programs write one name in two forms of Unicode, and mean one class.
        texts = [unicodedata.normalize("NFC", str(one).strip()) for one in labels]
        return _Row(
            place=place,
            path=_inside(place, path.strip()),
            labels=tuple(dict.fromkeys(text for text in texts if text)),
            split=_split(place, values.get("split")),
        )

    def _several(self, label: Any) -> list[Any]:
        """Labels of one cell."""
        if label is None:
            return []
        if self.multi_label is False or not isinstance(label, str):
            return [label]
        return label.split(self.label_separator)

    def _labels(self, table: Path, rows: Sequence[_Row]) -> tuple[Any, tuple[str, ...]]:
        """Labels of the rows, int32 (rows,) or uint8 (rows, classes), and the class names."""
        several = next((row for row in rows if len(row.labels) > 1), None)
        if several and self.multi_label is False:
            raise DataError(several.place, "has several labels", "Set data.multi_label=true.")
        class_names = tuple(sorted({label for row in rows for label in row.labels}))
        if not class_names:
            raise DataError(str(table), "has no labels", "Fill the column label.")
        index = {name: number for number, name in enumerate(class_names)}
        if several or self.multi_label:
            hot = np.zeros((len(rows), len(class_names)), np.uint8)
            for number, row in enumerate(rows):
                hot[number, [index[label] for label in row.labels]] = 1
            return hot, class_names
        single = [index[row.labels[0]] if row.labels else -1 for row in rows]
        return np.array(single, np.int32), class_names


def by_column(table: Path, column: str | None) -> Groups | None:
    """Groups by what stands in a column of the table; None where it has no such column.

    Raises:
        DataError: It is no such table.
    """
    if column is None:
        return None
    key, found = column.strip().lower(), dict[str, str]()
    read = _read_jsonl if table.suffix.lower() in (".jsonl", ".ndjson") else _read_csv
    there = False
    for place, values in read(table):
        there = there or key in values
        path = values.get("path")
        if isinstance(path, str) and path.strip():
            cell = values.get(key)
            found[_inside(place, path.strip())] = "" if cell is None else str(cell).strip()
    if not there:
        return None
    return lambda ids: np.array([found.get(str(one), "") for one in ids], object)


def _inside(place: str, path: str) -> str:
    """The path in its shortest form; refused when relative and leading out of the root."""
    shortest = os.path.normpath(path)
    if not os.path.isabs(path) and shortest.split(os.sep, 1)[0] == "..":
        raise DataError(
            place,
            f"{path} leads out of the image folder",
            "Set data.image_root to a folder above, or write the full path.",
        )
    return shortest


def _split(place: str, value: Any) -> int:
    """Number of a split's name, -1 where none is given."""
    word = "" if value is None else str(value).strip().lower()
    if not word:
        return -1
    if word not in SPLIT_WORDS:
        raise DataError(place, f"has the split {value!r}", f"Give {', '.join(SPLIT_NAMES)}.")
    return SPLIT_WORDS[word]


def _read_csv(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and values of each row of a CSV with a header; `,`, `;` or a tab between cells."""
    with _text(table) as file:
        try:
            start = file.readline()
            file.seek(0)
            columns, separator = _header(table, start)
            reader = csv.DictReader(file, strict=True, delimiter=separator)
            _ = reader.fieldnames
            reader.fieldnames = columns
            for values in reader:
                yield f"{table} line {reader.line_num}", values
        except csv.Error as error:
            raise DataError(str(table), f"is no CSV: {error}", "Correct the line.") from error


def _header(table: Path, line: str) -> tuple[list[str], str]:
    """Columns of the first line, and what stands between them."""
    found: list[list[str]] = []
    for separator in _SEPARATORS:
        cells = next(csv.reader([line], delimiter=separator), [])
        columns = [name.strip().lower() for name in cells]
        if {"path", "label"} <= set(columns):
            return columns, separator
        found.append(columns)
    columns = max(found, key=len)
    raise DataError(
        str(table),
        f"has the columns {', '.join(map(shown, columns)) or 'none'}",
        "Give a first line with path, label and, if wanted, split.",
    )


@contextlib.contextmanager
def _text(table: Path) -> Iterator[TextIO]:
    """A table as text; never a pipe or a device, and faults told with the file."""
    with (
        open_regular(table, "csv") as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
        reading(table),
    ):
        try:
            yield text
        except UnicodeDecodeError:
            raise DataError(str(table), "is not UTF-8 text", "Save it as UTF-8.") from None


def _read_jsonl(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and values of each line of a file of JSON objects."""
    with _text(table) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"{table} line {number}"
                yield place, _json_object(place, line)


def _json_object(place: str, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise DataError(place, f"is no JSON: {error}", "Correct the line.") from error
    if not isinstance(values, dict):
        raise DataError(place, "is no JSON object", 'Write {"path": …, "label": …}.')
    return values
