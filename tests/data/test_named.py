import io
import os
import threading

import numpy as np
import pytest
from PIL import Image

from tests.helpers.data import PLAIN
from tlcli.data import named
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.data.walk import LeftOut
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.folder import Data


def save(path, seed, sides=(23, 31), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*sides, 3)).astype(np.uint8)
    picture = Image.fromarray(noise)
    if "orientation" in options:
        exif = Image.Exif()
        exif[0x0112] = options.pop("orientation")
        options["exif"] = exif
    picture.save(path, **options)


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_pixels_are_those_of_eval(tmp_path, mode):
    root = tmp_path / "photos"
    save(root / "a" / "0.jpg", 0)
    save(root / "a" / "1.jpg", 1, orientation=6)
    save(root / "b" / "2.png", 2)
    save(root / "b" / "3.bmp", 3)
    save(root / "b" / "large.jpg", 4, (90, 120))
    resize = Resize(12, mode, 0.9, True)
    manifest = Data(
        path=str(root),
        validation_fraction=0.0,
        test_fraction=0.0,
        on_error="fail",
        damaged="fail",
        max_pixels=100_000,
        **PLAIN,
    ).manifest(0, tmp_path / "cache")
    views = Views(manifest, resize, None, 0, 2)
    (expected,) = views.batches(np.arange(5), np.zeros(5), 5)
    read = named.reader(resize)
    found = [read(str(root / name)) for name in manifest.ids]
    np.testing.assert_array_equal(np.stack(found), expected)


def test_what_cannot_be_decoded_is_told_as_eval_tells_it(tmp_path):
    save(tmp_path / "a.jpg", 0, quality=95)
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    start = content.index(b"\xff\xc4")  # a table of codes
    content[start + 5 : start + 21] = b"\xff" * 16
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "b.jpg").write_bytes(b"")
    read = named.reader(Resize(12, "crop", 1.0, True))
    problems = [read(str(tmp_path / name)) for name in ("a.jpg", "b.jpg", "c.jpg", ".")]
    assert all(isinstance(problem, DataError) for problem in problems)
    assert [problem.problem for problem in problems[1:3]] == [
        "the file is empty", "there is no such file",
    ]  # fmt: skip
    assert problems[0].problem.startswith("cannot be decoded: ")
    assert "Detected at node" not in str(problems[0])


def test_results_come_in_order_and_few_are_made_ahead():
    taken, gate = [], threading.Event()

    def paths():
        for number in range(100):
            taken.append(number)
            yield str(number)

    def work(path):
        if path == "0":
            assert gate.wait(10)
        return int(path) ** 2

    found = named.ahead(work, paths(), 4, 8)
    gate.set()
    assert next(found) == ("0", 0)
    assert len(taken) <= 8
    assert [value for _, value in found] == [n * n for n in range(1, 100)]


def test_a_reader_that_stops_early_leaves_no_work_behind():
    done = []
    found = named.ahead(done.append, map(str, range(1000)), 2, 8)
    next(found)
    found.close()
    assert len(done) <= 8


def test_folders_are_walked_in_the_order_of_their_names(tmp_path):
    for name in ("b/x.png", "b/x/2.JPG", "b/x/10.jpg", "b.png", "a/.h.png", "notes.txt", "B/1.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    os.symlink(tmp_path / "b", tmp_path / "link")
    os.symlink(tmp_path / "b.png", tmp_path / "c.png")
    left_out = LeftOut()
    found = [os.path.relpath(path, tmp_path) for path in named.expand((str(tmp_path),), left_out)]
    # The files of a folder, then its folders; a link to a folder leads to it once.
    assert found == ["b.png", "c.png", "B/1.gif", "b/x.png", "b/x/10.jpg", "b/x/2.JPG"]
    assert left_out.notes() == (
        "1 file left out: hidden, or put there by the system (a/.h.png)",
        "1 file left out: in folders that were seen before, by a link (link/)",
        "1 file left out: not pictures by their extension (notes.txt)",
    )


def test_nothing_to_name_is_told_before_anything_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n \r\n")))
    with pytest.raises(ConfigError, match=r"^images: none was found"):
        named.expand(("-",), LeftOut())
    (tmp_path / "a.png").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"empty holds no picture"):
        named.expand((str(tmp_path / "a.png"), str(tmp_path / "empty")), LeftOut())
