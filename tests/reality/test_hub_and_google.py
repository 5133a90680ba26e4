"""Data on a hub and in a Google store, as processes read them from servers of these kinds."""

import hashlib
import json
import subprocess
import sys

import pytest

from tests.helpers.hub import hub
from tests.helpers.pictures import make_classes
from tests.helpers.runs import environment, process, same_weights, train_digits
from tests.helpers.stores import google

READ = """
import hashlib, json, sys
from pathlib import Path
from tlcli.system import opened, remote, remote_cache
from tlcli.system.remote_listing import listed
root, address = sys.argv[1:]
remote_cache.use(Path(root), "1GB")
found = listed(address)
one = next(one for one in found if one.address.endswith("cat/1.png"))
place = remote_cache.current().local(address, "data.path")
print(json.dumps({
    "sizes": {one.address.removeprefix(address + "/"): one.size for one in found},
    "versions": len({one.version for one in found}),
    "part": remote.read_range(one.address, 8, 33).hex(),
    "sums": {str(path.relative_to(place)): hashlib.sha256(opened.read_bytes(path, "picture"))
             .hexdigest() for path in place.rglob("*.png")},
    "none": listed(address + "/none.png"),
}))
"""
PUT = """
import sys
from pathlib import Path
from tlcli.system import remote_cache, remote_writing
remote_cache.use(Path(sys.argv[1]).parent / "cache", "1GB")
root = Path(sys.argv[1])
for path in sorted(root.rglob("*.png")):
    remote_writing.put(path, f"{sys.argv[2]}/{path.relative_to(root)}")
assert remote_writing.create(f"{sys.argv[2]}/lock", b"mine")
assert not remote_writing.create(f"{sys.argv[2]}/lock", b"theirs")
assert remote_writing.age(f"{sys.argv[2]}/lock") < 600
remote_writing.remove(f"{sys.argv[2]}/lock")
assert remote_writing.content_of(f"{sys.argv[2]}/lock") is None
"""
COPY = """
import sys
from pathlib import Path
from tlcli.system import opened, remote_cache
remote_cache.use(Path(sys.argv[1]), "1GB")
place = remote_cache.current().local(sys.argv[2], "checkpoint")
Path(sys.argv[3]).mkdir()
for path in place.iterdir():
    if path.is_file():
        Path(sys.argv[3], path.name).write_bytes(opened.read_bytes(path, "picture"))
"""
TL = "import sys; from tlcli.cli.main import run; sys.exit(run(sys.argv[1:]))"


def ran(script, *words, **more):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], env={**environment(), **more},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.fixture(params=["hf", "gs"])
def served(request, tmp_path):
    """A folder of pictures, its address, and what a process must be told to find it."""
    root = make_classes(tmp_path / "photos", {"cat": 6, "dog": 5})
    if request.param == "hf":
        with hub(root) as (address, _):
            yield root, "hf://datasets/me/photos", {"HF_ENDPOINT": address}
    else:
        with google() as told:
            ran(PUT, root, "gs://bucket/photos", **told)
            yield root, "gs://bucket/photos", told


def test_all_is_listed_and_read_to_the_byte(served, tmp_path):
    root, address, told = served
    found = json.loads(ran(READ, tmp_path / "cache", address, **told).stdout)
    paths = {str(path.relative_to(root)): path for path in root.rglob("*.png")}
    assert found["sizes"] == {name: path.stat().st_size for name, path in paths.items()}
    assert found["sums"] == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()
    }
    assert found["versions"] == len({path.read_bytes() for path in paths.values()})
    assert found["part"] == paths["cat/1.png"].read_bytes()[8:33].hex()
    assert found["none"] is None


@pytest.mark.slow
def test_a_training_is_that_of_the_folder(served, tmp_path):
    root, address, told = served
    words = ("data=folder", "epochs=1", "batch_size=4", "backbone=tiny")
    here = train_digits(tmp_path / "here", f"data.path={root}", *words)
    run = "gs://bucket/runs/one" if address.startswith("gs") else tmp_path / "there"
    more = (f"data.path={address}", f"run_dir={run}", "report=false")
    done = ran(TL, "train", *words, *more, **told)
    if address.startswith("gs"):
        ran(COPY, tmp_path / "cache", run, tmp_path / "there", **told)
        assert f"run        {run}" in done.stderr
        assert not (tmp_path / "there" / "run.lock").exists()
    same_weights(here, tmp_path / "there")


def test_a_hub_is_only_read(tmp_path):
    done = process("train", "digits", "run_dir=hf://datasets/me/run", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing can be written to hf://" in done.stderr
