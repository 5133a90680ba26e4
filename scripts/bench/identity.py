"""What telling data apart by whole content costs: two checkouts side by side, in turn.

    python scripts/bench/identity.py OTHER_CHECKOUT --photos 2000 --files 100000

Each line is a stage in a process of its own that has imported TensorFlow: medians of CPU seconds of
the other checkout and of this one over some rounds, and their quotient. Stages are the first and a
second list of many small files, of a few large ones and of TFRecord shards, and a first epoch of
photos that are cropped at random.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, photos: int, files: int) -> None:
    """Photos of about 100 kB, many links to small pictures, and shards of the photos."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    for number in range(photos):
        path = folder / "photos" / "ab"[number % 2] / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = generator.integers(0, 256, (96, 128, 3)).astype(np.uint8)
        Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=92)
    small = folder / "small.jpg"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(small)
    for number in range(files):
        path = folder / "small" / "ab"[number % 2] / f"{number % 100:02d}" / f"{number:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(small, path)
    (folder / "shards").mkdir()
    feature = tf.train.Feature
    with tf.io.TFRecordWriter(str(folder / "shards" / "train.tfrecord")) as writer:
        for path in sorted((folder / "photos").glob("*/*.jpg")):
            values = {
                "image/encoded": feature(bytes_list=tf.train.BytesList(value=[path.read_bytes()])),
                "image/class/label": feature(
                    int64_list=tf.train.Int64List(value=["ab".index(path.parent.name)])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=values))
            writer.write(example.SerializeToString())


def stage(folder: Path, cache: Path) -> None:
    """Time the stages in this process; print them as JSON."""
    import tensorflow as tf

    from tlcli.config import compose, registry
    from tlcli.data.resize import Resize
    from tlcli.data.views import Views

    def listed(name: str, path: Path) -> float:
        config = compose.plain(compose.read("train", [f"data={name}", f"data.path={path}"]))
        started = time.process_time()
        made.append(registry.build("data", config["data"]).manifest(0, cache))
        return time.process_time() - started

    tf.constant(0)
    made: list = []
    found = {}
    for kind, name in (("small", "folder"), ("photos", "folder"), ("shards", "tfrecord")):
        for start in ("first", "second"):
            found[f"{kind}, {start} list"] = listed(name, folder / kind)
    words = ["augmentation=light"]
    augmentation = registry.build(
        "augmentation", compose.plain(compose.read("train", words))["augmentation"]
    )
    manifest = next(m for m in made if str(m.root).endswith("photos"))
    views = Views(manifest, Resize(128, "crop", 0.875, True), augmentation, 0, 2)
    for epoch in range(2):
        started, rows = time.process_time(), np.arange(len(manifest.ids))
        for _ in views.batches(rows, np.full(len(rows), epoch), 64):
            pass
        found[f"photos, epoch {epoch + 1} of views alone"] = time.process_time() - started
    print(json.dumps(found))


def measured(checkout: Path, folder: Path) -> dict[str, float]:
    """Stages of a checkout with an empty cache."""
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, __file__, "--stage", str(folder), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure in turn and print a table."""
    if sys.argv[1:2] == ["--stage"]:
        stage(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_identity_") as name:
        folder = Path(name)
        make(folder, given.photos, given.files)
        rounds = [
            [measured(checkout, folder) for checkout in (given.other.resolve(), ROOT)]
            for _ in range(given.rounds)
        ]
    print(f"{'stage':<34} {'other s':>8} {'this s':>8} {'times':>6}")
    for kind in rounds[0][0]:
        other, this = (statistics.median(r[i][kind] for r in rounds) for i in (0, 1))
        quotient = statistics.median(r[1][kind] / r[0][kind] for r in rounds)
        print(f"{kind:<34} {other:8.3f} {this:8.3f} {quotient:6.3f}")


if __name__ == "__main__":
    main()
