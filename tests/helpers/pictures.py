"""Small pictures, encoded, and folders of them."""

import io

import numpy as np
from PIL import Image


def smooth(seed=0, height=24, width=32):
    """An RGB picture without symmetry, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3))
    return np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)


def encode(pixels, kind="PNG", mode=None, **options):
    picture = Image.fromarray(pixels)
    file = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(file, kind, **options)
    return file.getvalue()


def make_classes(root, counts, kind="PNG", extension="png"):
    """Folders of different pictures; returns the root."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for row in range(count):
            pixels = smooth(hash((number, row)) % 2**31, 8, 8)
            (root / name / f"{row}.{extension}").write_bytes(encode(pixels, kind))
    return root
