"""Every file below a folder: what is looked into, and what is left out and why."""

from collections import Counter

from tlcli.data.walk import walk


def test_candidates_below_a_folder_and_why_others_are_not(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in ("cat/a.png", "cat/b", "notes.txt", ".hidden.png", "ä.jpg"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.png").touch()
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    ignored, folders = Counter(), []
    found = {name: size for name, size, *_ in walk(str(tmp_path), ignored, folders)}
    assert found == {"cat/a.png": 5, "cat/b": 5, "ä.jpg": 5, "gone.png": -1}
    assert ignored == {
        "not pictures by their extension": 1,
        "in folders that were seen before, by a link": 1,
    }
    assert folders == [f"{tmp_path}/", f"{tmp_path}/cat/"]
