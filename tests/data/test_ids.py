"""Names of many samples as one array."""

import sys

import numpy as np
import pytest

from tlcli.data import ids as ids_of
from tlcli.data.ids import Ids, as_ids

NAMES = ["a/0.jpg", "", "b/ä€𝄞.png", "\udc80", "a", "a"]


@pytest.fixture(params=[2, 1 << 16])
def found(request, monkeypatch):
    monkeypatch.setattr(ids_of, "PIECE", request.param)
    return Ids.of(NAMES)


def test_they_are_the_texts_that_were_given(found):
    assert (len(found), found.tolist(), list(found)) == (6, NAMES, NAMES)
    assert [found[row] for row in range(-6, 6)] == NAMES * 2
    assert [found[np.int64(2)], found[np.array(2)]] == [NAMES[2]] * 2
    assert found[1:4].tolist() == NAMES[1:4]
    assert found[::-2].tolist() == NAMES[::-2]
    with pytest.raises(IndexError):
        found[6]


@pytest.mark.parametrize("rows", [[5, 0, 0, 2, 3], [], [0], [-1, 1]])
def test_rows_pick_some(found, rows):
    some = found[np.array(rows, np.int64)]
    assert isinstance(some, Ids)
    assert some.tolist() == [NAMES[row] for row in rows]
    chosen = np.isin(np.arange(6), rows)
    assert found[chosen].tolist() == np.array(NAMES, object)[chosen].tolist()


def test_numpy_takes_them(found):
    assert np.asarray(found).tolist() == NAMES
    assert found.astype(object).dtype == object
    assert Ids.of(["b", "c"]).astype(str).dtype == np.dtype("<U1")
    assert np.isin(found.astype(str), ["a"]).tolist() == [False] * 4 + [True] * 2


def test_those_of_several_files():
    made = Ids.numbered(["f", "gä"], [2, 1])
    assert made.tolist() == ["f/0", "f/1", "gä/0"]
    assert Ids.joined([made, Ids.of([]), Ids.of(["x"])]).tolist() == [*made, "x"]
    assert Ids.joined([]).tolist() == []
    assert as_ids(made) is made
    assert as_ids(np.array(["x"], object)).tolist() == ["x"]


def test_what_is_known_of_all(found):
    assert not found.are_different
    assert found[:5].are_different
    assert Ids.of(["", ""]).are_empty
    assert not found.are_empty


def test_memory_is_that_of_the_letters():
    made = Ids.numbered(["train-00000.parquet"], [100_000])
    objects = sum(map(sys.getsizeof, made)) + 8 * len(made)
    assert made.nbytes < 30.5 * len(made)
    assert objects > 80 * len(made)
