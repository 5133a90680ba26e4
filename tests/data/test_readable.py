"""Files that can be read, and what is left of them without the faulty ones."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.pictures import make_classes
from tlcli.data.damage import ERROR, WARNING, Fault
from tlcli.data.readable import Reading, readable
from tlcli.data.samples import Samples
from tlcli.data.scan import scan_files, stat_files
from tlcli.errors import DataError

READING = Reading((0.0, 0.0), 10**6, "skip", "skip")


@pytest.fixture
def listed(tmp_path):
    """Readable files of six, of which the second is none."""
    root = make_classes(tmp_path / "r", {"a": 3, "b": 3})
    (root / "a" / "1.png").write_text("no picture")
    names = [f"{c}/{n}.png" for c in "ab" for n in range(3)]
    listing = stat_files(str(root), names)
    samples = Samples(str(root), np.array(names, object), np.repeat([0, 1], 3).astype(np.int32),
                      np.zeros(6, np.int8), ("a", "b"))  # fmt: skip
    return listing, samples, scan_files(listing, 10**6, tmp_path / "cache")


def test_what_the_scan_cannot_read_is_left_out_or_refused(listed):
    files = readable(*listed, READING)
    assert list(files.names) == ["a/0.png", "a/2.png", "b/0.png", "b/1.png", "b/2.png"]
    assert [name for name, _ in files.skipped] == ["a/1.png"]
    assert files.count == 6
    with pytest.raises(DataError, match=r"^a/1\.png: .*data\.on_error=skip"):
        readable(*listed, replace(READING, on_error="fail"))


@pytest.mark.parametrize("kind", [ERROR, WARNING])
def test_faults_that_are_remembered_leave_the_rest_as_it_is(listed, tmp_path, kind):
    files = readable(*listed, READING)
    damage = files.damage(tmp_path / "cache", READING)
    assert files.without_faults(damage) == (files, [])
    stamp = (int(files.scan.sizes[2]), int(files.scan.marks[2]))
    assert damage.remember({"b/0.png": Fault(kind, "is bad", "", *stamp)})
    rest, told = files.without_faults(damage)
    assert told == [("b/0.png", "is bad")]
    assert list(rest.names) == ["a/0.png", "a/2.png", "b/1.png", "b/2.png"]
    assert rest.samples.ids.tolist() == list(rest.names)
    np.testing.assert_array_equal(rest.scan.marks, np.delete(files.scan.marks, 2))
    key = "on_error" if kind == ERROR else "damaged"
    failing = replace(READING, **{key: "fail"})
    with pytest.raises(DataError, match=rf"^b/0\.png: is bad\. .*data\.{key}=skip"):
        files.without_faults(files.damage(tmp_path / "cache", failing))
    if kind == WARNING:
        using = files.damage(tmp_path / "cache", replace(READING, damaged="use"))
        assert files.without_faults(using) == (files, [])
