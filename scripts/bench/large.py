"""A start with ten million pictures, and an epoch of a million: memory, and images a second.

    python scripts/bench/large.py --rows 10000000 start parquet
    python scripts/bench/large.py --rows 1000000 epoch tfrecord webdataset parquet

The pictures are a few small PNGs, again and again, in ten files. `start` lists them in one process
after the other, the second time from the index that the first one kept: seconds until the manifest
is there and until a first batch is decoded, and MiB above the memory after TensorFlow's import.
`epoch` decodes all in random order, the kinds in turn for some rounds, and prints images a second
and the memory at each tenth of the way.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

FEW, FILES, CLASSES, BATCH, TENTHS = 1000, 10, 1000, 64, 10


def picture(seed: int) -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((8, 8)).save(file, "PNG")
    return file.getvalue()


def make_parquet(root: Path, count: int) -> None:
    """Files without compression, ten thousand rows a group."""
    import pyarrow as pa
    from pyarrow import parquet

    few = pa.array([picture(seed) for seed in range(FEW)])
    for number in range(FILES):
        rows = np.arange(number, count, FILES)
        schema = pa.schema([("image", pa.binary()), ("label", pa.int32())])
        path = root / f"train-{number:05d}.parquet"
        how = {"compression": "none", "use_dictionary": False}
        with parquet.ParquetWriter(path, schema, **how) as writer:
            for start in range(0, len(rows), 10_000):
                part = rows[start : start + 10_000]
                columns = [few.take(pa.array(part % FEW)), pa.array(part % CLASSES, pa.int32())]
                writer.write_table(pa.table(columns, schema), 10_000)


def make_tfrecord(root: Path, count: int) -> None:
    """Shards of tf.train.Example."""
    import tensorflow as tf

    feature, integers = tf.train.Feature, tf.train.Int64List
    records = []
    for seed in range(FEW):
        values = {
            "image/encoded": feature(bytes_list=tf.train.BytesList(value=[picture(seed)])),
            "image/class/label": feature(int64_list=integers(value=[seed % CLASSES])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=values))
        records.append(example.SerializeToString())
    for number in range(FILES):
        with tf.io.TFRecordWriter(str(root / f"train-{number:05d}.tfrecord")) as writer:
            for row in range(number, count, FILES):
                writer.write(records[row % FEW])


def make_webdataset(root: Path, count: int) -> None:
    """Tar shards."""
    few = [picture(seed) for seed in range(FEW)]
    for number in range(FILES):
        with tarfile.open(root / f"train-{number:05d}.tar", "w") as archive:
            for row in range(number, count, FILES):
                label = str(row % CLASSES).encode()
                for ending, content in (("png", few[row % FEW]), ("cls", label)):
                    info = tarfile.TarInfo(f"{row:08d}.{ending}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))


MAKERS = {"parquet": make_parquet, "tfrecord": make_tfrecord, "webdataset": make_webdataset}


def memory(what: str = "VmRSS") -> float:
    """MiB of this process, now or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def begun(kind: str, root: str, cache_dir: str) -> tuple[object, dict[str, float]]:
    """The manifest, and what it took."""
    import tensorflow as tf

    from tlcli.config import registry

    tf.constant(0)
    values = {**registry.defaults("data", kind), "path": root, "test_fraction": 0.0,
              "validation_fraction": 0.01}  # fmt: skip
    before, start, cpu = memory(), time.perf_counter(), time.process_time()
    manifest = registry.build("data", values).manifest(0, Path(cache_dir))
    return manifest, {
        "before": before, "listed": time.perf_counter() - start,
        "cpu": time.process_time() - cpu, "memory": memory() - before,
    }  # fmt: skip


def start(kind: str, root: str, cache_dir: str) -> None:
    """List the data and decode the first batches of a training; print what it took as JSON."""
    from tlcli.data.order import Order
    from tlcli.data.resize import Resize
    from tlcli.data.views import Views

    began = time.perf_counter()
    manifest, told = begun(kind, root, cache_dir)
    rows = manifest.rows(0)
    order, ahead = Order(len(rows), BATCH, 0), range(4)
    stream = Views(manifest, Resize(32, "crop", 1.0, True), None, 0, 2).stream(
        rows, manifest.labels[rows], order, ahead, range(1))  # fmt: skip
    next(iter(stream))
    told |= {"images": len(manifest.ids), "ready": time.perf_counter() - began,
             "after": memory() - told["before"],
             "peak": memory("VmHWM") - told["before"]}  # fmt: skip
    print(json.dumps(told))


def decoded(images: object, rows: np.ndarray) -> Iterator[int]:
    """Decode pictures in order; gives how many there were after each batch."""
    import tensorflow as tf

    source = tf.data.Dataset.from_tensor_slices(rows)
    source = source.map(images.image, os.cpu_count(), deterministic=True)
    for number, _ in enumerate(source.batch(BATCH).prefetch(2), 1):
        yield number * BATCH


def epoch(kind: str, root: str, cache_dir: str) -> None:
    """Decode all pictures in random order; print what it took as JSON."""
    manifest, told = begun(kind, root, cache_dir)
    count = len(manifest.ids)
    rows, used = np.random.default_rng(0).permutation(count), []
    began = time.perf_counter()
    for done in decoded(manifest.images, rows):
        if done * TENTHS // count > len(used):
            used.append(memory() - told["before"])
    rate = count / (time.perf_counter() - began)
    print(json.dumps({"listed": told["listed"], "rate": rate, "memory": used}))


def asked(*words: object) -> dict[str, float]:
    """What a process of this script prints."""
    command = [sys.executable, __file__, "--inside", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def starts(folder: Path, kinds: list[str]) -> None:
    """Start twice with each kind and print a table."""
    print("kind       start      images  listed s  CPU s  ready s   MiB: listed, first batch, peak")
    for kind in kinds:
        for number in ("first", "second"):
            row = asked("start", kind, folder / kind, folder / "cache")
            used = ", ".join(f"{row[name]:.0f}" for name in ("memory", "after", "peak"))
            print(f"{kind:<10} {number:>6} {row['images']:10,d} {row['listed']:9.1f} "
                  f"{row['cpu']:6.1f} {row['ready']:8.1f}   {used}", flush=True)  # fmt: skip


def epochs(folder: Path, kinds: list[str], rounds: int) -> None:
    """Decode an epoch of each kind in turn and print a table."""
    print("kind       listed s  images/s   MiB at each tenth of the epoch")
    for _ in range(rounds):
        for kind in kinds:
            row = asked("epoch", kind, folder / kind, folder / "cache")
            used = " ".join(f"{value:.0f}" for value in row["memory"])
            print(f"{kind:<10} {row['listed']:8.1f} {row['rate']:9,.0f}   {used}", flush=True)


def main() -> None:
    """Make the data and measure."""
    if sys.argv[1:2] == ["--inside"]:
        {"start": start, "epoch": epoch}[sys.argv[2]](*sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["start", "epoch"])
    parser.add_argument("kinds", nargs="+", choices=list(MAKERS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the data is made, and stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_large_") as name:
        folder = given.folder or Path(name)
        for kind in given.kinds:
            if not (folder / kind).is_dir():
                (folder / kind).mkdir(parents=True)
                MAKERS[kind](folder / kind, given.rows)
        if given.what == "start":
            starts(folder, given.kinds)
        else:
            epochs(folder, given.kinds, given.rounds)


if __name__ == "__main__":
    main()
