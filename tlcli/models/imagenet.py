"""The 1,000 classes of ImageNet (ILSVRC 2012), in the order of every published classifier."""

import csv
import functools
from pathlib import Path

FILE = Path(__file__).with_name("imagenet_classes.csv")


@functools.cache
def _rows() -> tuple[tuple[str, str], ...]:
    with FILE.open(encoding="ascii", newline="") as file:
        return tuple((row["wnid"], row["label"]) for row in csv.DictReader(file))


def class_names() -> tuple[str, ...]:
    """Label of each class, as "great_white_shark". Two pairs of classes share a label."""
    return tuple(label for _, label in _rows())


def wnids() -> tuple[str, ...]:
    """WordNet id of each class, as "n01484850"; all different."""
    return tuple(wnid for wnid, _ in _rows())
