import io
import math

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import encode, smooth
from tlcli.audit import facts
from tlcli.contracts.data import ImageSource


def with_exif(turned=1, **texts):
    picture, content = Image.fromarray(smooth(height=24, width=40)), io.BytesIO()
    exif = picture.getexif()
    exif[facts.ORIENTATION] = turned
    for name, value in texts.items():
        exif[getattr(facts, name)] = value
    picture.save(content, "JPEG", exif=exif, quality=80)
    return content.getvalue()


def test_what_a_file_tells():
    content = with_exif(turned=6, MAKE="Canon", MODEL="EOS 5", TIME="2024:05:01 10:20:30")
    found = facts.file_facts(content)
    assert (found.width, found.height, found.kind) == (24, 40, "JPEG")
    assert found.camera == "Canon EOS 5"
    assert found.time == 1714558830  # of the first of May 2024
    finer = facts.file_facts(encode(smooth(), "JPEG", quality=95))
    assert 0 < finer.quality < found.quality
    assert (finer.camera, math.isnan(finer.time)) == ("", True)


def test_a_png_has_no_tables():
    found = facts.file_facts(encode(smooth(height=24, width=32)))
    assert (found.width, found.height, found.kind, found.quality) == (32, 24, "PNG", -1)


@pytest.mark.parametrize("content", [b"", b"text", with_exif()[:30]])
def test_what_is_no_picture_tells_nothing(content):
    found = facts.file_facts(content)
    assert (found.width, found.kind, found.camera) == (0, "", "")


@pytest.mark.parametrize("text", ["", "yesterday", "2024:13:01 00:00:00", "0000:00:00 00:00:00"])
def test_what_is_no_time_is_none(text):
    assert math.isnan(facts.taken(text))
    assert facts.file_facts(with_exif(TIME=text, MAKE="\x1b[31m<b>")).camera == r"\x1b[31m<b>"


class Source(ImageSource):
    def __init__(self, contents=(), array=None):
        self.array = array
        if contents:
            self.encoded = contents.__getitem__

    def image(self, index, short_side=0, region=None):
        raise AssertionError("facts are told without decoding")


def test_facts_of_a_source_are_columns():
    found = facts.facts_of(Source([encode(smooth()), with_exif(MODEL="X")] * 40), 80)
    assert found.kind[:3].tolist() == ["PNG", "JPEG", "PNG"]
    assert (found.width[1], found.camera[1], len(found.time)) == (40, "X", 80)
    arrays = facts.facts_of(Source(array=np.zeros((3, 8, 9, 1), np.uint8)), 3)
    assert (arrays.width.tolist(), arrays.height.tolist()) == ([9] * 3, [8] * 3)
    assert facts.facts_of(Source(), 2).width.tolist() == [0, 0]
