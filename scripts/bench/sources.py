"""How fast pictures come from shards of each kind in random order, and whether memory stays flat.

    python scripts/bench/sources.py --images 100000 tfrecord webdataset parquet parquet-snappy tfds

Small JPEGs, all different, in ten shards. Each line is one process that lists the data twice (the
second time from the index that the first one kept), then decodes two epochs in random order:
seconds of both listings, images a second of the second epoch, and MiB above the memory after
TensorFlow's import when listed, after one epoch and after two.
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

SHARDS, CLASSES, BATCH = 10, 10, 64


def pictures(shard: int, count: int) -> Iterator[tuple[str, bytes, int]]:
    """Name, bytes and class of the pictures of a shard."""
    for number in range(shard, count, SHARDS):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC).save(file, "JPEG")
        yield f"{number:08d}", file.getvalue(), number % CLASSES


def make_tfrecord(root: Path, count: int) -> None:
    """Shards of tf.train.Example."""
    import tensorflow as tf

    feature, integers = tf.train.Feature, tf.train.Int64List
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(root / f"train-{shard:05d}.tfrecord")) as writer:
            for _, data, label in pictures(shard, count):
                values = {
                    "image/encoded": feature(bytes_list=tf.train.BytesList(value=[data])),
                    "image/class/label": feature(int64_list=integers(value=[label])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=values))
                writer.write(example.SerializeToString())


def make_webdataset(root: Path, count: int) -> None:
    """Tar shards."""
    for shard in range(SHARDS):
        with tarfile.open(root / f"train-{shard:05d}.tar", "w") as archive:
            for name, data, label in pictures(shard, count):
                for ending, content in (("jpg", data), ("cls", str(label).encode())):
                    info = tarfile.TarInfo(f"{name}.{ending}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))


def make_parquet(root: Path, count: int, compression: str = "none") -> None:
    """Parquet files, a thousand rows a group."""
    import pyarrow as pa
    from pyarrow import parquet

    for shard in range(SHARDS):
        names, data, labels = zip(*pictures(shard, count), strict=True)
        image = pa.array([{"bytes": d, "path": n} for n, d in zip(names, data, strict=True)])
        table = pa.table({"image": image, "label": pa.array(labels)})
        path = root / f"train-{shard:05d}.parquet"
        parquet.write_table(table, path, row_group_size=1000, compression=compression)


def make_tfds(root: Path, count: int) -> None:
    """array_record files and what TensorFlow Datasets writes beside them."""
    import tensorflow as tf
    from array_record.python.array_record_module import ArrayRecordWriter

    feature, integers = tf.train.Feature, tf.train.Int64List
    for shard in range(SHARDS):
        name = f"set-train.array_record-{shard:05d}-of-{SHARDS:05d}"
        writer = ArrayRecordWriter(str(root / name), "group_size:1")
        for _, data, label in pictures(shard, count):
            values = {
                "image": feature(bytes_list=tf.train.BytesList(value=[data])),
                "label": feature(int64_list=integers(value=[label])),
            }
            features = tf.train.Features(feature=values)
            writer.write(tf.train.Example(features=features).SerializeToString())
        writer.close()
    counts = [str(len(range(shard, count, SHARDS))) for shard in range(SHARDS)]
    about = {"name": "set", "fileFormat": "array_record",
             "splits": [{"name": "train", "shardLengths": counts}]}  # fmt: skip
    kinds = {"image": {"pythonClassName": "features.Image"}, "label": {"classLabel": {}}}
    (root / "dataset_info.json").write_text(json.dumps(about))
    (root / "features.json").write_text(json.dumps({"featuresDict": {"features": kinds}}))


MAKERS = {
    "tfrecord": make_tfrecord, "webdataset": make_webdataset, "parquet": make_parquet,
    "parquet-snappy": lambda root, count: make_parquet(root, count, "snappy"), "tfds": make_tfds,
}  # fmt: skip


def memory() -> float:
    """MiB of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def epoch(images: object, count: int, seed: int) -> float:
    """Seconds in which all pictures are decoded once, in an order of the seed."""
    import tensorflow as tf

    rows = np.random.default_rng(seed).permutation(count)
    source = tf.data.Dataset.from_tensor_slices(rows)
    source = source.map(images.image, os.cpu_count(), deterministic=True)
    start = time.perf_counter()
    for _ in source.batch(BATCH).prefetch(2):
        pass
    return time.perf_counter() - start


def measure(kind: str, root: str, cache_dir: str) -> None:
    """List and decode in this process; print what it took as JSON."""
    import tensorflow as tf

    from tlcli.config import registry

    tf.constant(0)
    before, listings = memory(), []
    values = {**registry.defaults("data", kind.split("-")[0]), "path": root}
    for _ in range(2):
        start = time.perf_counter()
        manifest = registry.build("data", values).manifest(0, Path(cache_dir))
        listings.append(time.perf_counter() - start)
    count, used = len(manifest.ids), [memory() - before]
    for seed in range(2):
        seconds = epoch(manifest.images, count, seed)
        used.append(memory() - before)
    print(json.dumps({"listings": listings, "rate": count / seconds, "memory": used}))


def main() -> None:
    """Make the data, measure each kind and print a table."""
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="+", choices=MAKERS)
    parser.add_argument("--images", type=int, default=100_000)
    given = parser.parse_args()
    print(f"{'kind':<16}{'listed':>9}{'again':>8}{'images/s':>10}   MiB listed, 1, 2 epochs")
    for kind in given.kinds:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "data")
            root.mkdir()
            MAKERS[kind](root, given.images)
            words = [sys.executable, __file__, "--measure", kind, str(root), f"{folder}/cache"]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            first, again = found["listings"]
            used = ", ".join(f"{value:.0f}" for value in found["memory"])
            print(f"{kind:<16}{first:>8.1f}s{again:>7.1f}s{found['rate']:>10,.0f}   {used}")


if __name__ == "__main__":
    main()
