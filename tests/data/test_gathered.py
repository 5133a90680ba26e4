"""Ids and labels of several files together."""

import numpy as np
import pytest

from tlcli.data.gathered import Naming, ids_of, labelled
from tlcli.data.stored import Row, built
from tlcli.errors import DataError


def index(*rows):
    """An index of rows, each its labels and a name."""
    return built((Row(0, b"", labels, name) for labels, name in rows), 1)


def test_names_are_ids_where_all_differ():
    one, other = index(((), "a"), ((), "b")), index(((), "c"))
    assert ids_of([one, other], ["f", "g"]).tolist() == ["a", "b", "c"]
    for name in ("a", "", "/abs", "zip://x::y", "line\n", "\udc80"):
        found = ids_of([one, index(((), name))], ["f", "g"]).tolist()
        assert found == ["f/0", "f/1", "g/0"]


def naming(**changes):
    return Naming(**({"where": "set", "given": None, "told": None, "several": None} | changes))


def test_words_of_files_are_one_list_of_classes():
    files = [index((("b",), ""), (("c",), "")), index((("a",), ""), ((), ""), (("c",), ""))]
    labels, names, _ = labelled(files, naming())
    assert names == ("a", "b", "c")
    assert labels.tolist() == [1, 2, 0, -1, 2]
    labels, names, _ = labelled(files, naming(given=("c", "b", "a")))
    assert labels.tolist() == [1, 0, 2, -1, 0]


def test_numbers_that_begin_at_one_and_those_with_names():
    files = [index(((1,), ""), ((2,), "")), index(((3,), ""))]
    labels, names, notes = labelled(files, naming())
    assert (labels.tolist(), names) == ([0, 1, 2], ("1", "2", "3"))
    assert notes == ("labels begin at 1 and go to 3: class numbers are one less",)
    labels, names, _ = labelled(files, naming(told=tuple("abcd")))
    assert (labels.tolist(), names) == ([0, 1, 2], ("b", "c", "d"))
    with pytest.raises(DataError, match=r"has the label 3, and names for 2 classes"):
        labelled(files, naming(told=("a", "b")))
    with pytest.raises(DataError, match=r"has labels from -2 to 0\. Give class numbers from 0"):
        labelled([index(((-2,), ""))], naming())


def test_one_hot_where_a_picture_has_one_label_of_several():
    files = [index(((0,), ""), ((2,), ""), ((1,), ""))]
    labels, names, _ = labelled(files, naming(several=True))
    assert (labels.tolist(), names) == ([0, 2, 1], ("0", "1", "2"))
    np.testing.assert_array_equal(
        labelled([index(((0, 2), ""), ((), ""), ((1,), ""))], naming())[0],
        [[1, 0, 1], [0, 0, 0], [0, 1, 0]],
    )
