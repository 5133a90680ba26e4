"""Memory and speed of `tl` over many tiny images: flat in their number, or not.

    python scripts/bench/memory.py predict --images 100000
    python scripts/bench/memory.py train --images 300000

The images are hard links to a few JPEGs of 32 x 32 pixels. `predict` names them all by a small
network; `train` packs them into TFRecords with `tl prepare` and trains on these for some steps.
Prints the resident memory (MiB) of the process as it goes, its peak, and images a second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

FEW = 64
A_FOLDER = 1000


def make_images(folder: Path, count: int) -> Path:
    """Links to a few pictures in folders of a thousand, in two classes."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(FEW):
        pixels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
        picture = Image.fromarray(pixels).resize((32, 32), Image.Resampling.BICUBIC)
        picture.save(folder.parent / f"{index}.jpg", quality=90)
    for first in range(0, count, A_FOLDER):
        part = folder / "ab"[first // A_FOLDER % 2] / f"{first:08d}"
        part.mkdir(parents=True)
        for number in range(first, min(first + A_FOLDER, count)):
            os.link(folder.parent / f"{number % FEW}.jpg", part / f"{number:08d}.jpg")
    return folder


def tl(*words: object) -> list[str]:
    """A command line of this Python's `tl`."""
    return [sys.executable, "-m", "tlcli.cli", *map(str, words)]


def resident(process: "subprocess.Popen[str]", what: str = "VmRSS") -> float:
    """MiB of memory of a process, now or at its peak (VmHWM); 0 when it has ended."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith(what)]
    return int(found[0]) / 1024 if found else 0.0


def small_run(folder: Path) -> Path:
    """A network of 32 pixels that was trained for an epoch on digits."""
    run = folder / "run"
    words = tl("train", f"run_dir={run}", "epochs=1", "image_size=32", "data.images_per_class=8",
               f"cache_dir={folder / 'cache'}")  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    return run


def told(process: "subprocess.Popen[str]", every: int) -> Iterator[tuple[int, float, float]]:
    """Lines so far, seconds since the first, MiB; each `every` lines."""
    assert process.stdout
    started = peak = 0.0
    for number, _ in enumerate(process.stdout):
        started = started or time.monotonic()
        if number % every == 0:
            peak = max(peak, resident(process, "VmHWM"))
            yield number, time.monotonic() - started, resident(process)
    yield number + 1, time.monotonic() - started, peak


def predict(images: Path, run: Path, count: int, words: list[str]) -> None:
    """Name all images and print a table."""
    command = tl("predict", images, f"checkpoint={run}", "format=jsonl", *words)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        print("   images   MiB")
        rows = []
        for row in told(process, max(1, count // 10)):
            print(f"{row[0]:9,d} {row[2]:5.0f}", flush=True)
            rows.append(row)
        number, seconds, _ = rows[-1]
        print(f"the last is the peak; {number / seconds:.0f} images a second")


def train(images: Path, folder: Path, words: list[str]) -> None:
    """Pack the images, train on the shards for some steps and print a table."""
    cache, shards = f"cache_dir={folder / 'cache'}", folder / "shards"
    few = ("data.validation_fraction=0.005", "data.test_fraction=0")
    started = time.monotonic()
    packing = tl("prepare", f"data.path={images}", f"output={shards}", cache, *few)
    subprocess.run(packing, check=True, capture_output=True)
    print(f"prepared in {time.monotonic() - started:.0f} s")
    command = tl("train", "data=tfrecord", f"data.path={shards}", f"run_dir={folder / 'trained'}",
                 "image_size=32", "finetune=full", "augmentation=light", "calibrate=false",
                 "save_every=off", cache, *words)  # fmt: skip
    started, peak = time.monotonic(), 0.0
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        print("seconds   MiB  line")
        for line in process.stderr:
            peak = max(peak, resident(process, "VmHWM"))
            now = time.monotonic() - started
            print(f"{now:7.1f} {resident(process):5.0f}  {line.rstrip()[:80]}", flush=True)
    print(f"peak {peak:.0f} MiB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["predict", "train"])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("words", nargs="*", help="further keys of the command")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_memory_") as name:
        folder = Path(name)
        images = make_images(folder / "images", given.images)
        if given.what == "train":
            train(images, folder, given.words)
        else:
            predict(images, small_run(folder), given.images, given.words)


if __name__ == "__main__":
    main()
