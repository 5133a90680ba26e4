"""Damage files and words at random and give them to every reader; count what comes of it.

    python scripts/make/fuzz.py --seconds 400 --inputs 20000
    python scripts/make/fuzz.py --only hdf5 json --seed 7

Each input is a good one with bits flipped, cut off, parts repeated, types swapped or huge numbers
put in. A reader may take it or refuse it with one line; a traceback, a crash, a hang of ten seconds
and more than a gigabyte of memory are bad. Bad inputs are kept in the folder `--keep`. Prints a
table and ends with 1 when anything was bad.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import os
import random
import re
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

OUTCOMES = ("ok", "refused", "traceback", "crash", "hang", "memory")
BAD = OUTCOMES[2:]
HANG_SECONDS = 10
MOST_MEMORY = 1 << 30
PREPARED = "good_prepared"  # no reader is called so: each has a folder of its name for its inputs
HUGE = (
    "1e308", "-1e308", "1e400", "NaN", "-Infinity", "0", "-1", "99999999999999999999", "2147483648",
    "9" * 400, "1e30", "0.0000001", "null", "true", '""', "[]", "{}", "~nouser/x", "\x00", "\ud800",
    "../../etc/passwd", "/dev/zero", "[" * 5000, "{" * 30, "\u202e", "a" * 5000,
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """What reads one kind of input.

    Attributes:
        good: An input that is read well, of which damaged ones are made.
        read: Reads the file at a path; raises a TlError for what it refuses.
        name: Of the file.
        text: Whether numbers and words are swapped too.
    """

    good: bytes
    read: Callable[[Path], Any]
    name: str
    text: bool = False


def damaged(good: bytes, text: bool, draw: random.Random) -> bytes:
    """An input with one to four faults."""
    content = good
    for _ in range(draw.choice((1, 1, 2, 4))):
        faults = [flipped, cut, repeated, overwritten]
        faults += [swapped, retyped, swapped, retyped] if text else []
        content = draw.choice(faults)(content, draw)
    return content


def flipped(content: bytes, draw: random.Random) -> bytes:
    """With one to sixteen bits turned."""
    found = bytearray(content)
    for _ in range(draw.choice((1, 1, 4, 16)) if found else 0):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def cut(content: bytes, draw: random.Random) -> bytes:
    """Without its end, or without a piece."""
    start = draw.randrange(len(content) + 1)
    end = draw.choice((len(content), min(len(content), start + draw.randrange(1, 64))))
    return content[:start] + content[end:]


def repeated(content: bytes, draw: random.Random) -> bytes:
    """With a piece once more, at another place."""
    start, place = draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)
    piece = content[start : start + draw.choice((1, 8, 64, 1000))]
    return content[:place] + piece * draw.choice((1, 2, 50)) + content[place:]


def overwritten(content: bytes, draw: random.Random) -> bytes:
    """With a number of four or eight bytes that is huge, negative or not finite."""
    width = draw.choice((1, 2, 4, 8))
    value = draw.choice(
        (b"\xff" * 8, b"\x00" * 8, b"\xff" * 7 + b"\x7f", b"\x00" * 6 + b"\xf0\x7f")
    )
    place = draw.randrange(len(content) + 1)
    return content[:place] + value[-width:] + content[place + width :]


def swapped(content: bytes, draw: random.Random) -> bytes:
    """With a word or number replaced."""
    found = list(re.finditer(rb"[\w.+-]+", content))
    if not found:
        return content
    at = draw.choice(found)
    new = draw.choice(HUGE).encode("utf-8", "surrogatepass")
    return content[: at.start()] + new + content[at.end() :]


def retyped(content: bytes, draw: random.Random) -> bytes:
    """JSON with a value of another type; else with a word replaced."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return swapped(content, draw)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    if not isinstance(tree, (dict, list)):
        return swapped(content, draw)
    walk(tree)
    if places:
        node, key = draw.choice(places)
        node[key] = draw.choice(
            (None, True, -1, 0, 1e308, float("nan"), float("inf"), 10**30, "", "x" * 5000, [], {},
             [[1]], {"name": 1}, "\x1b[31m", "../x", [None] * 50, {"a": {"b": {}}}, 2**31, 20000)
        )  # fmt: skip
    return json.dumps(tree).encode()


