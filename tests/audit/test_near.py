import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tlcli.audit import near, neighbours
from tlcli.audit.looked import Looked


def scene(seed, side=64):
    """A picture with large and small things in it, uint8 (side, side)."""
    random = np.random.default_rng(seed)
    picture = Image.fromarray(random.integers(0, 256, (6, 6)).astype(np.uint8))
    picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    noise = Image.fromarray(random.integers(0, 256, (side, side)).astype(np.uint8))
    return Image.blend(picture, noise.filter(ImageFilter.GaussianBlur(1.2)), 0.5)


def small(picture):
    return np.asarray(picture.resize((32, 32), Image.Resampling.BOX), np.uint8)


def reencoded(picture, quality=40):
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return Image.open(content)


def looked(pictures):
    grey = np.stack([small(one) for one in pictures])
    flat = grey.reshape(len(grey), -1).astype(np.float32)
    return Looked(flat, grey, flat.mean(1), flat.std(1), flat.std(1))


def pairs(pictures):
    given = looked(pictures)
    rows, likeness = neighbours.nearest(neighbours.centred(given.embeddings), 4)
    found = near.near_copies(given, rows, likeness)
    return {(a, b): t for a, b, t in zip(found.first, found.second, found.turns, strict=True)}


COPIES = {
    "encoded again": reencoded,
    "cropped": lambda p: p.resize(p.size, Image.Resampling.BILINEAR, (0, 3, 61, 64)),
    "cropped on all sides": lambda p: p.crop((3, 3, 61, 61)),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "mirrored and encoded": lambda p: reencoded(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "darker": lambda p: p.point(lambda v: 0.6 * v),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_found_and_nothing_else(name):
    pictures = [scene(seed) for seed in range(30)]
    assert {*pairs([*pictures, COPIES[name](pictures[7])])} == {(7, 30)}


def test_the_turn_is_told():
    pictures = [scene(seed) for seed in range(8)]
    for turn in range(8):
        other = Image.fromarray(near.turned(np.asarray(pictures[3]), turn))
        assert pairs([*pictures, other])[3, 8] == turn


@pytest.mark.parametrize("turn", range(8))
def test_frequencies_turn_as_pictures_do(turn):
    pictures = np.stack([small(scene(seed)) for seed in range(3)]).astype(np.float32)
    base = near.cosines(32, near.FREQUENCIES)
    np.testing.assert_allclose(
        base @ near.turned(pictures, turn) @ base.T,
        near.turned_frequencies(base @ pictures @ base.T, turn), atol=0.05,
    )  # fmt: skip


def test_pictures_that_show_nothing_are_no_copies():
    flat = [Image.new("L", (64, 64), value) for value in (0, 0, 200)]
    assert pairs([*flat, scene(0), scene(1)]) == {}
    assert pairs(flat) == {}


def test_where_all_are_nearly_alike_only_equal_ones_count():
    likeness = np.array([*np.linspace(0.8, 0.89, 40), 0.91, 0.95, 0.99])
    assert near.limit(likeness, 100) == near.EQUAL
    assert near.limit(likeness[-6:], 100) == near.DETAIL


def test_a_window_of_everything_changes_nothing():
    np.testing.assert_allclose(near.window(0, 1), np.eye(32), atol=1e-6)
    np.testing.assert_allclose(near.window(0.05, 0.9).sum(1), 1, atol=1e-5)
