"""Stored teacher outputs: their coding, what survives a kill, and what is refused."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tlcli.data.content import combined
from tlcli.distill import store as stores
from tlcli.distill.coding import Coding
from tlcli.distill.store import Store
from tlcli.errors import ConfigError, DataError, TlError

FACTS = {"teacher": "abc", "probe": [0.5, -1.0], "seed": 3}

SHAPES = {"teacher_logits": (5,), "teacher_embedding": (2, 3)}


def signals_of(items):
    """Signals that follow from the item alone."""
    items = np.asarray(items)
    logits = np.sin(items[:, None] * np.arange(1, 6)).astype(np.float32)
    embedding = np.cos(items[:, None, None] * np.arange(1, 7).reshape(2, 3)).astype(np.float32)
    return {"teacher_logits": logits, "teacher_embedding": embedding}


def computing(items):
    for start in range(0, len(items), stores.BATCH):
        yield signals_of(items[start : start + stores.BATCH])


def dense():
    return Coding(SHAPES, "float32", 0)


class Numbers:
    """Items that are made of numbers; their names are their places."""

    def __init__(self, numbers):
        self.numbers, self.asked = np.asarray(numbers), []

    def __len__(self):
        return len(self.numbers)

    def named(self, places):
        return str(places)

    def made_of(self, places):
        self.asked.append(places)
        return combined(self.numbers[places.start : places.stop])


def filled(folder, items=3000, mend=False, **facts):
    numbers = items if isinstance(items, Numbers) else Numbers(np.arange(items))
    store = Store(folder, {**FACTS, **facts}, numbers, mend)
    asked = []

    def compute(wanted):
        asked.extend(wanted.tolist())
        yield from computing(numbers.numbers[wanted])

    store.fill(dense, compute)
    return store, asked


MANY = Numbers(np.arange(3000))


def test_a_store_gives_back_what_was_computed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "SHARD_BYTES", 50_000)
    store, asked = filled(tmp_path / "s")
    assert asked == list(range(3000))
    assert len(list((tmp_path / "s").glob("shard-*.bin"))) == 3
    items = np.array([2999, 0, 1024, 7, 2048, 7])
    for _ in range(2):
        for name, values in signals_of(items).items():
            np.testing.assert_array_equal(store.gather(items)[name], values)
        store, asked = filled(tmp_path / "s")
        assert not asked


def test_a_damaged_block_is_computed_again(tmp_path, caplog):
    store, _ = filled(tmp_path / "s")
    shard = tmp_path / "s" / "shard-0000.bin"
    content = bytearray(shard.read_bytes())
    content[1500 * store.coding.dtype.itemsize] ^= 1
    shard.write_bytes(content)
    again, asked = filled(tmp_path / "s")
    assert asked == list(range(1024, 2048))
    assert f"block 1 in {shard} is damaged" in caplog.text
    np.testing.assert_array_equal(
        again.gather([1500])["teacher_logits"], signals_of([1500])["teacher_logits"]
    )
    shard.write_bytes(shard.read_bytes()[:-5])  # Of the block that was written last.
    assert filled(tmp_path / "s")[1] == list(range(1024, 2048))
    assert not filled(tmp_path / "s")[1]


def test_data_that_changed_or_grew_computes_the_blocks_that_are_new(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "SHARD_BYTES", 50_000)
    first, _ = filled(tmp_path / "s")
    mine = first.gather(np.arange(3000))
    changed = np.arange(3000)
    changed[1500] = 7777
    other, asked = filled(tmp_path / "s", Numbers(changed))
    assert asked == list(range(1024, 2048))
    for name, values in signals_of(changed).items():
        np.testing.assert_array_equal(other.gather(np.arange(3000))[name], values)
    grown, asked = filled(tmp_path / "s", 3100)
    assert asked == list(range(2048, 3100))
    everything = np.arange(3100)
    for name, values in signals_of(everything).items():
        np.testing.assert_array_equal(grown.gather(everything)[name], values)
        # Nothing was written over: who reads meanwhile reads what was there.
        np.testing.assert_array_equal(first.gather(np.arange(3000))[name], mine[name])
    assert not filled(tmp_path / "s")[1]


def test_nothing_is_asked_of_items_before_they_are_computed(tmp_path):
    numbers = Numbers(np.arange(2000))
    store = Store(tmp_path / "s", FACTS, numbers)

    def compute(wanted):
        assert not numbers.asked
        yield from computing(wanted)

    store.fill(dense, lambda wanted: iter(list(compute(wanted))))
    assert numbers.asked == [range(1024), range(1024, 2000)]


@pytest.mark.parametrize("name", ["store.json", "index.jsonl", "shard-0000.bin"])
def test_any_byte_of_a_store_may_be_wrong(tmp_path, name):
    filled(tmp_path / "s", 300)
    path = tmp_path / "s" / name
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in np.unique(rng.integers(0, len(content), 40)).tolist():
        damaged = bytearray(content)
        damaged[at] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        found, _ = filled(tmp_path / "s", 300, mend=True)
        for one, values in signals_of(np.arange(300)).items():
            np.testing.assert_array_equal(found.gather(np.arange(300))[one], values)


def test_outputs_of_something_else_are_refused(tmp_path):
    filled(tmp_path / "s")
    filled(tmp_path / "s", probe=[0.5001, -1.0001])
    with pytest.raises(ConfigError, match=r"differ in: teacher \(abc, now abd\)\. Give another"):
        Store(tmp_path / "s", {**FACTS, "teacher": "abd"}, MANY)
    with pytest.raises(ConfigError, match="differ in: graph"):
        Store(tmp_path / "s", {**FACTS, "probe": [0.9, -1.0]}, MANY)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        Store(tmp_path / "other", FACTS, MANY)
    (tmp_path / "s" / "store.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Store(tmp_path / "s", FACTS, MANY)


def test_too_small_a_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(stores.files, "free_bytes", lambda _: 1 << 20)
    with pytest.raises(TlError, match=r"0\.1 MB of teacher outputs do not fit .* 1\.0 MB free"):
        filled(tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.bin"))


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import test_store
from tlcli.distill.store import Store

def compute(items):
    for number, batch in enumerate(test_store.computing(items)):
        if number == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

from pathlib import Path
Store(Path({folder!r}), test_store.FACTS, test_store.MANY).fill(test_store.dense, compute)
"""


