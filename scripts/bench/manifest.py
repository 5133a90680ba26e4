"""How long a start takes with a million images, and how much memory the list of them takes.

    python scripts/bench/manifest.py --images 1000000 folder csv tfrecord

The images are hard links to a few JPEGs in a thousand folders, or records of ten shards. Each line
is one process that imports TensorFlow, lists the data and decodes a first batch: seconds of wall
and CPU time until then (imports not counted), and MiB above the memory after the imports.
"""

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

FEW, FOLDERS, SHARDS = 64, 1000, 10


def encoded(seed: int) -> bytes:
    """A small JPEG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def make_folder(root: Path, count: int) -> dict[str, object]:
    """Class folders of links."""
    few = root.parent / "few"
    few.mkdir(exist_ok=True)
    for seed in range(FEW):
        (few / f"{seed}.jpg").write_bytes(encoded(seed))
    for part in range(FOLDERS):
        folder = root / f"class_{part % 10}" / f"{part:04d}"
        folder.mkdir(parents=True)
        for number in range(part, count, FOLDERS):
            os.link(few / f"{number % FEW}.jpg", folder / f"{number:08d}.jpg")
    return {"name": "folder", "path": str(root)}


def make_csv(root: Path, count: int) -> dict[str, object]:
    """A table of the same links."""
    if not root.is_dir():
        make_folder(root, count)
    table = root.parent / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for path in sorted(root.rglob("*.jpg")):
            writer.writerow([path.relative_to(root), path.parts[len(root.parts)]])
    return {"name": "csv", "path": str(table), "image_root": str(root)}


def make_tfrecord(root: Path, count: int) -> dict[str, object]:
    """Shards of records."""
    import tensorflow as tf

    feature, integers = tf.train.Feature, tf.train.Int64List
    shards = root.parent / "shards"
    shards.mkdir()
    records = []
    for seed in range(FEW):
        values = {
            "image/encoded": feature(bytes_list=tf.train.BytesList(value=[encoded(seed)])),
            "image/class/label": feature(int64_list=integers(value=[seed % 10])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=values))
        records.append(example.SerializeToString())
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(shards / f"train-{shard:05d}.tfrecord")) as writer:
            for number in range(shard, count, SHARDS):
                writer.write(records[number % FEW])
    return {"name": "tfrecord", "path": str(shards)}


MAKERS = {"folder": make_folder, "csv": make_csv, "tfrecord": make_tfrecord}


def memory() -> float:
    """MiB of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def start(values: dict[str, object], cache_dir: str) -> None:
    """List the data and decode a batch in this process; print what it took as JSON."""
    import tensorflow as tf

    from tlcli.config import compose, registry
    from tlcli.data.resize import Resize
    from tlcli.data.views import Views

    tf.constant(0)
    words = [f"data={values['name']}", *(f"data.{k}={v}" for k, v in values.items() if k != "name")]
    config = compose.plain(compose.read("train", words))
    before, wall, cpu = memory(), time.perf_counter(), time.process_time()
    manifest = registry.build("data", config["data"]).manifest(0, Path(cache_dir))
    listed = time.perf_counter() - wall
    views = Views(manifest, Resize(32, "crop", 1.0, True), None, 0, 2)
    rows = np.linspace(0, len(manifest.ids) - 1, 32).astype(np.int64)
    next(views.batches(rows, np.zeros(32), 32))
    print(json.dumps({
        "images": len(manifest.ids), "listed": listed, "ready": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu, "memory": memory() - before,
        "fingerprint": manifest.fingerprint,
    }))  # fmt: skip


def main() -> None:
    """Make the data, start twice and print a table."""
    if sys.argv[1:2] == ["--start"]:
        start(json.loads(sys.argv[2]), sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("kinds", nargs="+", choices=list(MAKERS))
    given = parser.parse_args()
    print("data        start   images  listed s  ready s  CPU s  MiB above imports")
    with tempfile.TemporaryDirectory(prefix="bench_manifest_") as name:
        for kind in given.kinds:
            values = MAKERS[kind](Path(name) / "images", given.images)
            time.sleep(2.5)  # The clock of a file system may tick every two seconds.
            for number in ("first", "second", "third"):
                command = [sys.executable, __file__, "--start", json.dumps(values), f"{name}/cache"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr)
                row = json.loads(done.stdout.splitlines()[-1])
                print(f"{kind:<10} {number:>6} {row['images']:8,d} {row['listed']:9.2f} "
                      f"{row['ready']:8.2f} {row['cpu']:6.2f} {row['memory']:8.0f}",
                      flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
