"""`tl predict`: name what pictures show, by a run or by a backbone's own ImageNet head."""

import contextlib
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tlcli.commands import predict_shares
from tlcli.commands.namer import Namer, answer
from tlcli.commands.sharing import crew_of
from tlcli.config import bundled
from tlcli.config.checking import Checked
from tlcli.config.settings import Predict
from tlcli.data import arriving, named
from tlcli.data.views import worker_count
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError, TlError
from tlcli.export import manifest
from tlcli.runs import output
from tlcli.system import console
from tlcli.system.files import expanded
from tlcli.system.shown import CsvWriter, escaped, json_line, shown


def run(checked: Checked[Predict, None]) -> int:
    """Name pictures as configured; 1 when any picture could not be read."""
    console.start_log(None)
    settings, crew = checked.settings, crew_of(checked, not is_light(checked))
    place = (
        output.place(settings.output, settings.overwrite, mine=crew.is_chief)
        if settings.output
        else None
    )
    left_out = LeftOut()
    predict_shares.require_readable(crew, settings)
    paths = paths_of(settings, left_out)
    with contextlib.redirect_stdout(sys.stderr):  # Keras tells of downloads there
        namer = namer_of(checked)
    if place is not None and settings.shard is not None:
        return told(*predict_shares.write(place, namer, paths, settings, rows), left_out)
    found: Iterable[Mapping[str, Any]] = rows(namer, paths, settings)
    if not crew.is_alone:
        found = predict_shares.shared(crew, namer, settings, left_out, rows)
    if not crew.is_chief:
        return 0
    if place is not None:
        return told(*written(place, found, namer.told), left_out)
    # Where the rows themselves are seen, they tell how far it is.
    if not sys.stdout.isatty() and settings.watch is None:
        found = console.staged(found, "naming pictures", None, "pictures")
    writer = WRITERS[settings.format](sys.stdout, namer.told)
    return told(*added(writer, found, settings.streams), left_out)


def added(
    writer: Any, found: Iterable[Mapping[str, Any]], streams: bool = False
) -> tuple[int, int]:
    """Write rows; gives how many there are, and how many of pictures that could not be read.

    Args:
        writer: One of WRITERS.
        found: The rows.
        streams: Whether each is due at once, and one at least.

    Raises:
        ConfigError: None came.
    """
    failed = count = 0
    for row in found:
        failed += "error" in row
        count += 1
        writer.add(row)
        if streams:
            sys.stdout.flush()
    writer.close()
    if not count and streams:
        raise ConfigError("images", "none was named", "Give a line a picture, or files.")
    return count, failed


def written(
    place: Path, found: Iterable[Mapping[str, Any]], columns: Sequence[str]
) -> tuple[int, int]:
    """Write rows into a file that appears whole, in the form that its ending names; see `added`."""
    form = place.suffix.lower()[1:].replace("txt", "table")
    counts: list[tuple[int, int]] = []

    def fill(file: Any) -> None:
        text = io.TextIOWrapper(file, "utf-8", newline="")
        rows = console.staged(found, "naming pictures", None, "pictures")
        counts.append(added(WRITERS[form](text, columns), rows))
        text.detach()

    output.write_by(place, fill)
    return counts[0]


def told(count: int, failed: int, left_out: LeftOut, word: str = "predict") -> int:
    """Say what was left out and what could not be read; gives the exit code."""
    for note in left_out.notes():
        sys.stderr.write(f"tl {word}: {note}\n")
    if failed:
        sys.stderr.write(f"tl {word}: {failed} of {count} pictures could not be read\n")
    return 1 if failed else 0


def paths_of(settings: Predict, left_out: LeftOut) -> Iterable[str]:
    """The pictures; those that come later are not waited for."""
    if settings.watch is not None:
        folder = expanded(settings.watch, "watch")
        if not folder.is_dir():
            raise ConfigError("watch", f"{shown(folder)} is no folder", "Give one that is there.")
        return arriving.watched(folder)
    return named.listed() if settings.streams else named.expand(settings.images, left_out)


