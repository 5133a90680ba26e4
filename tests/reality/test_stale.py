"""Nothing stale: whatever byte changes, a run is that of an empty cache, bit for bit."""

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.changes import flip, shard_of
from tests.helpers.marks import LONG
from tests.helpers.runs import read_weights
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.data import content
from tlcli.errors import TlError
from tlcli.models.frozen import table_file

COUNT, SIDE = 40, 24


@pytest.fixture(autouse=True)
def _young_files_count_as_old(monkeypatch):
    monkeypatch.setattr(content, "TICK_NS", 0)
    monkeypatch.setattr(table_file, "ALWAYS_HASHED", 100)


def pixels(number):
    return np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def folder(root):
    """Bitmaps: almost any byte of them is a colour."""
    for number in range(COUNT):
        path = root / "data" / "ab"[number % 2] / f"{number:02d}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(path)
    return ["data=folder", f"data.path={root / 'data'}"], sorted((root / "data").rglob("*.bmp"))


def table(root):
    _, files = folder(root)
    rows = "".join(f"{p.parent.name}/{p.name},{p.parent.name}\n" for p in files)
    path = root / "data" / "list.csv"
    path.write_text(f"path,label\n{rows}")
    return ["data=csv", f"data.path={path}"], [path]


def arrays(root):
    (root / "data").mkdir(parents=True)
    np.save(root / "data" / "x_train.npy", np.stack([pixels(n) for n in range(COUNT)]))
    np.save(root / "data" / "y_train.npy", np.arange(COUNT) % 2)
    return ["data=npy", f"data.path={root / 'data'}"], sorted((root / "data").iterdir())


def shards(root):
    _, files = folder(root)
    path = shard_of(root / "shards", sorted(files, key=lambda p: p.name))
    return ["data=tfrecord", f"data.path={root / 'shards'}"], [path]


FEW = (
    "backbone=tiny",
    "epochs=1",
    "batch_size=8",
    "calibrate=false",
    "image_size=24",
    "hardware=cpu",
)


@pytest.fixture
def outcome(tmp_path):
    """Weights of a training, or what it was refused for."""
    number = iter(range(1000))

    def found(cache, *words):
        run = tmp_path / f"run{next(number)}"
        try:
            few = [w for w in FEW if "backbone=run" not in words or w != "backbone=tiny"]
            given = [*few, f"cache_dir={tmp_path / cache}", f"run_dir={run}", *words]
            assert train.run(checked("train", *given)) == 0
        except TlError as error:
            return {"refused": str(error)}
        return read_weights(run)

    return found


def same(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def change(rng, files):
    """Change a byte of one of some files; size and time stay."""
    path = files[int(rng.integers(len(files)))]
    size = path.stat().st_size
    # Of headers as of what follows them.
    at = int(rng.integers(size)) if rng.random() < 0.7 else int(rng.integers(min(size, 128)))
    flip(path, at)
    return path


def check(outcome, cache, words, files, seed):
    times = 2 if seed else 1
    rng = np.random.default_rng(seed)
    outcome(cache, *words)
    for turn in range(times):
        change(rng, files)
        same(outcome(cache, *words), outcome(f"empty{turn}", *words))


SEEDS = [0, pytest.param(1, marks=LONG), pytest.param(2, marks=LONG)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", [folder, table, arrays, shards])
def test_a_changed_byte_of_the_data(tmp_path, outcome, source, seed):
    words, files = source(tmp_path)
    check(outcome, "cache", words, files, seed)


@pytest.fixture
def teacher(tmp_path, outcome):
    """A run to learn from, the words of that, and the words of the data."""
    words, files = folder(tmp_path)
    outcome("cache", *words, "finetune=full")
    run = tmp_path / "run0"
    learn = [
        *words, "distillation=kd", "distillation.soft_weight=paper", "teacher=run",
        f"teacher.path={run}", "teacher.minimum_accuracy=0", "finetune=full",
    ]  # fmt: skip
    return run, learn, words, files


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_byte_of_the_pictures_that_a_teacher_saw(outcome, teacher, seed):
    _, learn, _, files = teacher
    check(outcome, "cache", learn, files, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_byte_of_weights(outcome, teacher, seed):
    run, learn, words, _ = teacher
    weights = [run / "model.weights.h5"]
    check(outcome, "cache", learn, weights, seed)
    check(outcome, "cache", [*words, "backbone=run", f"backbone.run={run}"], weights, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["npz", "npy"])
def test_a_changed_byte_of_a_file_of_teacher_outputs(tmp_path, outcome, kind, seed):
    words, files = folder(tmp_path)
    ids = [f"{p.parent.name}/{p.name}" for p in files]
    logits = np.random.default_rng(0).normal(size=(COUNT, 2)).astype(np.float32)
    path = tmp_path / f"logits.{kind}"
    if kind == "npz":
        np.savez(path, ids=np.array(ids), logits=logits)
    else:
        np.save(path, logits)
        (tmp_path / "ids.txt").write_text("\n".join(ids))
        words = [*words, f"teacher.ids={tmp_path / 'ids.txt'}"]
    words = [*words, "distillation=kd", "distillation.soft_weight=paper", "teacher=file",
             f"teacher.path={path}", "teacher.minimum_accuracy=0"]  # fmt: skip
    check(outcome, "cache", words, [path], seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_byte_of_anything_in_the_cache(tmp_path, outcome, teacher, seed):
    _, learn, words, _ = teacher
    wanted = {"learn": outcome("empty", *learn), "probe": outcome("empty", *words)}
    rng = np.random.default_rng(seed)
    outcome("cache", *learn)
    kept = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.stat().st_size)
    kinds = sorted({(p.suffix, p.name[:4]) for p in kept})
    assert len(kinds) >= 6
    for turn in kinds:
        files = [p for p in (tmp_path / "cache").rglob("*") if (p.suffix, p.name[:4]) == turn]
        if files := [p for p in files if p.is_file() and p.stat().st_size]:
            change(rng, files)
        if seed == 0 and turn != kinds[-1]:
            continue  # All kinds at once.
        same(outcome("cache", *learn), wanted["learn"])
        same(outcome("cache", *words), wanted["probe"])


def test_data_that_grew_is_that_of_an_empty_cache(tmp_path, outcome, teacher):
    _, learn, words, _ = teacher
    for one in (learn, words):
        outcome("cache", *one)
    for number in range(COUNT, COUNT + 6):
        path = tmp_path / "data" / "ab"[number % 2] / f"{number:02d}.bmp"
        Image.fromarray(pixels(number)).save(path)
    for one in (learn, words):
        same(outcome("cache", *one), outcome("empty", *one))
        shutil.rmtree(tmp_path / "empty")
