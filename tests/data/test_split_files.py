"""Files of several pictures, and the split that each is for."""

import pytest

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data.split_files import split_files, splits_of
from tlcli.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("name", "split"),
    [("train-00000-of-00002", TRAIN), ("flowers_val.tar", VALIDATION), ("test/train-set/0", TRAIN),
     ("x/training/0.tar", TRAIN), ("constrained-test.tar", TEST)],
)  # fmt: skip
def test_the_last_word_of_a_path_tells(name, split, tmp_path):
    assert splits_of([name], tmp_path) == ([split], ())


def test_names_that_tell_nothing_are_for_training_or_refused(tmp_path):
    splits, notes = splits_of(["a", "b"], tmp_path)
    assert splits == [TRAIN, TRAIN]
    assert notes == ("no shard's name tells its split: all taken as train",)
    with pytest.raises(DataError, match=r"the names of 'b' do not tell their split"):
        splits_of(["train", "b"], tmp_path)


def test_folders_are_searched_and_hidden_files_passed_by(tmp_path):
    for name in ("train/1.tar", "train/0.TAR", "test/0.tar", ".git/train.tar", "train/.x.tar",
                 "train/notes.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = split_files(str(tmp_path), (".tar",))
    assert found.names == ["test/0.tar", "train/0.TAR", "train/1.tar"]
    assert found.splits == [TEST, TRAIN, TRAIN]
    one = split_files(str(tmp_path / "train" / "1.tar"), (".tar",))
    assert (one.root, one.names) == (tmp_path / "train", ["1.tar"])
    many = split_files(f"{tmp_path}/{{train,test}}/0.*", (".tar",))
    assert (many.root, many.names) == (tmp_path, ["test/0.tar", "train/0.TAR"])
    with pytest.raises(ConfigError, match=r"none: there is no \.a or \.b file"):
        split_files(str(tmp_path / "none"), (".a", ".b"))
