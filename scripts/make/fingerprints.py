"""Fingerprint what `tl` does: equal before and after a change that must not change results.

    python scripts/make/fingerprints.py before.json --root OTHER_CHECKOUT
    python scripts/make/fingerprints.py after.json
    python scripts/make/fingerprints.py --compare before.json after.json

Runs short command lines on the embedded digits, one after another, in a new folder: fine-tuning,
distillation, generations, a killed and resumed run, two devices, eval, predict and the plan. Keeps
hashes of the weights, and the figures and printed lines without paths, times and speeds.
`--compare` prints every difference and ends with 1 when there is one. Bits depend on the machine
and on the versions installed: make both files on one machine with one Python.
"""

import argparse
import csv
import difflib
import hashlib
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SECONDS = 300  # of a command, at most
COMMON = (
    "data.images_per_class=20", "batch_size=10", "epochs=3", "optimizer.learning_rate=0.003",
    "monitor=loss",
)  # fmt: skip
TAUGHT = ("teacher=run", "teacher.path=teacher")
# What a state must keep: dropout, a moving average, views, two phases.
STATEFUL = (
    "epochs=12", "augmentation=light", "head=mlp", "head.hidden=[16]", "head.dropout=0.3",
    "optimizer.ema=0.9", "save_every=2steps",
)  # fmt: skip

# In turn; the folders of the run and of the code are named before.
MASKS = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\b[0-9a-f]{32}\b", "<key>"),
        (r"^( +\d+ +\d+(?: +\S+){5})(?: +\S+?){2,3}( \*)?$", r"\1 <rate> <left>\2"),
        (r"\d{4}-\d\d-\d\d[T_ ]\d\d[-:]?\d\d[-:]?\d\d\S*", "<date>"),
        (r"[\d.,]+(?: / [\d.,]+)? m?s\b", "<time>"),
        (r"[\d.,]+ (?:images|img)/s\b", "<rate>"),
        (r"[\d.,]+ [KMGT]i?B(?= free\b| is there\b)", "<memory>"),
        (r'("(?:seconds|\w+_ms|git_commit)": )[^,]+', r"\1<masked>"),
    )
)


@dataclass(frozen=True)
class Place:
    """Where commands run.

    Attributes:
        root: Folder that the package tlcli is imported from.
        work: Folder of the runs, of the caches and of compiled Python.
    """

    root: Path
    work: Path

    def start(self, name: str, command: Sequence[str]) -> "subprocess.Popen[str]":
        """Start Python with some words; each case has a cache of its own."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment |= {
            "PYTHONPATH": str(self.root), "PYTHONPYCACHEPREFIX": str(self.work / "pycache"),
            "XDG_CACHE_HOME": str(self.work / "cache" / name), "CUDA_VISIBLE_DEVICES": "-1",
            "TMPDIR": str(self.work / "tmp"), "COLUMNS": "120",
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.work, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def tl(self, name: str, words: Sequence[str]) -> "subprocess.Popen[str]":
        """Start tl for a case."""
        return self.start(name, ["-m", "tlcli.cli", *words])

    def masked(self, text: str) -> list[str]:
        """Lines without what differs from place to place and from time to time."""
        text = text.replace(str(self.work), "<work>")
        # Modules may move; the name of a file that is read stays.
        text = re.sub(rf"{re.escape(str(self.root))}/(?:[^\s/:]+/)*", "<root>/", text)
        return [masked_line(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Case:
    """A command line whose end is fingerprinted.

    Attributes:
        words: Of tl.
        needs: Case that must be done before, or None.
        prepare: Makes what the command reads, or None.
        printed: Whether the printed lines are the same each time.
    """

    words: tuple[str, ...]
    needs: str | None = None
    prepare: Callable[[Place], None] | None = None
    printed: bool = True


def masked_line(line: str) -> str:
    """A line without times, speeds and keys of caches."""
    for pattern, shown in MASKS:
        line = pattern.sub(shown, line)
    return line


def write_outputs(place: Place) -> None:
    """A file of outputs for the images of the run `full`, as another program would make it."""
    with (place.work / "full" / "split.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["class"] for row in rows})
    labels = [names.index(row["class"]) for row in rows]
    noise = np.random.default_rng(0).normal(0, 0.5, (len(rows), len(names)))
    logits = (3 * np.eye(len(names))[labels] + noise).astype("float32")
    np.savez(place.work / "outputs.npz", id=[row["id"] for row in rows], logits=logits)


def write_pictures(place: Place) -> None:
    """Two grey PNG files: a ring and a bar."""
    height, width = np.mgrid[-1:1:40j, -1:1:32j]
    distance = np.hypot(height, width)
    write_png(place.work / "ring.png", (np.abs(distance - 0.6) < 0.2) * 255)
    write_png(place.work / "bar.png", (np.abs(width) < 0.2) * 255)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write grey pixels from 0 to 255 (height, width)."""
    height, width = pixels.shape
    rows = np.pad(pixels.astype("uint8"), ((0, 0), (1, 0))).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        check = zlib.crc32(kind + data)
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
    path.write_bytes(content)


