"""Prepared shards hold the source's pictures, ids, labels and splits; a broken run is completed."""

import hashlib
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.runs import same_weights, train_digits
from tests.helpers.words import checked, config
from tlcli.commands import prepare
from tlcli.config import registry
from tlcli.data import prepared, shards
from tlcli.data.shards import write_shard
from tlcli.errors import ConfigError, DataError, TlError


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    # Four pictures fill the smallest shard, one megabyte.
    monkeypatch.setattr(prepare, "OVERHEAD", 250_000)


@pytest.fixture
def packed(pictures, tmp_path):
    """Prepare the pictures, or what the words say; gives the folder."""

    def pack(*words):
        given = [f"data.path={pictures}", f"output={tmp_path / 'shards'}", "shard_size=1",
                 f"cache_dir={tmp_path / 'cache'}", *words]  # fmt: skip
        assert prepare.run(checked("prepare", *given)) == 0
        return tmp_path / "shards"

    return pack


def manifest(tmp_path, *words, seed=0):
    values = config("train", *words)["data"]
    return registry.build("data", values).manifest(seed, tmp_path / "cache")


def of_folder(tmp_path, pictures, seed=0):
    return manifest(tmp_path, "data=folder", f"data.path={pictures}", seed=seed)


def of_shards(tmp_path, folder):
    return manifest(tmp_path, "data=tfrecord", f"data.path={folder}", seed=9)


def facts(path):
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in path.rglob("*") if p.is_file()}


def test_the_shards_are_the_source(tmp_path, pictures, packed):
    before = facts(pictures)
    folder = packed("seed=3")
    assert facts(pictures) == before
    source, found = of_folder(tmp_path, pictures, 3), of_shards(tmp_path, folder)
    assert found.class_names == source.class_names
    for split in range(3):
        mine, theirs = found.rows(split), source.rows(split)
        assert found.ids[mine].tolist() == source.ids[theirs].tolist()
        np.testing.assert_array_equal(found.labels[mine], source.labels[theirs])
        for row, other in zip(mine[:3], theirs[:3], strict=True):
            np.testing.assert_array_equal(found.images.image(row), source.images.image(other))
            assert found.images.encoded(row) == (pictures / source.ids[other]).read_bytes()
    assert found.fingerprint == of_shards(tmp_path, folder).fingerprint
    assert found.report["sizes"] == "all 30x24"


def test_other_tools_can_read_the_shards(tmp_path, pictures, packed):
    folder = packed()
    source = of_folder(tmp_path, pictures)
    names = sorted(p.name for p in folder.glob("*.tfrecord"))
    assert [n for n in names if "train" in n] == [
        f"train-0000{i}-of-00004.tfrecord" for i in range(4)
    ]
    seen = {}
    for name in names:
        for record in tf.data.TFRecordDataset(str(folder / name)):
            feature = tf.train.Example.FromString(record.numpy()).features.feature
            key = feature["image/filename"].bytes_list.value[0].decode()
            seen[key] = (feature["image/encoded"].bytes_list.value[0],
                         feature["image/class/text"].bytes_list.value[0].decode(),
                         feature["image/class/label"].int64_list.value[0],
                         name.split("-")[0])  # fmt: skip
    words = ("train", "validation", "test")
    assert seen == {
        key: ((pictures / key).read_bytes(), key.split("/")[0], label, words[split])
        for key, label, split in zip(source.ids, source.labels, source.splits, strict=True)
    }
    assert (folder / "labels.txt").read_text() == "round\nsquare\n"
    for name in names:
        part = prepared.read_part(folder / name.replace(".tfrecord", ".npz"))
        assert part.sha256 == hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_a_training_is_the_same_from_either(pictures, tmp_path, packed):
    words = ("finetune=linear_probe", "augmentation=light", "image_size=16", "calibrate=false")
    folder = packed()
    one = train_digits(tmp_path / "one", "data=folder", f"data.path={pictures}", *words)
    other = train_digits(tmp_path / "other", "data=tfrecord", f"data.path={folder}", *words)
    same_weights(one, other)