def readers(folder: Path) -> dict[str, Reader]:
    """Every reader, with good inputs that are made in a folder."""
    made = good_inputs(folder)
    words = " ".join((
        "train data=digits backbone=tiny epochs=3 optimizer.learning_rate=0.001 seed=5",
        "data.classes=[1,2,3] image_size=32 augmentation=standard cache_memory=0.5",
        "optimizer.clip_norm=1.0 early_stopping=3 batch_size=16 save_every=5min monitor=loss",
    ))  # fmt: skip
    return {
        "recipe": Reader(made["recipe"], read_recipe, "a.yaml", text=True),
        "words": Reader(words.encode(), read_words, "words.txt", text=True),
        "metadata": Reader(made["metadata.json"], read_in_run, "metadata.json", text=True),
        "config": Reader(made["config.json"], read_in_run, "config.json", text=True),
        "metrics": Reader(made["metrics.json"], read_in_run, "metrics.json", text=True),
        "hdf5": Reader(made["model.weights.h5"], read_hdf5, "a.weights.h5"),
        "npy": Reader(made["a.npy"], read_npy, "train_data.npy"),
        "npz": Reader(made["a.npz"], read_npz, "a.npz"),
        "strangers": Reader(made["strangers.npz"], read_strangers, "strangers.npz"),
        "outputs": Reader(made["outputs.npz"], read_outputs, "a.npz"),
        "records": Reader(made["a.tfrecord"], read_outputs, "a.tfrecord"),
        "shards": Reader(made["train.tfrecord"], read_shards, "train.tfrecord"),
        "csv": Reader(made["a.csv"], read_csv, "a.csv", text=True),
        "png": Reader(made["a.png"], read_picture, "a.png"),
        "jpeg": Reader(made["a.jpg"], read_picture, "a.jpg"),
        "gif": Reader(made["a.gif"], read_picture, "a.gif"),
        "state": Reader(made["state.npz"], read_state, "00000001.npz"),
        "jsonl": Reader(made["a.jsonl"], read_csv, "a.jsonl", text=True),
        "tiff": Reader(made["a.tiff"], read_picture, "a.tiff"),
        "webp": Reader(made["a.webp"], read_picture, "a.webp"),
        "split": Reader(made["split.csv"], read_split, "split.csv", text=True),
        "prepared": Reader(made["prepared.json"], read_prepared, "prepared.json", text=True),
        "index": Reader(made["index.npz"], read_prepared, "train-00000-of-00001.npz"),
    }


def good_inputs(folder: Path) -> dict[str, bytes]:
    """One good input of each kind, by name; made in another process, so that this one can fork."""
    child = os.fork()
    if not child:
        try:
            make_inputs(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit("the good inputs could not be made")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def make_inputs(folder: Path) -> None:
    """Write them."""
    import numpy as np
    from PIL import Image

    from tlcli.commands import train
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    run = folder / "run"
    words = [f"run_dir={run}", "epochs=1", "data.images_per_class=8", "batch_size=10",
             "data=digits", f"cache_dir={folder / 'cache'}"]  # fmt: skip
    with contextlib.redirect_stderr(io.StringIO()):
        train.run(check_request(compose.read("train", words)))
    for name in ("metadata.json", "config.json", "metrics.json", "model.weights.h5", "split.csv"):
        (folder / name).write_bytes((run / name).read_bytes())
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (8, 8, 8, 3), np.uint8)
    labels = np.arange(8) % 2
    np.save(folder / "a.npy", pictures)
    np.savez(folder / "a.npz", train_data=pictures, train_labels=labels)
    ids = np.array([f"{number}.png" for number in range(8)])
    np.savez(folder / "outputs.npz", ids=ids, logits=rng.normal(size=(8, 2)))
    for name in ("a.png", "a.jpg", "a.gif", "a.tiff", "a.webp"):
        Image.fromarray(pictures[0]).save(folder / name)
    (folder / "recipe").write_text(
        "# A recipe.\nepochs: 3\nbatch_size: 16\nseed: 7\noptimizer:\n  name: adamw\n"
        "  learning_rate: 0.001\ndata: {name: digits, images_per_class: 8}\nassistants: []\n"
    )
    rows = "".join(f"{number}.png,{'ab'[number % 2]},train\n" for number in range(8))
    (folder / "a.csv").write_text(f"path,label,split\n{rows}")
    table = [{"path": f"{number}.png", "label": "ab"[number % 2]} for number in range(8)]
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in table))
    bank, two = rng.normal(size=(8, 4)).astype(np.float16), np.ones(2)
    scalars = {"threshold": np.float64(1), "inside": np.float64(0.9), "several": np.bool_(False)}
    np.savez(folder / "strangers.npz", bank=bank, centre=two, spread=two, **scalars)
    np.savez(folder / "state.npz", a0=rng.normal(size=(4, 4)))
    make_records(folder)
    make_prepared(folder)


