"""Workers that share a command: with any number of them, and after any loss, what one process says.

Each case is `tl launch` with real workers, of which one is killed while it does a part of the work.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.launched import at_a_part, kill
from tests.helpers.marks import LONG
from tests.helpers.runs import read_weights, train_digits
from tests.helpers.words import checked
from tlcli.commands import audit, evaluate, predict, prepare

TRAINING = (
    "data.images_per_class=120", "data.classes=[5,6,7,8,9]", "image_size=48", "epochs=1",
    "batch_size=4", "backbone=run", "report=false", "calibrate=false", "strangers=null",
)  # fmt: skip


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """240 pictures of noise, 49 kB each, in two classes."""
    root, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for name in ("five", "six"):
        (root / name).mkdir()
        for number in range(120):
            pixels = random.integers(0, 256, (128, 128, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03d}.png")
    return root


class Case:
    """A command whose work is shared.

    Attributes:
        word: The command.
        words: Its other words.
        shared: Folder of the places of its parts, if it is given.
    """

    word: str
    trains = False

    def __init__(self, given, noise):
        self.run, self.noise = given, noise

    def shared(self, cwd):
        return next(Path(os.environ["XDG_CACHE_HOME"]).glob("tl/shared/*"), cwd / "none")


class Eval(Case):
    word, command = "eval", evaluate

    def words(self, cwd):
        return ("data=digits", "data.images_per_class=150", f"checkpoint={self.run}", "split=all",
                "batch_size=4", f"output={cwd}/f.json", f"predictions={cwd}/p.npz")  # fmt: skip

    def found(self, cwd):
        with np.load(cwd / "p.npz") as file:
            return {name: file[name].tobytes() for name in file} | {
                "figures": (cwd / "f.json").read_bytes()
            }


class Predict(Case):
    word, command = "predict", predict

    def words(self, cwd):
        return (self.noise, f"checkpoint={self.run}", "batch_size=2", f"output={cwd}/r.jsonl")

    def found(self, cwd):
        return (cwd / "r.jsonl").read_bytes()


class Prepare(Case):
    word, command = "prepare", prepare

    def words(self, cwd):
        return (f"data.path={self.noise}", "shard_size=1", f"output={cwd}/shards", "workers=1")

    def found(self, cwd):
        return {path.name: path.read_bytes() for path in (cwd / "shards").iterdir()}


class Audit(Case):
    word, command = "audit", audit

    def words(self, cwd):
        return (f"data.path={self.noise}", "backbone=tiny", "batch_size=4", "thumbnails=3",
                f"output={cwd}/audit")  # fmt: skip

    def found(self, cwd):
        told = json.loads((cwd / "audit" / "audit.json").read_text())
        told.pop("seconds")
        return told, *((cwd / "audit" / name).read_bytes() for name in ("audit.csv", "scores.csv"))


class Tables(Case):
    """Outputs of the frozen layers of a training; one process alone keeps the same."""

    word, trains = "train", True
    kept = "tables/*/*.npy"

    def words(self, cwd):
        return (f"run_dir={cwd}/run", f"cache_dir={cwd}/cache", f"backbone.run={self.run}",
                "finetune=linear_probe", *TRAINING)  # fmt: skip

    def shared(self, cwd):
        return cwd / "cache" / "parts"

    def found(self, cwd):
        # Before the dash stands what the network is; here the pictures and the numbers count.
        files = {f"{path.parent.name.rpartition('-')[2]}/{path.name}": path.read_bytes()
                 for path in (cwd / "cache").glob(self.kept)}  # fmt: skip
        assert files
        return files


class Teacher(Tables):
    """What a teacher says in a training."""

    kept = "store/shard-*.bin"

    def words(self, cwd):
        return (f"run_dir={cwd}/run", f"cache_dir={cwd}/cache", f"backbone.run={self.run}",
                "finetune=full", *TRAINING, "distillation=kd", "teacher=run",
                f"teacher.path={self.run}", f"teacher.cache={cwd}/cache/store")  # fmt: skip


CASES = {one.__name__.lower(): one for one in (Eval, Predict, Prepare, Audit, Tables, Teacher)}
# How many workers, which of them is lost, and how often one may be started again.
FATES = {"two": (2, None, 3), "lost": (3, 1, 3), "given up": (3, 1, 0), "chief": (3, 0, 3)}
SLOW = {("eval", "chief"), ("predict", "given up")}


@pytest.fixture(scope="module")
def alone():
    """What one process says, by case."""
    return {}


def expected(alone, name, case, folder):
    if name not in alone:
        folder.mkdir()
        if case.trains:
            train_digits(folder / "run", *case.words(folder)[1:])
        else:
            assert case.command.run(checked(case.word, *case.words(folder))) == 0
        alone[name] = case.found(folder)
    return alone[name]


@pytest.mark.parametrize(
    ("name", "fate"),
    [pytest.param(n, f, marks=pytest.mark.slow if (n, f) in SLOW else LONG)
     for n in CASES for f in FATES],
)  # fmt: skip
def test_workers_say_what_one_process_says_whatever_is_lost(
    tmp_path, start_tl, digits_run, noise, alone, name, fate
):
    case, (count, lost, restarts) = CASES[name](digits_run, noise), FATES[fate]
    before = expected(alone, name, case, tmp_path / "one")
    words = ("launch", count, f"restarts={restarts}", "grace=20", "--", case.word,
             *case.words(tmp_path), *(["hardware.timeout=60"] if case.trains else []))  # fmt: skip
    process = start_tl(*words)
    if lost is not None:
        kill(process, lost, lambda number: at_a_part(number, case.shared(tmp_path)))
    _, told = process.communicate(timeout=300)
    if case.trains and fate == "given up":
        # A training is started again as a whole, or ends; its parts are found by the next.
        assert process.returncode == 75, told
        shutil.rmtree(tmp_path / "run")
        process = start_tl(*words)
        _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    if lost is not None and not case.trains:
        again = "starting it again, 3 of such left" if restarts else "the others do its parts"
        assert f"worker {lost} ended (SIGKILL)" in told
        assert again in told
    assert case.found(tmp_path) == before
    assert not list(Path(os.environ["XDG_CACHE_HOME"]).glob("tl/shared/*"))
    if case.trains and fate == "two":
        one, other = (read_weights(tmp_path / place) for place in ("one/run", "run"))
        for weights in one:
            np.testing.assert_allclose(other[weights], one[weights], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("name", ["eval", "prepare", "audit"])
def test_two_launches_at_one_folder_help_each_other(
    tmp_path, start_tl, digits_run, noise, alone, name
):
    case = CASES[name](digits_run, noise)
    before = expected(alone, name, case, tmp_path / "one")
    places = [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
    shared = f"shared={tmp_path / 'shared'}"
    started = [start_tl("launch", "2", "--", case.word, shared, *case.words(place))
               for place in places]  # fmt: skip
    for process in started:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    assert [case.found(place) for place in places] == [before, before]
