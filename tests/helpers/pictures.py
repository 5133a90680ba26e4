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


def odd_images(pixels):
    with_alpha = np.dstack([pixels, np.where(pixels[..., :1] > 99, 255, 0)]).astype(np.uint8)
    turned = Image.fromarray(pixels[::-1])
    return {
        "jpeg": encode(pixels, "JPEG", quality=90),
        "jpeg_progressive": encode(pixels, "JPEG", progressive=True),
        "jpeg_grey": encode(pixels, "JPEG", "L"),
        "jpeg_cmyk": encode(pixels, "JPEG", "CMYK"),
        "mpo": encode(pixels, "MPO", save_all=True, append_images=[turned]),
        "png": encode(pixels, "PNG"),
        "png_palette": encode(pixels, "PNG", "P"),
        "png_palette_transparent": encode(pixels, "PNG", "P", transparency=0),
        "png_two_colours": encode(pixels, "PNG", "1"),
        "png_grey_alpha": encode(with_alpha, "PNG", "LA"),
        "png_alpha": encode(with_alpha, "PNG"),
        "png_animated": encode(pixels, "PNG", save_all=True, append_images=[turned]),
        "bmp": encode(pixels, "BMP"),
        "bmp_ends_in_zeros": encode(np.zeros_like(pixels), "BMP"),
        "bmp_palette": encode(pixels, "BMP", "P"),
        "bmp_two_colours": encode(pixels, "BMP", "1"),
        "gif": encode(pixels, "GIF"),
        "gif_animated": encode(pixels, "GIF", save_all=True, append_images=[turned]),
        "webp": encode(pixels, "WEBP"),
        "webp_alpha": encode(with_alpha, "WEBP", lossless=True),
        "webp_animated": encode(
            pixels, "WEBP", lossless=True, save_all=True, append_images=[turned]
        ),
    }
