"""Damaged inputs of every reader are taken or refused in one line; more in scripts/make/fuzz.py."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import environment

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/make/fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("tl_fuzz", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tl_fuzz"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tl_fuzz"]


def test_a_seed_gives_the_same_damage(fuzz):
    good = json.dumps({"a": [1, {"b": "c"}], "d": 0.5}).encode()
    reader = fuzz.Reader(good, str, "a.json", text=True)
    found = [fuzz.input_of("json", reader, number, 3) for number in range(200)]
    assert found == [fuzz.input_of("json", reader, number, 3) for number in range(200)]
    assert len(set(found)) > 150
    assert fuzz.input_of("json", reader, 0, 4) != found[0]


def test_bad_ends_are_told_apart(fuzz, tmp_path):
    def read(path):
        content = path.read_bytes()
        if content != b"good":
            {0: lambda: os.abort(), 1: lambda: 1 / 0}[content[0] % 2]()

    reader = fuzz.Reader(b"good", read, "a")
    work = fuzz.SimpleNamespace(folder=tmp_path, end=fuzz.time.monotonic() + 60, seed=0,
                                keep=tmp_path / "kept")  # fmt: skip
    reads = fuzz.tried("it", reader, range(12), work)
    assert sum(reads.values()) == 12
    assert reads["crash"] > 0
    assert reads["traceback"] > 0
    assert len(list(work.keep.glob("*.input"))) == reads["crash"] + reads["traceback"]


@pytest.mark.slow
def test_every_reader_takes_or_refuses_damaged_inputs(tmp_path):
    words = ["--inputs", "320", "--seconds", "60", "--keep", str(tmp_path / "kept")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words], env=environment(), cwd=tmp_path,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "kept").exists(), sorted((tmp_path / "kept").iterdir())
