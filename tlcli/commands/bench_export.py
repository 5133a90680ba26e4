"""`tl bench export`: exports beside each other, and beside the run that they were made of.

Each is opened by a process of its own; these are asked in turn, so that a noisy machine is noisy
for all of them.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlcli.config import bundled
from tlcli.config.checking import Checked
from tlcli.config.settings import BenchExport
from tlcli.errors import DataError, TlError
from tlcli.export import manifest
from tlcli.export.contract import format_of
from tlcli.lazy import np
from tlcli.runs import checkpoint, output
from tlcli.system import console, files
from tlcli.system.shown import shown

COLUMNS = {
    "size": ("MB", 1e-6, 2), "load_seconds": ("load s", 1, 2), "p50": ("p50 ms", 1e3, 2),
    "p99": ("p99 ms", 1e3, 2), "images_per_second": ("images/s", 1, 0),
    "peak_bytes": ("peak MB", 1e-6, 0),
}  # fmt: skip


@dataclass
class Arm:
    """Something that answers images, in a process of its own.

    Attributes:
        name: In the table.
        folder: Of the export or the run.
        size: Bytes of its model.
        process: Answers by lines of JSON.
        load_seconds: Until its first answer.
        single: Seconds of calls with one image.
        batched: Seconds of calls with a batch.
        peak_bytes: Most memory of its process.
    """

    name: str
    folder: Path
    size: int
    process: "subprocess.Popen[str]"
    load_seconds: float = 0.0
    single: list[float] = field(default_factory=list)
    batched: list[float] = field(default_factory=list)
    peak_bytes: int = 0


def run(checked: Checked[BenchExport, None]) -> int:
    """Time as configured and print the table; returns the exit code."""
    console.start_log(None)
    settings = checked.settings
    place = output.place(settings.output, settings.overwrite) if settings.output else None
    arms: list[Arm] = []
    try:
        for words in arms_of(settings.exports):
            with console.Stage(f"opening {words[0]}"):
                arms.append(started(*words))
        with console.Stage("timing"):
            for index in range(settings.rounds):
                for arm in arms[:: -1 if index % 2 else 1]:
                    ask(arm, settings)
    finally:
        for arm in arms:
            arm.process.kill()
            arm.process.communicate()
    found = [figures(arm, settings.batch_size) for arm in arms]
    sys.stdout.write(table(found))
    if place is not None:
        output.write(place, files.as_json(found).encode())
    return 0


def arms_of(given: Sequence[str]) -> list[tuple[str, Path, int, tuple[str, ...]]]:
    """Name, folder, size and further words of what is timed; a run is timed in two ways.

    Raises:
        DataError: One is neither a run nor an export, or damaged.
        ConfigError: The runtime of one is not installed.
    """
    found: list[tuple[str, Path, int, tuple[str, ...]]] = []
    for word in given:
        folder = bundled.located(word, "exports")
        name = files.expanded(word, "exports").name
        if manifest.is_export(folder):
            about = manifest.read(folder)
            kind = format_of(about.format)
            kind.require(kind.runs)
            found.append((name, folder, size_of(folder / kind.file), ()))
        elif checkpoint.is_finished(folder):
            size = (folder / checkpoint.WEIGHTS).stat().st_size
            found += [(f"{name} (tl)", folder, size, ()),
                      (f"{name} (Keras predict)", folder, size, ("--keras",))]  # fmt: skip
        else:
            raise DataError(str(folder), "is neither a run nor an export", "Give another folder.")
    return found


def size_of(model: Path) -> int:
    """Bytes of a file and of those that belong to it, or of a folder."""
    inside = model.rglob("*") if model.is_dir() else model.parent.glob(f"{model.stem}.*")
    return sum(path.stat().st_size for path in inside if path.is_file())


def started(name: str, folder: Path, size: int, words: Sequence[str]) -> Arm:
    """A process that has answered once.

    Raises:
        TlError: It ended.
    """
    line = [sys.executable, "-m", "tlcli.export.timing", str(folder), *words]
    process = subprocess.Popen(  # noqa: S603 - this program again
        line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    arm = Arm(name, folder, size, process)
    arm.load_seconds = answer_of(arm)["load_seconds"]
    return arm


def ask(arm: Arm, settings: BenchExport) -> None:
    """Some calls with one image, then as many images again in batches."""
    batch, calls = settings.batch_size, settings.calls
    for size, count, place in ((1, calls, arm.single), (batch, -(-calls // batch), arm.batched)):
        assert arm.process.stdin is not None
        asked = {"batch": size, "calls": count, "seconds": settings.seconds}
        arm.process.stdin.write(json.dumps(asked) + "\n")
        arm.process.stdin.flush()
        found = answer_of(arm)
        place += found["seconds"]
        arm.peak_bytes = found["peak_bytes"]


def answer_of(arm: Arm) -> Any:
    """The next line of a process.

    Raises:
        TlError: It ended.
    """
    assert arm.process.stdout is not None
    line = arm.process.stdout.readline()
    if line:
        return json.loads(line)
    said = arm.process.communicate()[1].strip().splitlines()
    raise TlError(f"{shown(arm.folder)}: {shown(said[-1]) if said else 'its process ended'}")


def figures(arm: Arm, batch: int) -> dict[str, Any]:
    """What was seen of an arm: bytes, seconds, images a second."""
    single = np.array(arm.single)
    return {
        "name": arm.name, "path": str(arm.folder), "size": arm.size,
        "load_seconds": arm.load_seconds, "p50": float(np.quantile(single, 0.5)),
        "p99": float(np.quantile(single, 0.99)), "batch_size": batch,
        "images_per_second": batch / float(np.median(arm.batched)), "peak_bytes": arm.peak_bytes,
    }  # fmt: skip


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """All of it for a person."""
    wide = max(len(shown(row["name"])) for row in found) + 2
    lines = [" " * wide + "".join(f"{name:>10}" for name, _, _ in COLUMNS.values())]
    for row in found:
        cells = (f"{row[key] * factor:>10.{digits}f}"
                 for key, (_, factor, digits) in COLUMNS.items())  # fmt: skip
        lines.append(f"{shown(row['name']):<{wide}}" + "".join(cells))
    return "\n".join(lines) + "\n"
