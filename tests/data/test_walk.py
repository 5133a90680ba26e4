"""Every file below a folder: what is looked into, and what is left out and why."""

from tlcli.data.walk import LeftOut, walk


def test_candidates_below_a_folder_and_why_others_are_not(tmp_path):
    (tmp_path / "cat").mkdir()
    for name in ("cat/a.png", "cat/b", "notes.txt", ".hidden.png", "ä.jpg"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.png").touch()
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    left_out, folders = LeftOut(), []
    found = {name: size for name, size, *_ in walk(str(tmp_path), left_out, folders.append)}
    assert found == {"cat/a.png": 5, "cat/b": 5, "ä.jpg": 5, "gone.png": -1}
    assert left_out.notes() == (
        "2 files left out: hidden, or put there by the system (.hidden.png, __MACOSX)",
        "1 file left out: in folders that were seen before, by a link (cat/again/)",
        "1 file left out: not pictures by their extension (notes.txt)",
    )
    assert folders == [f"{tmp_path}/", f"{tmp_path}/cat/"]