def namer_of(checked: Checked[Predict, None]) -> Namer:
    """An export without TensorFlow, else a Keras network."""
    if is_light(checked):
        from tlcli.commands import export_namer

        return export_namer.namer_of(checked.settings)
    from tlcli.commands import run_namer

    return run_namer.namer_of(checked)


def is_light(checked: Checked[Predict, None]) -> bool:
    """Whether TensorFlow is not needed before the pictures are known."""
    given = checked.settings.checkpoint
    return given is not None and manifest.is_export(bundled.located(given, "checkpoint"))


def rows(
    namer: Namer, paths: Iterable[str], settings: Predict, call: Any = None
) -> Iterator[dict[str, Any]]:
    """One row a picture, in the order given; memory holds a few batches, whatever their number.

    Args:
        namer: What names them.
        paths: Of the pictures.
        settings: Of the command.
        call: What `namer.look` gave; None asks it with the first batch.
    """
    size, workers = settings.batch_size, worker_count(settings.workers)
    if settings.streams:
        parts = arriving.flowing(namer.read, paths, workers, size)
    else:
        parts = batched(named.ahead(namer.read, paths, workers, 2 * size + workers), size)
    for part in parts:
        if call is None:
            call = namer.look(len(part) == size or settings.streams)
        images = [found for _, found in part if not isinstance(found, TlError)]
        logits, scores = call(np.stack(images)) if images else ((), None)
        said = zip(logits, itertools.repeat(None) if scores is None else scores, strict=False)
        for path, found in part:
            if isinstance(found, TlError):
                yield {"path": path, "error": getattr(found, "problem", str(found))}
            else:
                yield {"path": path, **answer(namer, *next(said), settings.top)}


def batched(found: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items, the last one of what is left."""
    while part := list(itertools.islice(found, size)):
        yield part


def text_of(row: Mapping[str, Any]) -> str:
    """A row as JSON in one line, which gives back each name to the byte."""
    return json_line(json.dumps(row, ensure_ascii=False))


class _Json:
    """One JSON list."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out, self.first = out, True
        out.write("[")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self.out.write(("\n" if self.first else ",\n") + text_of(row))
        self.first = False

    def close(self) -> None:
        """End the list."""
        self.out.write("\n]\n")


class _Jsonl:
    """A JSON object a line, as soon as it is known."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out = out

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        self.out.write(text_of(row) + "\n")
        self.out.flush()

    def close(self) -> None:
        """Nothing is open."""


class _Csv:
    """path,label,probability, then set and stranger as far as the run tells them, and error."""

    def __init__(self, out: TextIO, told: Sequence[str] = ()) -> None:
        self.writer = CsvWriter(out)
        self.columns = ["path", "label", "probability", *told, "error"]
        self.writer.row(self.columns)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        values = dict(row)
        if "labels" in row:
            values["label"] = "|".join(row["labels"])
        if "set" in row:
            values["set"] = "|".join(row["set"])
        if "stranger" in row:
            values["stranger"] = str(row["stranger"]).lower()
        self.writer.row([values.get(column, "") for column in self.columns])

    def close(self) -> None:
        """Nothing is open."""


class _Table:
    """Columns for a person."""

    def __init__(self, out: TextIO, _: Sequence[str] = ()) -> None:
        self.out = out

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row."""
        if "error" in row:
            self.out.write(f"{escaped(row['path'])}  error: {shown(row['error'])}\n")
            return
        best = ", ".join(f"{shown(t['label'])} {t['probability']:.2f}" for t in row["top"])
        doubt = "" if row["label"] != "uncertain" else "uncertain: "
        held = f"  set: {', '.join(map(shown, row['set']))}" if "set" in row else ""
        unlike = "  unlike the training images" if row.get("stranger") else ""
        self.out.write(f"{escaped(row['path'])}  {doubt}{best}{held}{unlike}\n")

    def close(self) -> None:
        """Nothing is open."""


WRITERS: dict[str, Any] = {"json": _Json, "jsonl": _Jsonl, "csv": _Csv, "table": _Table}