def test_a_killed_process_loses_no_whole_block(tmp_path):
    script = KILLED.format(tests=os.path.dirname(__file__), folder=str(tmp_path / "s"))
    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    # A torn line and bytes of half a block, as a kill within a write leaves them.
    with (tmp_path / "s" / "index.jsonl").open("ab") as file:
        file.write(b'{"slot": 2, "sha')
    with (tmp_path / "s" / "shard-0000.bin").open("ab") as file:
        file.write(b"\1" * 999)
    store, asked = filled(tmp_path / "s")
    assert asked == list(range(2048, 3000))
    everything = np.arange(3000)
    for name, values in signals_of(everything).items():
        np.testing.assert_array_equal(store.gather(everything)[name], values)
    lines = (tmp_path / "s" / "index.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["slot"] for line in lines if line.endswith(b"}")] == [0, 1, 2]
    assert not filled(tmp_path / "s")[1]


@pytest.mark.parametrize("left", [0, 5, 4096])
@pytest.mark.parametrize("read_before", [False, True])
def test_a_shard_that_is_cut_off_is_told_before_it_is_read(
    tmp_path, monkeypatch, left, read_before
):
    monkeypatch.setattr(stores, "SHARD_BYTES", 50_000)
    store, _ = filled(tmp_path / "s")
    if read_before:
        store.gather(range(3000))
    store.check()
    shard = tmp_path / "s" / "shard-0001.bin"
    os.truncate(shard, left)
    for refused in (store.check, lambda: store.gather([1500])):
        with pytest.raises(DataError, match=r"shard-0001\.bin: was cut off while it was in use"):
            refused()
