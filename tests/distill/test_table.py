"""Stored logits as teacher: every training image has its row."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tlcli.distill.table import Stored, TableTeacher, shown
from tlcli.errors import DataError

STORED = Stored(Path("x.npz"), np.array(["b", "a", "c"]), np.eye(3, dtype=np.float32), "3 classes")


def test_rows_are_found_by_id_in_any_order():
    np.testing.assert_array_equal(STORED.rows(["a", "b"]), STORED.logits[[1, 0]])
    assert STORED.rows(["a", "z"]) is None
    with pytest.raises(DataError, match=r"lacks 1 of 2 training images: z; its 3 rows are called"):
        STORED.refuse_missing(np.array(["a", "z"]))


def test_a_batch_gets_the_rows_of_its_images():
    manifest = SimpleNamespace(ids=np.array(["a", "b", "c"], object))
    teacher = TableTeacher(STORED, SimpleNamespace(manifest=manifest, rows=np.array([2, 0])))
    found = teacher.outputs({"rows": np.array([1, 0])}).logits
    np.testing.assert_array_equal(found, STORED.logits[[1, 2]])
    given = teacher.outputs({"teacher_logits": "given"})
    assert given.logits == "given"
    assert teacher.feed() is None


def test_long_lists_are_cut():
    assert shown("abc", 5) == "a, b, c"
    assert shown("abc", 2) == "a, b, … (3 in all)"