def make_prepared(folder: Path) -> None:
    """Write what `tl prepare` makes of the table."""
    from tlcli.commands import prepare
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    for number in range(8):
        (folder / f"{number}.png").write_bytes((folder / "a.png").read_bytes())
    out = folder.with_name(PREPARED)  # never within the data
    words = ["data=csv", f"data.path={folder / 'a.csv'}", f"output={out}",
             f"cache_dir={folder / 'cache'}"]  # fmt: skip
    with contextlib.redirect_stderr(io.StringIO()):
        prepare.run(check_request(compose.read("prepare", words)))
    (folder / "prepared.json").write_bytes((out / "prepared.json").read_bytes())
    (folder / "index.npz").write_bytes((out / "train-00000-of-00001.npz").read_bytes())


def make_records(folder: Path) -> None:
    """Write TFRecord files: of teacher outputs, and of pictures."""
    import tensorflow as tf

    def feature(value: Any) -> Any:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=value))

    png = (folder / "a.png").read_bytes()
    for name, row in (
        ("a.tfrecord", lambda n: {"id": f"{n}".encode(), "logits": [0.5, float(n)]}),
        ("train.tfrecord", lambda n: {"image/encoded": png, "image/class/label": n % 2}),
    ):
        with tf.io.TFRecordWriter(str(folder / name)) as writer:
            for number in range(8):
                features = {key: feature(value) for key, value in row(number).items()}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())


# ---- the readers ---------------------------------------------------------------------------
def read_recipe(path: Path) -> None:
    """A recipe, composed and checked."""
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    check_request(compose.read("train", [f"config={path}"]))


def read_words(path: Path) -> None:
    """A command line, composed and checked."""
    from tlcli.config import compose
    from tlcli.config.checking import check_request

    words = path.read_text(encoding="utf-8", errors="surrogateescape").replace("\0", "").split()
    check_request(compose.read("train", words[1:]))


def read_in_run(path: Path) -> None:
    """A file of a run in its run: for predict, for compare, and as a backbone."""
    from tlcli.commands import compare_rows
    from tlcli.config import registry
    from tlcli.errors import TlError
    from tlcli.runs import checkpoint, sealed

    run, good = path.parent, path.parents[1] / "good/run"
    for name in (*sealed.FILES, "metadata.json"):
        if not (run / name).exists() and (good / name).exists():
            (run / name).write_bytes((good / name).read_bytes())
    # Sealed again, so that the damage reaches what lies behind the seal.
    found = sealed.hashes(run, run / sealed.WEIGHTS)
    if path.name != "metadata.json":
        facts = json.loads((good / "metadata.json").read_bytes())
        (run / "metadata.json").write_text(json.dumps({**facts, "sha256": found}))
    sealed.seal(run, found)
    problems = []
    for read in (
        lambda: checkpoint.read_run(run),
        lambda: compare_rows.gather([run], "auto"),
        lambda: registry.build("backbone", {**registry.defaults("backbone", "run"),
                                            "run": str(run)}),
    ):  # fmt: skip
        try:
            read()
        except TlError as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def read_hdf5(path: Path) -> None:
    """Weights, of this very model and by names."""
    from tlcli.errors import TlError
    from tlcli.models.by_name import load_by_name
    from tlcli.models.weights import load_exact

    model = _model(path.parents[1] / "good")
    try:
        load_exact(model, path)
    except TlError:
        load_by_name(model, path)


def _model(good: Path, kept: dict[str, Any] = {}) -> Any:  # noqa: B006 - built once a process
    from tlcli.runs import checkpoint

    if "model" not in kept:
        kept["model"] = checkpoint.read_run(good / "run").model
    return kept["model"]


