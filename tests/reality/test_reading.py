"""Pictures as they come: other formats, links, pipes, damage."""

import io
import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image, features

from tests.helpers.data import PLAIN
from tlcli.data import header, named
from tlcli.data.damage import FaultyPictures
from tlcli.data.decode import decode_file
from tlcli.data.header import MAX_PIXELS
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.data.walk import LeftOut
from tlcli.errors import DataError
from tlcli.options.data.csv import Data as Table
from tlcli.options.data.folder import Data

PIXELS = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1)))
PIXELS = PIXELS.astype(np.uint8)
COMMON = {"validation_fraction": 0.0, "test_fraction": 0.0, "max_pixels": 10**6}


def photo(path, seed=0, side=200):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    small.resize((side, side)).save(path, quality=90)
    return path


def save(path, kind, pixels=PIXELS):
    """A picture in one of the formats that Pillow alone reads."""
    needed = {"AVIF": "avif", "JPEG2000": "jpg_2000"}.get(kind)
    if needed and not features.check(needed):
        pytest.skip("this Pillow lacks the format")
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, kind)


FURTHER = ["TIFF", "AVIF", "JPEG2000", "HEIF"]


@pytest.mark.parametrize("kind", FURTHER)
def test_formats_that_pillow_reads(tmp_path, kind):
    path = tmp_path / "picture.any"
    save(path, kind)
    found = decode_file(path, MAX_PIXELS)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(found, np.asarray(picture.convert("RGB")))
    assert np.abs(found.astype(int) - PIXELS).mean() < 12


@pytest.mark.parametrize("kind", FURTHER)
def test_formats_that_pillow_reads_are_trained_on_and_their_damage_is_named(tmp_path, kind):
    for row in range(8):
        save(tmp_path / "r" / "ab"[row % 2] / f"{row}.any", kind, np.roll(PIXELS, row, 0))
    assert len(passed(listed(tmp_path / "r", tmp_path / "cache"))) == 8
    path = tmp_path / "r" / "a" / "2.any"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    skipped = listed(tmp_path / "r", tmp_path / "cache").report["skipped"]
    assert [name for name, _ in skipped] == ["a/2.any"]


def test_without_the_extra_a_heic_picture_names_it(tmp_path, monkeypatch):
    save(tmp_path / "a.heic", "HEIF")
    monkeypatch.setattr(header, "further", lambda: frozenset({"TIFF"}))
    with pytest.raises(DataError, match=r"HEIC image, which the extra heif reads: pip install 'tl"):
        decode_file(tmp_path / "a.heic", MAX_PIXELS)


def test_of_several_frames_the_first_and_of_16_bits_the_upper_8(tmp_path):
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_file(tmp_path / "two.tif", MAX_PIXELS), PIXELS)
    wide = (PIXELS[..., 0].astype(np.uint16) << 8) + 7
    Image.fromarray(wide).save(tmp_path / "wide.tif")
    found = decode_file(tmp_path / "wide.tif", MAX_PIXELS)
    np.testing.assert_array_equal(found[..., 1], PIXELS[..., 0])


def test_pipes_and_loops_are_skipped_and_named(tmp_path):
    root = tmp_path / "r"
    for row in range(6):
        photo(root / "ab"[row % 2] / f"{row}.jpg", row)
    os.mkfifo(root / "a" / "pipe.jpg")
    os.symlink("loop.jpg", root / "b" / "loop.jpg")
    os.symlink("..", root / "b" / "up")
    manifest = Data(path=str(root), **COMMON, on_error="skip", damaged="skip", **PLAIN).manifest(
        0, tmp_path
    )
    skipped = dict(manifest.report["skipped"])
    assert skipped["a/pipe.jpg"] == "is a pipe, no file"
    assert "symbolic links" in skipped["b/loop.jpg"]
    assert any("seen before, by a link (b/up/)" in note for note in manifest.report["notes"])
    left_out = LeftOut()
    assert len(list(named.expand([str(root)], left_out))) == 8
    read = named.reader(Resize(32, "crop", 0.875, True))
    assert isinstance(read(str(root / "a" / "pipe.jpg")), DataError)


