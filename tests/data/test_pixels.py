"""Pillow and NumPy show a network what TensorFlow shows it."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.pictures import smooth
from tests.helpers.runs import environment
from tlcli.data import pixels
from tlcli.data.decode import decode_file
from tlcli.data.resize import Resize
from tlcli.errors import DataError

POLICIES = [
    Resize(24, mode, fraction, antialias)
    for mode, fraction in (("crop", 1.0), ("crop", 0.8), ("squash", 1.0), ("pad", 1.0))
    for antialias in (True, False)
]
SIDES = [(24, 24), (30, 24), (31, 77), (200, 90), (7, 5), (1, 40), (49, 48), (333, 500)]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_squares_are_tensorflows_to_a_level(policy, sides):
    image = np.random.default_rng(0).integers(0, 256, (*sides, 3)).astype(np.uint8)
    ours, theirs = pixels.fitted(image, policy), policy.apply(tf.constant(image)).numpy()
    gap = np.abs(ours.astype(int) - theirs)
    assert gap.max() <= 1
    assert (gap > 0).mean() < 0.01


def saved(kind, mode, sides=(90, 200), **options):
    picture = Image.fromarray(smooth(3, 90, 200)).resize(sides[::-1]).convert(mode)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def turned(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


FILES = {
    "jpeg": saved("JPEG", "RGB"), "rough": saved("JPEG", "RGB", quality=40),
    "whole chroma": saved("JPEG", "RGB", subsampling=0), "grey": saved("JPEG", "L"),
    "cmyk": saved("JPEG", "CMYK"), "large": saved("JPEG", "RGB", (700, 901)),
    "progressive": saved("JPEG", "RGB", progressive=True), "png": saved("PNG", "RGB"),
    "alpha": saved("PNG", "RGBA"), "palette": saved("PNG", "P"), "grey alpha": saved("PNG", "LA"),
    "bits": saved("PNG", "1"), "webp": saved("WEBP", "RGB"), "gif": saved("GIF", "P"),
    "bmp": saved("BMP", "RGB"), "tiff": saved("TIFF", "RGB"), "tiny": saved("JPEG", "RGB", (2, 3)),
    **{f"turned {n}": saved("JPEG", "RGB", exif=turned(n)) for n in range(2, 9)},
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_as_a_training_reads_them(tmp_path, name):
    path = tmp_path / "picture"
    path.write_bytes(FILES[name])
    policy = Resize(48, "crop", 0.875, True)
    theirs = policy.apply(tf.constant(decode_file(path, 10**6, policy.short_side))).numpy()
    for source in (path, FILES[name]):
        ours = pixels.view(source, policy, 10**6)
        assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("data", [b"", b"nothing", FILES["jpeg"][:300], FILES["png"][:-40]])
def test_what_is_no_picture_is_told_by_its_name(data):
    with pytest.raises(DataError, match=r"^here\.jpg: "):
        pixels.view(data, POLICIES[0], 10**6, "here.jpg")
    with pytest.raises(DataError, match="more than the limit"):
        pixels.view(FILES["jpeg"], POLICIES[0], 1000, "here.jpg")


def test_no_tensorflow_is_imported(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(FILES["jpeg"])
    code = (
        "import sys; from tlcli.data import pixels; from tlcli.data.resize import Resize; "
        f"pixels.view({str(path)!r}, Resize(24, 'crop', 1.0, True), 10**6); "
        "print([m for m in ('tensorflow', 'keras', 'matplotlib', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout == "[]\n"