def read_npy(path: Path) -> None:
    """A folder of arrays."""
    import numpy as np

    np.save(path.with_name("train_labels.npy"), np.arange(8) % 2)
    _data("npy", path.parent)


def read_npz(path: Path) -> None:
    """One file of arrays."""
    _data("npy", path)


def read_shards(path: Path) -> None:
    """A folder of TFRecord shards."""
    _data("tfrecord", path.parent)


def read_csv(path: Path) -> None:
    """A table of pictures, beside them."""
    for number in range(8):
        picture = path.with_name(f"{number}.png")
        if not picture.exists():
            picture.write_bytes((path.parents[1] / "good" / "a.png").read_bytes())
    _data("csv", path)


def read_strangers(path: Path) -> None:
    """What tells strangers of a run."""
    from tlcli.runs import strangers

    strangers.read(path.parent)


def read_split(path: Path) -> None:
    """What a run has seen."""
    from tlcli.runs.seen import seen_by

    seen_by(path.parent)


def read_prepared(path: Path) -> None:
    """A folder that `tl prepare` made, one of its files damaged."""
    for good in (path.parents[1] / PREPARED).iterdir():
        if good.name != path.name:
            (path.parent / good.name).write_bytes(good.read_bytes())
    _data("tfrecord", path.parent)


def _data(name: str, path: Path) -> None:
    """The manifest of a data set, and its first picture."""
    import tensorflow as tf

    from tlcli.config import registry

    option = registry.build("data", {**registry.defaults("data", name), "path": str(path)})
    manifest = option.manifest(0, path.parents[1] / "cache")
    with contextlib.suppress(tf.errors.OpError):
        manifest.images.image(tf.constant(0, tf.int64))


def read_outputs(path: Path) -> None:
    """A file of teacher outputs."""
    from tlcli.distill import reading

    reading.arrays(path, "logits")
    reading.class_names(path)


def read_picture(path: Path) -> None:
    """A picture, as training decodes it and as predict does."""
    from tlcli.data import decode, named
    from tlcli.data.resize import Resize
    from tlcli.errors import TlError

    found = named.reader(Resize(32, "crop", 1.0, True))(str(path))
    decode.decode_file(path, 50_000_000)
    if isinstance(found, TlError):
        raise found


def read_state(path: Path) -> None:
    """The state of a training: one that is damaged is passed over."""
    import hashlib

    from tlcli.errors import DataError
    from tlcli.runs import state

    facts = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "names": ["w"], "facts": {}}
    path.with_suffix(".json").write_text(json.dumps(facts))
    found = state.load(path.parent)
    if found is None or not found.arrays:
        raise DataError(str(path), "is skipped", "Nothing.")


# ---- in a process of their own -------------------------------------------------------------
def tried(name: str, reader: Reader, numbers: range, work: SimpleNamespace) -> Counter[str]:
    """Outcomes of some inputs; a process that dies is started again behind the input."""
    found: Counter[str] = Counter()
    following = numbers.start
    while following < numbers.stop and time.monotonic() < work.end:
        receive, send = os.pipe()
        child = os.fork()
        if not child:
            os.close(receive)
            _child(name, reader, range(following, numbers.stop), work, send)
        os.close(send)
        following, status = _followed(receive, found, following, work)
        os.close(receive)
        with contextlib.suppress(ProcessLookupError):
            if status == "late":
                os.kill(child, signal.SIGKILL)
        _, code = os.waitpid(child, 0)
        if status == "died" and os.WIFSIGNALED(code):
            hangs = os.WTERMSIG(code) == signal.SIGALRM
            outcome = "hang" if hangs else "crash"
            found[outcome] += 1
            _keep(work, name, following, outcome, f"signal {os.WTERMSIG(code)}", reader)
            following += 1
        elif status == "died":
            sys.exit(f"{name}: the process of the reader ended with {code}")
    return found


def _followed(
    receive: int, found: Counter[str], following: int, work: SimpleNamespace
) -> tuple[int, str]:
    """Count what a process tells until it ends; the input that it was at, and how it ended."""
    rest = b""
    while True:
        ready, _, _ = select.select([receive], [], [], 1.0)
        if not ready:
            if time.monotonic() > work.end + HANG_SECONDS:
                return following, "late"
            continue
        more = os.read(receive, 65536)
        if not more:
            return following, "died"
        *lines, rest = (rest + more).split(b"\n")
        for line in lines:
            if line == b"end":
                return following, "ended"
            number, outcome = line.decode().split()
            found[outcome] += 1
            following = int(number) + 1