def test_a_run_that_was_broken_off_is_completed(tmp_path, packed, monkeypatch):
    whole = {n: content for n, (_, content) in facts(packed()).items()}
    folder = tmp_path / "shards"
    os.rename(folder, tmp_path / "whole")
    write, written = write_shard, []

    def until_it_breaks(manifest, folder, shard, shrink):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(shard.name)
        write(manifest, folder, shard, shrink)

    monkeypatch.setattr(shards, "write_shard", until_it_breaks)
    with pytest.raises(KeyboardInterrupt):
        packed("workers=1")
    with pytest.raises(DataError, match=r"is not prepared to its end\. Run tl prepare again"):
        of_shards(tmp_path, folder)
    (folder / f".x{prepare.files.MARK}").touch()
    first, second, third = (folder / f"{name}.tfrecord" for name in written)
    second.write_bytes(second.read_bytes()[:-1])
    content = bytearray(third.read_bytes())
    content[40] ^= 1
    third.write_bytes(content)
    kept = first.stat().st_mtime_ns
    monkeypatch.setattr(shards, "write_shard", write)
    packed()
    assert first.stat().st_mtime_ns == kept
    assert {n: content for n, (_, content) in facts(folder).items()
            if not n.endswith(".npz")} == {n: c for n, c in whole.items()
                                           if not n.endswith(".npz")}  # fmt: skip


def test_a_finished_folder_is_checked_and_left_as_it_is(packed):
    before = facts(packed())
    after = facts(packed())
    assert {n: f for n, f in after.items() if n.startswith(("train", "test", "val"))} == {
        n: f for n, f in before.items() if n.startswith(("train", "test", "val"))
    }


def test_a_shard_that_is_gone_is_named(tmp_path, packed):
    folder = packed()
    (folder / "train-00001-of-00004.tfrecord").unlink()
    with pytest.raises(DataError, match=r"train-00001-of-00004\.tfrecord: is missing or was"):
        of_shards(tmp_path, folder)


def test_large_pictures_shrink_when_asked(tmp_path, packed):
    root = tmp_path / "photos"
    noise = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number, sides in enumerate([(90, 60), (40, 100), (30, 33)]):
            pixels = noise.integers(0, 256, (*sides, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    folder = packed(f"data.path={root}", "shrink=36", "data.validation_fraction=0",
                    "data.test_fraction=0")  # fmt: skip
    found = of_shards(tmp_path, folder)
    assert (found.splits == 0).all()
    shapes = {i: found.images.image(row).shape.as_list() for row, i in enumerate(found.ids)}
    assert shapes["a/0.png"] == [54, 36, 3]
    assert shapes["a/1.png"] == [36, 90, 3]
    row = found.ids.tolist().index("b/2.png")
    assert found.images.encoded(row) == (root / "b" / "2.png").read_bytes()


def test_several_labels_and_none(tmp_path, pictures, packed):
    table = tmp_path / "list.csv"
    rows = [f"round/{n}.png,{'a|b' if n % 2 else 'b' if n % 3 else ''}" for n in range(12)]
    table.write_text("path,label\n" + "\n".join(rows) + "\n")
    words = ("data=csv", f"data.path={table}", f"data.image_root={pictures}")
    folder = packed(*words)
    source = manifest(tmp_path, *words)
    found = of_shards(tmp_path, folder)
    assert found.multi_label
    order = [source.ids.tolist().index(name) for name in found.ids]
    np.testing.assert_array_equal(found.labels, source.labels[order])
    np.testing.assert_array_equal(found.splits, source.splits[order])


def test_refusals(tmp_path, pictures, packed, monkeypatch):
    with pytest.raises(ConfigError, match=r"^output: .* lies in the data\."):
        packed(f"output={pictures / 'shards'}")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"^output: .* holds other files\."):
        packed(f"output={foreign}")
    with pytest.raises(ConfigError, match=r"^data: digits has no encoded pictures\."):
        prepare.run(checked("prepare", "data=digits", f"output={tmp_path / 'new'}"))
    folder = packed()
    with pytest.raises(ConfigError, match=r"other data or options \(fingerprint\)"):
        packed("seed=5")
    (folder / "prepared.json").write_text("{")
    with pytest.raises(DataError, match="is broken"):
        packed()
    monkeypatch.setattr(prepare.files, "free_bytes", lambda folder: 1 << 20)
    with pytest.raises(
        TlError, match=r"^output: \d+\.\d MB of prepared pictures do not fit in .* 1\.0 MB free"
    ):
        packed(f"output={tmp_path / 'full'}")
    assert not (tmp_path / "new").exists()
