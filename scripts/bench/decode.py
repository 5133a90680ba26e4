"""From JPEG files to squares of pixels: tl beside Keras and, where installed, faster decoders.

    pip install simplejpeg opencv-python-headless; python scripts/bench/decode.py FOLDER --rounds 5

FOLDER has a folder for each class. tl's pictures come as a training's first epoch gives them, the
middle cut out (crop) or the whole (squash, as all others). Keras is image_dataset_from_directory
with its defaults, and without its shuffling; simplejpeg and OpenCV decode in as many threads as tl
and resize with OpenCV. All arms go through the folder several times a round, in turn; printed are
medians as `tl bench` does.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np

from tlcli.commands import bench
from tlcli.commands.bench_arms import BATCH, MANY, Work, consumed
from tlcli.config import compose
from tlcli.config.checking import check_request
from tlcli.data.views import worker_count


def ours(folder: Path, side: int, resize: str, repeats: int) -> Work:
    """All pictures by tl."""
    words = ["data=folder", f"data.path={folder}", "data.test_fraction=0", "backbone=mobilenet",
             "backbone.weights=none", f"image_size={side}", f"resize={resize}"]  # fmt: skip
    run = bench.prepare(check_request(compose.read("train", words)).job, BATCH)
    rows, views = np.tile(np.arange(len(run.manifest.ids)), repeats), run.plain_views
    return lambda: consumed(views.dataset(rows, np.zeros(len(rows)), BATCH))


def of_keras(folder: Path, side: int, repeats: int, shuffle: bool) -> Work:
    """All pictures by Keras, which reads the folder's names once."""
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(side, side), shuffle=shuffle, verbose=False
    )
    return lambda: [consumed(dataset) for _ in range(repeats)]


def threads(decode: Callable[[bytes], Any], paths: list[Path], side: int) -> Work:
    """All pictures by a decoder for Python, resized by OpenCV."""
    import cv2

    def picture(path: Path) -> Any:
        return cv2.resize(decode(path.read_bytes()), (side, side))

    def work() -> None:
        with ThreadPoolExecutor(worker_count("auto")) as pool:
            chunk = BATCH
            for start in range(0, len(paths), chunk):
                np.stack(list(pool.map(picture, paths[start : start + chunk])))

    return work


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """Those that are installed."""
    found: dict[str, Callable[[bytes], Any]] = {}
    try:
        import cv2
    except ImportError:
        return found
    cv2.setNumThreads(1)
    found["opencv"] = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    try:
        import simplejpeg
    except ImportError:
        return found
    found["simplejpeg"] = simplejpeg.decode_jpeg
    found["simplejpeg, fast"] = lambda data: simplejpeg.decode_jpeg(
        data, fastdct=True, fastupsample=True
    )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    paths = sorted(p for p in given.folder.glob("*/*") if p.is_file())
    repeats = -(-MANY // len(paths))
    arms: dict[str, Work] = {
        f"tl, {resize}": ours(given.folder, given.side, resize, repeats)
        for resize in ("crop", "squash")
    }
    arms["keras"] = of_keras(given.folder, given.side, repeats, True)
    arms["keras, in order"] = of_keras(given.folder, given.side, repeats, False)
    for name, decode in decoders().items():
        arms[name] = threads(decode, paths * repeats, given.side)
    found = bench.compared("decode", arms, given.rounds, len(paths) * repeats)
    print(bench.table([found]), end="")


if __name__ == "__main__":
    main()