def test_a_list_with_the_line_ends_of_windows(monkeypatch):
    given = io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbfa b.jpg\r\n\r\n\xff.jpg\r\n"))
    monkeypatch.setattr(sys, "stdin", given)
    assert list(named.expand(["-"], LeftOut())) == ["a b.jpg", "\udcff.jpg"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_by_any_separator(tmp_path, separator):
    rows = [("Path", "Label"), *((f"{r}.jpg", "ab"[r % 2]) for r in range(4))]
    for row in range(4):
        photo(tmp_path / f"{row}.jpg", row)
    table = tmp_path / "t.csv"
    table.write_text("".join(f"{separator.join(row)}\n" for row in rows))
    made = Table(
        path=str(table), image_root=None, label_separator="|", multi_label=None, on_error="skip",
        damaged="skip", **COMMON, **PLAIN,
    ).manifest(0, tmp_path / "cache")  # fmt: skip
    assert made.class_names == ("a", "b")


@pytest.fixture
def damaged(tmp_path):
    """Eight pictures of two classes, a cut one among them that has an end marker."""
    for row in range(8):
        photo(tmp_path / "r" / "ab"[row % 2] / f"{row}.jpg", row)
    path = tmp_path / "r" / "a" / "2.jpg"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    return tmp_path / "r"


def listed(root, cache, damaged="skip"):
    return Data(path=str(root), **COMMON, on_error="skip", damaged=damaged, **PLAIN).manifest(
        0, cache
    )


def passed(manifest):
    views = Views(manifest, Resize(32, "crop", 0.875, True), None, 0, 2)
    rows = np.arange(len(manifest.ids))
    return np.concatenate([np.asarray(part) for part in views.batches(rows, rows * 0, 4)])


def test_a_damaged_picture_is_found_in_the_first_pass_and_left_out_from_then_on(damaged, tmp_path):
    cache = tmp_path / "cache"
    first = listed(damaged, cache)
    with pytest.raises(FaultyPictures) as told:
        passed(first)
    assert list(told.value.found) == ["a/2.jpg"]
    assert told.value.remember()
    assert not told.value.remember()
    second = listed(damaged, cache)
    assert [name for name, _ in second.report["skipped"]] == ["a/2.jpg"]
    assert len(passed(second)) == 7
    assert (second.own, len(second.ids)) == (first.fingerprint, 7)
    with pytest.raises(DataError, match=r"a/2\.jpg: is damaged.*damaged=skip"):
        listed(damaged, cache, "fail")
    shutil.copy(damaged / "a" / "0.jpg", damaged / "a" / "2.jpg")
    assert len(passed(listed(damaged, cache))) == 8


def test_damage_may_be_used_or_stop(damaged, tmp_path):
    with pytest.raises(DataError, match=r"a/2\.jpg: is damaged"):
        passed(listed(damaged, tmp_path / "cache", "fail"))
    assert len(passed(listed(damaged, tmp_path / "cache", "use"))) == 8


@pytest.mark.parametrize("seen", ["a/4.jpg", "b/3.jpg"])
def test_of_pictures_that_are_gone_or_replaced_the_first_is_told_in_one_line(
    damaged, tmp_path, seen
):
    photo(damaged / "a" / "2.jpg", 2)
    manifest = listed(damaged, tmp_path / "cache")
    photo(damaged / "b" / "3.jpg", 3, side=160)
    (damaged / "a" / "4.jpg").unlink()
    # It is chance which of them a thread reads first.
    with pytest.raises(DataError, match=seen):
        manifest.images.encoded(manifest.ids.tolist().index(seen))
    with pytest.raises(DataError, match=r"^a/4\.jpg: is not there any more\. .*again\.$"):
        passed(manifest)


def test_a_decoder_that_refuses_most_pictures_is_to_blame_itself(damaged, tmp_path):
    for path in damaged.glob("*/[0-4].jpg"):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(DataError, match=r"pictures fail so, far more than at the scan"):
        passed(listed(damaged, tmp_path / "cache"))
