"""`tl explain`: heat over pictures where a class was read from."""

import io
import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.commands.namer import limit_of
from tlcli.commands.run_heat import picture
from tlcli.config.checking import Checked
from tlcli.config.settings import Explain
from tlcli.data import named
from tlcli.data.views import worker_count
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError, TlError, nearest
from tlcli.evaluation.classifier import classifier
from tlcli.evaluation.explain import Explainer
from tlcli.lazy import tf
from tlcli.runs import checkpoint, latest, output
from tlcli.runs.checkpoint import Checkpoint
from tlcli.system import console, files
from tlcli.system.shown import CsvWriter, escaped, shown
from tlcli.system.standing import addressed

MOST_CLASSES = 5  # of one picture that nobody chose
TABLE = "explained.csv"
COLUMNS = ("path", "output", "class", "probability", "method", "error")


@dataclass(frozen=True)
class Explained:
    """A picture and a class.

    Attributes:
        path: The picture.
        image: As the network sees it, uint8 (side, side, 3).
        label: Index of the class.
        probability: That the network gives it.
        heat: float (side, side), 0 to 1.
    """

    path: str
    image: Any
    label: int
    probability: float
    heat: Any


def run(checked: Checked[Explain, None]) -> int:
    """Explain pictures as configured; 1 when any of them could not be read."""
    console.start_log(None)
    settings, left_out = checked.settings, LeftOut()
    paths = list(named.expand(settings.images, left_out))
    given = latest.chosen(settings.checkpoint, settings.runs, "Train one, or give checkpoint=RUN.")
    with console.Stage("reading the checkpoint"):
        found = checkpoint.read_run(given)
    with output.folder(settings.output, "output", (TABLE,)) as folder:
        return _explain(settings, found, folder, paths, left_out)


def _explain(
    settings: Explain, found: Checkpoint, folder: Path, paths: Sequence[str], left_out: LeftOut
) -> int:
    asked = indices(settings.classes, found.class_names)
    table = output.place(str(folder / TABLE), settings.overwrite)
    explainer = Explainer.of(found.model)
    method = explainer.method(settings.method)
    if settings.method not in ("auto", method):
        console.say(f"{'method':<10} {method}, for the network has no maps but tokens or vectors")
    files.make_folder(folder)
    rows, taken = [], Names(folder, settings.overwrite)
    for one in explained(found, explainer, paths, settings, asked):
        rows.append(one if isinstance(one, dict) else written(one, taken, found, method))
        sys.stdout.write(line(rows[-1]))
    output.write(table, as_csv(rows).encode())
    for note in left_out.notes():
        sys.stderr.write(f"tl explain: {note}\n")
    failed = sum(bool(row["error"]) for row in rows)
    if failed:
        sys.stderr.write(f"tl explain: {failed} of {len(paths)} pictures could not be read\n")
    return 1 if failed else 0


def indices(asked: Sequence[str], names: Sequence[str]) -> list[int]:
    """Places of classes that are given by name.

    Raises:
        ConfigError: The run has no such class.
    """
    for one in asked:
        if one not in names:
            problem = f"the run has no class {shown(one)!r}"
            raise ConfigError("class", problem, nearest(one, [shown(name) for name in names]))
    return [list(names).index(one) for one in asked]


def explained(
    found: Checkpoint, explainer: Explainer, paths: Sequence[str], settings: Explain,
    asked: Sequence[int],
) -> Iterator[Explained | dict[str, Any]]:  # fmt: skip
    """Each picture with each of its classes, in order; a row with an error for one not readable."""
    size, workers = settings.batch_size, worker_count(settings.workers)
    read = named.reader(found.resize, limit_of(found.config.get("data")))
    decoded = named.ahead(read, paths, workers, size + workers)
    call = classifier(found.model, many=False)
    while part := list(itertools.islice(decoded, size)):
        good = [(path, image) for path, image in part if not isinstance(image, TlError)]
        for path, problem in part:
            if isinstance(problem, TlError):
                told = getattr(problem, "problem", str(problem))
                yield {**dict.fromkeys(COLUMNS, ""), "path": path, "error": told}
        if good:
            images = tf.stack([image for _, image in good])
            logits = np.asarray(call(images))
            shares = found.probabilities(logits)
            yield from heated(explainer, good, shares, settings, chosen(found, shares, asked))


def chosen(found: Checkpoint, shares: Any, asked: Sequence[int]) -> list[list[int]]:
    """Classes of each picture that are explained."""
    if asked:
        return [list(asked)] * len(shares)
    if not found.multi_label:
        return [[int(label)] for label in shares.argmax(1)]
    order = np.argsort(-shares, axis=1, kind="stable")
    above = np.take_along_axis(shares >= found.thresholds, order, 1)
    several = [row[there][:MOST_CLASSES] for row, there in zip(order, above, strict=True)]
    return [[int(i) for i in (some if len(some) else row[:1])]
            for some, row in zip(several, order, strict=True)]  # fmt: skip


def heated(
    explainer: Explainer, good: Sequence[tuple[str, Any]], shares: Any, settings: Explain,
    classes: Sequence[Sequence[int]],
) -> Iterator[Explained]:  # fmt: skip
    """Pictures of a batch with the heat of their classes."""
    pairs = [(row, label) for row, labels in enumerate(classes) for label in labels]
    images = np.stack([np.asarray(good[row][1]) for row, _ in pairs])
    maps = explainer.heat(images, [label for _, label in pairs], settings.method)
    for (row, label), image, one in zip(pairs, images, maps, strict=True):
        yield Explained(good[row][0], image, label, float(shares[row, label]), one)


class Names:
    """Names of files in a folder, each given once."""

    def __init__(self, folder: Path, overwrite: bool) -> None:
        """Take no name yet."""
        self.folder, self.overwrite, self._given = folder, overwrite, set[str]()

    def place(self, path: str, name: str) -> Path:
        """A free file for a picture and a class, named after both.

        Raises:
            ConfigError: There is a file of that name that tl did not write.
        """
        stem = f"{plain(Path(path).stem)}.{plain(name)}"
        wanted = (f"{stem}{f'_{n}' if n > 1 else ''}.png" for n in itertools.count(1))
        free = next(one for one in wanted if one.casefold() not in self._given)
        self._given.add(free.casefold())
        return output.place(os.path.join(self.folder, free), self.overwrite)


def plain(text: str) -> str:
    """A text as part of a file name: letters, digits, and strokes for all else."""
    return re.sub(r"[^\w-]+", "_", text).strip("_-")[:60] or "picture"


def written(one: Explained, names: Names, found: Checkpoint, method: str) -> dict[str, Any]:
    """Write a picture with its heat; gives its row."""
    name = found.class_names[one.label]
    path = names.place(one.path, name)
    output.write(path, picture(one.image, one.heat))
    return {
        "path": one.path, "output": addressed(str(path)), "class": name,
        "probability": one.probability,
        "method": method if one.heat.any() else f"{method}: nothing speaks for it", "error": "",
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """A row for a person."""
    if row["error"]:
        return f"{escaped(row['path'])}  error: {shown(row['error'])}\n"
    told = f"{shown(row['class'])} {row['probability']:.2f}"
    return f"{escaped(row['path'])}  {told}  {escaped(row['output'])}\n"


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table for programs."""
    text = io.StringIO()
    writer = CsvWriter(text)
    writer.row(COLUMNS)
    for row in rows:
        writer.row([row[column] for column in COLUMNS])
    return text.getvalue()
