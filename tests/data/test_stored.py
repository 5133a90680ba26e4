"""What is found in files of many pictures, and kept."""

import numpy as np
import pytest

from tests.helpers.pictures import encode, smooth
from tlcli.data.header import BY_PNG
from tlcli.data.stored import Format, Row, index_files, problems_of


@pytest.fixture
def rows():
    return [
        Row(7, encode(smooth(0, 16, 8)), ("b",), "x/0.png"),
        Row(-1, b"no picture", ("a", "b"), "x/1.png"),
        Row(9, b"", (), problem="holds nothing"),
        Row(11, encode(smooth(1)), ("c",)),
    ]


def test_an_index_holds_what_the_rows_say(rows, tmp_path):
    path, calls = tmp_path / "file", []
    path.write_bytes(b"x")
    form = Format("kind", "files", lambda given: calls.append(given) or iter(rows))
    for _ in range(2):  # the second is from the cache
        (index,) = index_files(form, [path], 10**6, tmp_path / "cache")
        assert index.columns["offsets"].tolist() == [7, -1, 9, 11]
        assert index.columns["lengths"].tolist() == [len(row.data) for row in rows]
        assert index.columns["widths"].tolist() == [8, 0, 0, 32]
        assert index.columns["heights"].tolist() == [16, 0, 0, 24]
        assert index.columns["decoders"][0] == BY_PNG
        assert index.counts.tolist() == [1, 2, 0, 1]
        assert [index.words[value] for value in index.values] == ["b", "a", "b", "c"]
        assert [index.words[v] if v >= 0 else None for v in index.labels] == ["b", "a", None, "c"]
        assert list(index.names) == ["x/0.png", "x/1.png", "", ""]
        assert index.problems == {1: "is a text, not an image that is read", 2: "holds nothing"}
    assert calls == [path]
    path.write_bytes(b"yy")
    index_files(form, [path], 10**6, tmp_path / "cache")
    index_files(Format("other", "files", form.rows), [path], 10**6, tmp_path / "cache")
    assert len(calls) == 3


def test_problems_of_several_files_are_by_row_of_all(rows, tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"x")
    both = index_files(Format("k", "files", lambda _: iter(rows)), paths, 10**6, tmp_path / "cache")
    assert sorted(problems_of(both)) == [1, 2, 5, 6]
    np.testing.assert_array_equal(both[0].counts, both[1].counts)