def kill_a_run(place: Place) -> None:
    """Start a training, and kill it once a whole state is there.

    Raises:
        RuntimeError: It ended, or had no state in time.
    """
    run = place.work / "resumed"
    process = place.tl("resumed", ["train", "run_dir=resumed", *COMMON, *STATEFUL])
    end = time.monotonic() + SECONDS
    while process.poll() is None and not list((run / "state").glob("0*.json")):
        if time.monotonic() > end:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    if process.returncode != -signal.SIGKILL or not list((run / "state").glob("0*.json")):
        told = errors.strip().rpartition("\n")[2]
        raise RuntimeError(f"the training was not killed with a state; it said: {told}")


def training(name: str, *words: str, needs: str | None = None) -> Case:
    """A short training into a folder of its name."""
    return Case(("train", f"run_dir={name}", *COMMON, *words), needs)


CASES = {
    "teacher": training("teacher", "data.images_per_class=40", "finetune=full"),
    "full": training("full", "finetune=full"),
    "linear_probe": training("linear_probe", "finetune=linear_probe"),
    "lp_ft": training("lp_ft", "finetune=lp_ft", "monitor=auto"),
    "lora": training("lora", "finetune=lora", "finetune.targets=['tiny_block[34]_conv']"),
    "wise_ft": training("wise_ft", "finetune=wise_ft"),
    "kd": training("kd", "distillation=kd", *TAUGHT, needs="teacher"),
    "simkd": training("simkd", "distillation=simkd", *TAUGHT, needs="teacher"),
    "crd": training("crd", "distillation=crd", *TAUGHT, needs="teacher"),
    "mutual": training("mutual", "distillation=mutual"),
    "born_again": training("born_again", "distillation=born_again", "generations=2"),
    "funmatch": training(
        "funmatch", "config=funmatch", "teacher.path=teacher", "validate_every=1", needs="teacher"
    ),
    "teacher_file": Case(
        ("train", "run_dir=teacher_file", *COMMON, "distillation=kd", "teacher=file",
         "teacher.path=outputs.npz"), "full", write_outputs,
    ),
    "augmentation": training("augmentation", "augmentation=standard", "finetune=full"),
    "auto": Case(
        ("train", "run_dir=auto", "config=auto", "data.images_per_class=20", "epochs=3")
    ),
    "resumed": Case(("train", "resume=resumed"), None, kill_a_run, printed=False),
    "two_devices": training(
        "two_devices", "finetune=full", "hardware=mirrored", "hardware.logical_devices=2"
    ),
    "eval": Case(("eval", "checkpoint=full", "format=json"), "full"),
    "predict": Case(
        ("predict", "ring.png", "bar.png", "checkpoint=full", "format=json"), "full",
        write_pictures,
    ),
    "plan": Case(("train", "run_dir=plan", *COMMON, "plan_only=true")),
}  # fmt: skip


def wanted(only: Sequence[str]) -> list[str]:
    """Cases to run, in order: all, or some and those that they need."""
    if not only:
        return list(CASES)
    needed = {CASES[name].needs for name in only}
    return [name for name in CASES if name in needed or name in only]


def fingerprint(place: Place, name: str) -> dict[str, Any]:
    """Run a case; gives hashes and lines of what it left."""
    case = CASES[name]
    try:
        if case.prepare is not None:
            case.prepare(place)
    except (OSError, RuntimeError) as error:
        return {"exit": f"not run: {error}"}
    process = place.tl(name, case.words)
    try:
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    found = {"command": shlex.join(["tl", *case.words]), "exit": process.returncode}
    found |= run_fingerprint(place, place.work / name)
    if case.printed or process.returncode:
        found["printed"] = lines_fingerprint(place.masked(output) + place.masked(errors))
    return found


