"""Words for a path that is no data; test_data_path.py has whole messages."""

from pathlib import Path

from tlcli.config import data_help


def test_what_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "Set of birds", ".hidden"):
        Path(name).mkdir()
    assert data_help.near(Path("phots"), []) == "Did you mean photos?"
    assert data_help.near(Path("set of bird"), []) == "Did you mean 'Set of birds'?"
    assert data_help.near(Path("diigts"), ["digits"]) == "Did you mean digits?"
    assert data_help.near(Path("zzz"), []).startswith("Here are Set of birds, photos. Give")


def test_names_and_counts_in_words():
    assert data_help.counted(["a"], "file") == "1 file"
    assert data_help.counted([], "file") == "0 files"
    assert data_help.some("abcdefgh", 3) == "a, b, c, …"
    assert data_help.some(["a\x1b[0m"]) == "a\\x1b[0m"


def test_an_archive_is_to_be_unpacked_beside_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_help.unpack(Path("a b.zip")) == (
        "Unpack it (unzip 'a b.zip' -d 'a b') and give the folder."
    )
    Path("set").mkdir()
    assert data_help.unpack(Path("set.tar.gz")) == "The folder set is beside it: give that."
