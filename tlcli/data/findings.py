"""Tables of pictures to leave out or to relabel: audit.csv, perhaps edited, or one of a person."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tlcli.errors import ConfigError
from tlcli.system.opened import read_text, reading
from tlcli.system.shown import fused, shown

# Kinds of which the suggestion is a class.
LABEL_KINDS = ("label_error", "conflicting_label")
EXCLUDE = "exclude"
_REMEDY = "Give audit.csv of tl audit, or a table with a column id."


@dataclass(frozen=True, order=True)
class Entry:
    """What a table says of a picture.

    Attributes:
        id: Of the picture.
        kind: Of the finding; empty in a table without kinds.
        suggestion: A class, or what to do.
    """

    id: str
    kind: str
    suggestion: str


def excluding(path: Path) -> list[Entry]:
    """Pictures that a table leaves out: all of it, of audit.csv those with a doubtful label too.

    Raises:
        ConfigError: There is no such table, or it is another.
        DataError: It cannot be read.
    """
    every = _entries(path, "data.exclude")
    return [one for one in every
            if not one.kind or one.kind in LABEL_KINDS or one.suggestion == EXCLUDE]  # fmt: skip


def relabelling(path: Path) -> list[Entry]:
    """Pictures that a table gives another label, of audit.csv those with a doubtful one.

    Raises:
        ConfigError: There is no such table, or it is another.
        DataError: It cannot be read.
    """
    every = _entries(path, "data.relabel")
    return [entry for entry in every
            if entry.suggestion and (not entry.kind or entry.kind in LABEL_KINDS)]  # fmt: skip


def _entries(path: Path, where: str) -> Iterator[Entry]:
    if not path.is_file():
        raise ConfigError(where, f"{shown(path)}: there is no such file", _REMEDY)
    text = read_text(path, "csv")
    with reading(path):
        rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
        columns = [str(name) for name in rows.fieldnames or ()]
    _check_columns(path, where, columns)
    label = "suggestion" if "suggestion" in columns else "label"
    with reading(path):
        for row in rows:
            name = fused(row.get("id") or "")
            if name:
                yield Entry(name, row.get("kind") or "", fused(row.get(label) or ""))


def _check_columns(path: Path, where: str, columns: list[str]) -> None:
    """Refuse tables that say something else.

    Raises:
        ConfigError: It is one.
    """
    if "label_error" in columns:
        problem = f"{shown(path)} has the scores of all pictures, and no findings"
        raise ConfigError(where, problem, "Give audit.csv, which lies beside it.")
    needed = ["id"] if where == "data.exclude" else ["id", "suggestion"]
    lacking = [name for name in needed if name not in columns]
    if "suggestion" in lacking and "label" in columns:
        lacking.remove("suggestion")
    if lacking:
        problem = f"{shown(path)} has no column {lacking[0]}"
        raise ConfigError(where, problem, _REMEDY.replace("id.", "id and, to relabel, suggestion."))
