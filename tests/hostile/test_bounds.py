"""Sizes are known before memory is taken; nothing is waited for that never comes; no file dies."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from tests.helpers.runs import environment
from tlcli.config import registry
from tlcli.config.bounds import MOST, USUAL, check_number
from tlcli.errors import ConfigError, DataError
from tlcli.models import hdf5
from tlcli.models.bounded import built_within
from tlcli.runs import output
from tlcli.system import files, memory


@pytest.mark.parametrize("key", [*MOST, "anything"])
def test_every_number_has_an_upper_bound(key):
    most = MOST.get(key, USUAL)
    check_number(most, f"group.{key}")
    for value in (most * 2, 1e308, float("inf"), 10**400, -(10**12)):
        with pytest.raises(ConfigError, match=rf"^group\.{key}\[0\]: got .*Give "):
            check_number(value, f"group.{key}[0]")


def test_a_network_that_its_weights_do_not_fill_is_not_built(tmp_path):
    path = tmp_path / "model.weights.h5"
    path.write_bytes(bytes(1000))
    inputs = keras.Input((8,))
    with built_within(path):
        keras.Model(inputs, keras.layers.Dense(10)(inputs))
    refused = pytest.raises(
        DataError, match=r"config\.json: describes a network of 3[12]\.\d GB or more, and "
    )
    with refused, built_within(path):
        keras.layers.Dense(1_000_000_000)(inputs)


@pytest.fixture
def large_run(tmp_path):
    """A run whose backbone needs more than its weights hold, and what builds it."""
    (tmp_path / "model.weights.h5").write_bytes(bytes(1000))

    def build(**changes):
        inner = {**registry.defaults("backbone", "resnet101"), "weights": "none", **changes}
        text = json.dumps({"backbone": inner, "seed": 0})
        (tmp_path / "config.json").write_text(text)
        own = {**registry.defaults("backbone", "run"), "run": str(tmp_path)}
        return registry.build("backbone", own).build(keras.Input((64, 64, 3)))

    return build


def test_the_backbone_of_a_run_that_its_weights_do_not_fill_is_not_built(large_run):
    with pytest.raises(DataError, match=r"config\.json: describes a network of \d+\.\d MB or more"):
        large_run()


def test_what_lies_behind_the_cut_of_a_backbone_need_not_be_stored(large_run, monkeypatch):
    assert large_run(output_layer="conv2_block1_out").output.shape == (None, 16, 16, 256)
    monkeypatch.setattr(memory, "free", lambda: 50 << 20)
    with pytest.raises(DataError, match=r"config\.json: describes .*, and 52\.4 MB are free"):
        large_run(output_layer="conv2_block1_out")


def test_the_network_of_a_preset_that_its_weights_do_not_fill_is_not_built(tmp_path):
    hub = pytest.importorskip("keras_hub")
    hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32
    ).save_to_preset(str(tmp_path / "vit"))
    config = tmp_path / "vit" / "config.json"
    config.write_text(config.read_text().replace('"mlp_dim": 32', '"mlp_dim": 2000000'))
    values = registry.defaults("backbone", "hub")
    own = {**values, "preset": str(tmp_path / "vit"), "preprocessing": "tf"}
    with pytest.raises(DataError, match=r"config\.json: describes a network of \d+\.\d MB or more"):
        registry.build("backbone", own).build(keras.Input((32, 32, 3)))


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_weights_that_are_no_file_are_refused_at_once(tmp_path, kind):
    path = tmp_path / "w.h5"
    {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir,
     "loop": lambda: path.symlink_to(path), "device": lambda: path.symlink_to("/dev/zero"),
     }[kind]()  # fmt: skip
    with pytest.raises(DataError), hdf5.opened(path, "backbone.weights"):
        pass


def test_hdf5_that_expands_beyond_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("vars/0", data=np.zeros(4 << 20, np.uint8), compression="gzip")
    monkeypatch.setattr(memory, "free", lambda: 1 << 20)
    with hdf5.opened(path, str(path)) as file, pytest.raises(DataError, match="free memory"):
        hdf5.all_datasets(file, path)


def test_free_memory_heeds_the_containers_limit(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: {8 << 20} kB\nMemAvailable: {4 << 20} kB\n")
    (tmp_path / "proc/self/statm").write_text("0 0 0\n")
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{3 << 30}\n")
    (group / "memory.current").write_text(f"{2 << 30}\n")
    (group / "memory.stat").write_text(f"anon 5\nfile {1 << 30}\n")
    assert memory.free(tmp_path) == 2 << 30
    (group / "memory.max").write_text("max\n")
    assert memory.free(tmp_path) == 4 << 30


def test_a_pipe_is_written_through_and_stays(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    with pytest.raises(files.WriteError, match="No such device or address"):
        files.write_text(pipe, "nobody reads")
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    for _ in range(1000):
        try:
            files.write_text(pipe, "hello")
            break
        except files.WriteError:
            reader.join(0.01)
    reader.join(10)
    assert got == ["hello"]
    assert pipe.is_fifo()


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for text in ("new", "newer"):
        files.write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_text() == text


def test_a_device_stays_a_device():
    files.write_text(Path("/dev/null"), "x")
    with pytest.raises(files.WriteError, match="No space left"):
        files.write_text(Path("/dev/full"), "x")
    assert os.path.exists("/dev/full")
    assert not os.path.isfile("/dev/full")


def test_a_strangers_file_is_overwritten_only_when_typed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = str(tmp_path / "thesis.csv")
    output.write(output.place(given, False), b"ours")
    output.write(output.place(given, False), b"ours again")
    (tmp_path / "thesis.csv").write_bytes(b"three years of work")
    with pytest.raises(ConfigError, match=r"^output: .*did not write it.*overwrite=true\.$"):
        output.place(given, False)
    assert (tmp_path / "thesis.csv").read_bytes() == b"three years of work"
    output.write(output.place(given, True), b"ours")
    assert output.place("/dev/null", False) == Path("/dev/null")


def test_runs_are_read_without_tensorflow_until_a_network_is_built():
    code = (
        "import sys; from tlcli.commands import compare; "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=environment())
