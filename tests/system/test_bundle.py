import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlcli.errors import DataError, TlError
from tlcli.system import bundle
from tlcli.system.files import sha256

FILES = {"metadata.json": b"{}", "model.weights.h5": bytes(range(256)) * 40, "teacher/a.txt": b""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("bundles") / "run"
    (root / "teacher").mkdir(parents=True)
    for name, content in FILES.items():
        (root / name).write_bytes(content)
    return root


def packed(folder):
    found = io.BytesIO()
    bundle.write(found, folder, list(FILES), "run")
    return found.getvalue()


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in Path(folder).rglob("*") if p.is_file()}  # fmt: skip


def made(path, members, listed=None, kind=zipfile.ZIP_STORED):
    """A bundle of a stranger's: members by name, listed as they are or otherwise."""
    import hashlib

    listed = {n: hashlib.sha256(c).hexdigest() for n, c in members.items()} | (listed or {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(bundle.LIST, json.dumps({"version": 1, "sha256": listed}))
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=kind)
    return path


def refused(path, tmp_path):
    """The message that a bundle is refused by; nothing lies outside the folder."""
    place = tmp_path / "out" / "inner"
    place.mkdir(parents=True)
    with pytest.raises(DataError) as error:
        bundle.unpack(path, place)
    assert {p.name for p in tmp_path.iterdir()} <= {"out", Path(path).name}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["inner"]
    return str(error.value)


def test_a_folder_comes_back_to_the_byte(folder, tmp_path):
    path = tmp_path / "run.zip"
    path.write_bytes(packed(folder))
    assert bundle.is_bundle(path)
    bundle.unpack(path, tmp_path / "back")
    assert content(tmp_path / "back") == FILES
    assert packed(folder) == path.read_bytes()


def test_what_was_not_packed_is_no_bundle(folder, tmp_path):
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "a")
    assert not any(map(bundle.is_bundle, (other, folder, tmp_path / "none", Path("/dev/zero"))))


@given(st.integers(0, 10**9), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_flipped_byte_is_refused_or_changes_nothing(folder, tmp_path_factory, place, other):
    whole = bytearray(packed(folder))
    whole[place % len(whole)] ^= other
    root = tmp_path_factory.mktemp("flipped")
    (root / "run.zip").write_bytes(whole)
    try:
        bundle.unpack(root / "run.zip", root / "back")
    except TlError:
        return
    # Times, and what a zip says twice, mean nothing.
    assert content(root / "back") == FILES


@given(st.integers(0, 10**9))
@settings(max_examples=60, deadline=None)
def test_one_that_was_cut_off_is_refused(folder, tmp_path_factory, length):
    whole = packed(folder)
    root = tmp_path_factory.mktemp("cut")
    (root / "run.zip").write_bytes(whole[: length % len(whole)])
    with pytest.raises(DataError):
        bundle.unpack(root / "run.zip", root / "back")


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:evil", "a//b", "./a", "a/", "\x1b[2J",
     "nul.txt", ""],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    assert "holds" in refused(made(tmp_path / "b.zip", {name: b"x"}), tmp_path)


def test_a_link_is_refused(tmp_path):
    path = made(tmp_path / "b.zip", {})
    with zipfile.ZipFile(path, "w") as archive:
        listed = {"a": sha256(Path(__file__))}
        archive.writestr(bundle.LIST, json.dumps({"version": 1, "sha256": listed}))
        link = zipfile.ZipInfo("a")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert "no run holds" in refused(path, tmp_path)


def test_a_bomb_is_refused_before_anything_is_written(tmp_path):
    bomb = made(tmp_path / "b.zip", {"a": bytes(50_000_000)}, kind=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    assert "compressed" in refused(bomb, tmp_path)
    assert content(tmp_path / "out") == {}


def test_members_that_share_their_bytes_are_refused(tmp_path):
    path = made(tmp_path / "b.zip", {str(n): bytes(1000) for n in range(10)})
    whole = path.read_bytes()
    # Each entry of the directory leads to the first member, as large as the file.
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[1].header_offset
        at, size = archive.start_dir, len(whole)
    found = bytearray(whole)
    while found[at : at + 4] == b"PK\x01\x02":
        length = 46 + int.from_bytes(found[at + 28 : at + 30], "little")
        if found[at + 46 : at + length] != bundle.LIST.encode():
            found[at + 20 : at + 28] = (size - first - 100).to_bytes(4, "little") * 2
            found[at + 42 : at + 46] = first.to_bytes(4, "little")
        at += length
    path.write_bytes(found)
    assert "more than it weighs" in refused(path, tmp_path)


def test_files_beside_the_list_are_refused(tmp_path):
    path = made(tmp_path / "b.zip", {"a": b"x"}, listed={"b": 64 * "0"})
    assert "other files" in refused(path, tmp_path)


def test_two_names_that_some_disks_take_for_one_are_refused(tmp_path):
    assert "of one name" in refused(made(tmp_path / "b.zip", {"a": b"x", "A": b"y"}), tmp_path)


def test_a_list_that_is_none_is_refused(tmp_path):
    path = tmp_path / "b.zip"
    for text in ("[]", "{", '{"version": 9, "sha256": {}}', '{"version": 1, "sha256": {"a": 1}}'):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(bundle.LIST, text)
        with pytest.raises(DataError):
            bundle.unpack(path, tmp_path / "back")