def _child(name: str, reader: Reader, numbers: range, work: SimpleNamespace, send: int) -> None:
    """Give each input to the reader and tell what came of it, then end."""
    _limit()
    place = work.folder / name
    _write_input(place, reader, reader.good)
    signal.alarm(60)
    outcome, told = _once(reader, place)  # What is imported or built once counts for no input.
    if outcome != "ok":
        _keep(work, name, -1, "good", told, reader)
    for number in numbers:
        if time.monotonic() > work.end:
            break
        _write_input(place, reader, input_of(name, reader, number, work.seed))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(HANG_SECONDS)
        outcome, told = _once(reader, place)
        signal.alarm(0)
        if 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) > MOST_MEMORY:
            outcome = "memory"
        if outcome in BAD:
            _keep(work, name, number, outcome, told, reader)
        os.write(send, f"{number} {outcome}\n".encode())
    os.write(send, b"end\n")
    os._exit(0)


def _limit() -> None:
    """Bound this process: no output, no more memory than is bad, an alarm that ends it."""
    import logging

    logging.disable(logging.CRITICAL)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 6 * MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()


def _once(reader: Reader, place: Path) -> tuple[str, str]:
    from tlcli.errors import TlError

    try:
        reader.read(place / reader.name)
    except TlError as error:
        told = str(error)
        return ("refused", told) if "\n" not in told else ("traceback", f"several lines: {told!r}")
    except BaseException:
        return "traceback", traceback.format_exc()
    return "ok", ""


def _write_input(place: Path, reader: Reader, content: bytes) -> None:
    place.mkdir(exist_ok=True)
    (place / reader.name).write_bytes(content)


def input_of(name: str, reader: Reader, number: int, seed: int) -> bytes:
    """The same damaged input for the same numbers."""
    return damaged(reader.good, reader.text, random.Random(f"{seed} {name} {number}"))  # noqa: S311


def _keep(
    work: SimpleNamespace, name: str, number: int, outcome: str, told: str, reader: Reader
) -> None:
    """Keep a bad input, and what was said of it."""
    work.keep.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{number}-{outcome}"
    content = reader.good if number < 0 else input_of(name, reader, number, work.seed)
    (work.keep / f"{stem}.input").write_bytes(content)
    (work.keep / f"{stem}.txt").write_text(told, encoding="utf-8", errors="backslashreplace")


def fuzzed(
    only: Sequence[str], inputs: int, seconds: float, seed: int, keep: Path
) -> dict[str, Counter[str]]:
    """Outcomes by reader.

    Args:
        only: Names of readers; all where it is empty.
        inputs: How many, over all readers.
        seconds: After which no further input is begun.
        seed: Of the damage.
        keep: Folder for bad inputs.
    """
    import tensorflow  # noqa: F401 - once, before the processes part

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good").mkdir()
        known = readers(folder / "good")
        chosen = {key: known[key] for key in only or known}
        end = time.monotonic() + seconds
        share, table, step = -(-inputs // len(chosen)), {key: Counter() for key in chosen}, 100
        for start in range(0, share, step):
            for key, reader in chosen.items():
                work = SimpleNamespace(folder=folder, end=end, seed=seed, keep=keep)
                numbers = range(start, min(start + step, share))
                table[key].update(tried(key, reader, numbers, work))
        return table


def lines(table: Mapping[str, Counter[str]]) -> list[str]:
    """The table as text."""
    rows = [(name, *(counts[o] for o in OUTCOMES)) for name, counts in table.items()]
    total = [sum(counts[o] for counts in table.values()) for o in OUTCOMES]
    return ["  ".join(f"{cell!s:>9}" for cell in row)
            for row in [("reader", *OUTCOMES), *rows, ("all", *total)]]  # fmt: skip


def main() -> int:
    """Fuzz as the words say; 1 when anything was bad."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz"))
    given = parser.parse_args()
    table = fuzzed(given.only, given.inputs, given.seconds, given.seed, given.keep)
    sys.stdout.write("\n".join(lines(table)) + "\n")
    return int(any(counts[outcome] for counts in table.values() for outcome in BAD))


if __name__ == "__main__":
    sys.exit(main())