def run_fingerprint(place: Place, run: Path) -> dict[str, Any]:
    """Weights and figures of a run, of its generations and of its peers, by file."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("model.weights.h5")):
        found[str(path.relative_to(run))] = weights_fingerprint(path)
    for kind in ("metrics.json", "metrics.csv", "metadata.json", "train.log"):
        for path in sorted(run.rglob(kind)):
            lines = place.masked(path.read_text(encoding="utf-8"))
            found[str(path.relative_to(run))] = lines_fingerprint(lines)
    return found


def weights_fingerprint(path: Path) -> dict[str, str]:
    """Hashes of the arrays with their names, in order, and of the file, which has no times."""
    arrays = hashlib.sha256()

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays.update(f"{name} {item.dtype.str} {item.shape}\n".encode())
            arrays.update(item[()].tobytes())

    with h5py.File(path) as file:
        file.visititems(add)
    return {"arrays": arrays.hexdigest(), "file": hashlib.sha256(path.read_bytes()).hexdigest()}


def lines_fingerprint(lines: list[str]) -> dict[str, Any]:
    """Hash of some lines, and the lines."""
    return {"sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(), "lines": lines}


def imported_from(place: Place) -> Path:
    """Folder that the package is in when a command of a place imports it."""
    code = "import tlcli, pathlib; print(pathlib.Path(tlcli.__file__).resolve().parent)"
    output, errors = place.start("import", ["-c", code]).communicate(timeout=SECONDS)
    if not output:
        sys.exit(f"{place.root}: tlcli cannot be imported. {errors[-500:]}")
    return Path(output.strip())


def make(out: Path, root: Path, only: Sequence[str]) -> int:
    """Run the cases and write their fingerprints; gives 1 when a command failed."""
    found, failed = {}, False
    with tempfile.TemporaryDirectory(prefix="fingerprints_") as folder:
        place = Place(root.resolve(), Path(folder).resolve())
        (place.work / "tmp").mkdir()
        package = imported_from(place)
        if not package.is_relative_to(place.root):
            sys.exit(f"tlcli is imported from {package}, not from {place.root}")
        for name in wanted(only):
            started = time.monotonic()
            found[name] = fingerprint(place, name)
            code = found[name]["exit"]
            failed = failed or code != 0
            print(f"{name:<14}exit {code} {time.monotonic() - started:6.1f} s", flush=True)
    out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if failed else 0


def leaves(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested dictionaries with the keys that lead to them."""
    for key, value in tree.items():
        name = f"{before} {key}".strip()
        if isinstance(value, dict):
            yield from leaves(value, name)
        elif key != "sha256" or "lines" not in tree:  # lines tell more than their hash
            yield name, value


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """What two files of fingerprints do not share, a line each, texts as diffs."""
    for name in dict.fromkeys([*one, *other]):
        if name in one and name in other:
            yield from case_differences(name, one[name], other[name])
        else:
            yield f"{name}: only in the {'first' if name in one else 'second'} file"


def case_differences(case: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """What two fingerprints of a case do not share."""
    first, second = dict(leaves(one, case)), dict(leaves(other, case))
    for name in dict.fromkeys([*first, *second]):
        before, after = first.get(name), second.get(name)
        if before == after:
            continue
        if isinstance(before, list) and isinstance(after, list):
            yield from difflib.unified_diff(before, after, name, name, lineterm="", n=0)
        else:
            yield f"{name}: {brief(before)} -> {brief(after)}"


def brief(value: Any) -> str:
    """A value in a line."""
    if value is None:
        return "missing"
    return f"{len(value)} lines" if isinstance(value, list) else str(value)


def compare(one: Path, other: Path) -> int:
    """Print the differences of two files; gives 1 when there are any."""
    found = list(differences(*(json.loads(p.read_text(encoding="utf-8")) for p in (one, other))))
    print("\n".join(found) if found else f"{one} and {other} are equal")
    return 1 if found else 0


def main() -> int:
    """Make fingerprints or compare two files of them; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT.json")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--only", nargs="+", choices=CASES, default=[], metavar="NAME")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("A.json", "B.json"))
    given = parser.parse_args()
    if given.compare:
        return compare(*given.compare)
    if given.out is None:
        parser.error("give OUT.json or --compare A.json B.json")
    return make(given.out, given.root, given.only)


if __name__ == "__main__":
    sys.exit(main())
