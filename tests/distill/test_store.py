"""Stored teacher outputs: their coding, what survives a kill, and what is refused."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

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


def filled(folder, items=3000, **facts):
    store = Store(folder, {**FACTS, **facts}, items)
    asked = []

    def compute(wanted):
        asked.extend(wanted.tolist())
        yield from computing(wanted)

    store.fill(dense, compute)
    return store, asked


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
    shard.write_bytes(shard.read_bytes()[:-5])
    assert filled(tmp_path / "s")[1] == list(range(2048, 3000))
    assert not filled(tmp_path / "s")[1]


def test_outputs_of_something_else_are_refused(tmp_path):
    filled(tmp_path / "s")
    filled(tmp_path / "s", probe=[0.5001, -1.0001])
    with pytest.raises(ConfigError, match=r"differ in: teacher \(abc, now abd\)\. Give another"):
        Store(tmp_path / "s", {**FACTS, "teacher": "abd"}, 3000)
    with pytest.raises(ConfigError, match="differ in: graph"):
        Store(tmp_path / "s", {**FACTS, "probe": [0.9, -1.0]}, 3000)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        Store(tmp_path / "other", FACTS, 3000)
    (tmp_path / "s" / "store.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Store(tmp_path / "s", FACTS, 3000)


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
Store(Path({folder!r}), test_store.FACTS, 3000).fill(test_store.dense, compute)
"""


def test_a_killed_process_loses_no_whole_block(tmp_path):
    script = KILLED.format(tests=os.path.dirname(__file__), folder=str(tmp_path / "s"))
    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    # A torn line and bytes of half a block, as a kill within a write leaves them.
    with (tmp_path / "s" / "index.jsonl").open("ab") as file:
        file.write(b'{"block": 2, "sha')
    with (tmp_path / "s" / "shard-0000.bin").open("ab") as file:
        file.write(b"\1" * 999)
    store, asked = filled(tmp_path / "s")
    assert asked == list(range(2048, 3000))
    everything = np.arange(3000)
    for name, values in signals_of(everything).items():
        np.testing.assert_array_equal(store.gather(everything)[name], values)
    lines = (tmp_path / "s" / "index.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["block"] for line in lines if line.endswith(b"}")] == [0, 1, 2]
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
