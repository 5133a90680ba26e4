"""Where splits and classes stand in paths; tests/reality/test_layouts.py has whole folders."""

import pytest

from tlcli.contracts.data import TEST, TRAIN
from tlcli.data import layout
from tlcli.errors import DataError


def test_paths_tell_split_and_class():
    names = [f"{split}/{one}/" for split in ("seg_train", "seg_test") for one in ("cats", "dogs")]
    found = layout.resolve("d", names, [name.rstrip("/") for name in names])
    assert found.splits == {"seg_train/": TRAIN, "seg_test/": TEST}
    assert (found.split("seg_test/cats/0.jpg"), found.class_name("seg_test/cats/0.jpg")) == (
        TEST, "cats",
    )  # fmt: skip
    assert found.split("other/0.jpg") is None


def test_a_split_without_one_for_training_is_refused():
    with pytest.raises(DataError, match="but no 'train'"):
        layout.resolve("d", ["test/cats/", "val/cats/"], ["test", "val"])
