"""Headers of many files: read once, kept, read again where a file changed."""

import os

import numpy as np

from tests.helpers.pictures import encode, make_classes, smooth
from tlcli.data import scan


def test_what_changed_is_read_again_and_nothing_else(tmp_path, monkeypatch):
    root = make_classes(tmp_path / "p", {"a": 3})
    names = [f"a/{n}.png" for n in range(3)]
    (root / "a/1.png").write_bytes(b"no picture")
    os.utime(root / "a/2.png", ns=(10**18, 10**18))
    first = scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    assert list(first.problems) == [1]
    assert (first.widths[0], first.heights[0]) == (8, 8)
    read = []
    headers = scan._headers
    monkeypatch.setattr(scan, "_headers", lambda p, m: headers(read.extend(p := list(p)) or p, m))
    scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    assert not any(path.endswith(("0.png", "2.png")) for path in read)
    (root / "a/2.png").write_bytes(encode(smooth(1, 16, 24)))
    again = scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    assert (again.widths[2], again.heights[2]) == (24, 16)
    assert any(path.endswith("2.png") for path in read)


def test_what_may_not_be_read_is_asked_for_each_time(tmp_path, monkeypatch):
    root = make_classes(tmp_path / "p", {"a": 2})
    names = ["a/0.png", "a/1.png"]
    denied = {"a/1.png": "may not be read (403)"}
    headers = scan._headers
    monkeypatch.setattr(
        scan,
        "_headers",
        lambda paths, most: [
            denied.get(os.path.relpath(path, root), headers([path], most)[0]) for path in paths
        ],
    )
    first = scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    assert first.problems == {1: "may not be read (403)"}
    denied.clear()
    again = scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    assert again.problems == {}
    assert again.widths.tolist() == [8, 8]


def test_rows_are_kept_with_their_facts(tmp_path):
    root = make_classes(tmp_path / "p", {"a": 3})
    names = [f"a/{n}.png" for n in range(3)]
    found = scan.scan_files(scan.stat_files(str(root), names), 10**6, tmp_path / "cache")
    part = found.keep(np.array([2, 0]))
    np.testing.assert_array_equal(part.sizes, found.sizes[[2, 0]])
    np.testing.assert_array_equal(part.checksums, found.checksums[[2, 0]])
