"""A teacher, its student and the control from one command."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.helpers.marks import LONG
from tests.helpers.runs import same_weights
from tests.helpers.stopped import Interrupted
from tests.helpers.words import checked
from tlcli.commands import evaluate, train, verify
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint

SHORT = (
    "data.images_per_class=8", "batch_size=20", "epochs=2", "calibrate=false", "save_every=2steps",
    "finetune=full", "distillation=kd", "validate_every=2", "hardware=cpu",
)  # fmt: skip
TEACHER = (
    "teacher=recipe", "teacher.minimum_accuracy=0",
    "teacher.overrides={data: {images_per_class: 16}, epochs: 2, batch_size: 40, finetune: full}",
)  # fmt: skip
WORDS = (*SHORT, *TEACHER, "control=true")


def facts(run_dir):
    return json.loads((Path(run_dir) / "metadata.json").read_text())


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """A finished run with teacher and control, and what was said."""
    folder = tmp_path_factory.mktemp("recipe")
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("tlcli.system.console.say", lambda text, *_: lines.append(text))
        assert train.run(checked("train", f"run_dir={folder / 'run'}", *WORDS)) == 0
    return folder / "run", "\n".join(lines)


@pytest.fixture
def run(said, tmp_path):
    return Path(shutil.copytree(said[0], tmp_path / "run"))


def unfinished(run):
    """The run as if its own training had not begun."""
    shutil.rmtree(run / "control")
    for path in run.iterdir():
        if path.is_file() and path.name != "config.json":
            path.unlink()
    return run


def test_teacher_student_and_control_lie_in_the_run(said):
    run, _ = said
    assert all(checkpoint.is_finished(run / name) for name in ("teacher", ".", "control"))
    assert Path(facts(run)["teacher"]["run"]) == (run / "teacher").resolve()
    assert facts(run / "teacher")["teacher"] is facts(run / "control")["teacher"] is None

    def images(folder, split):
        with (folder / "split.csv").open() as lines:
            return {row["id"] for row in csv.DictReader(lines) if row["split"] == split}

    assert len(images(run / "teacher", "train")) == 2 * len(images(run, "train")) == 80
    # Nothing that the student is tested by has trained its teacher.
    assert images(run / "teacher", "test") == images(run, "test") == images(run / "control", "test")
    assert not images(run / "teacher", "train") & images(run, "test")


def test_the_table_and_the_gain_are_those_of_the_runs(said):
    run, text = said
    accuracy = {
        name: facts(run / folder)["metrics"]["test"]["accuracy"]
        for name, folder in (("teacher", "teacher"), ("control", "control"), ("student", "."))
    }
    for name, value in accuracy.items():
        assert re.search(rf"^{name} +{value:.4f} ", text, re.MULTILINE), name
    (gain,) = re.findall(r"^gain +test accuracy ([+-][\d.]+) ± ([\d.]+): .* the same (\d+) images",
                         text, re.MULTILINE)  # fmt: skip
    assert float(gain[0]) == pytest.approx(accuracy["student"] - accuracy["control"], abs=1e-4)
    assert 0 < float(gain[1]) < 0.1
    assert "the teacher was trained on" not in text
    assert int(gain[2]) == facts(run)["metrics"]["test"]["samples"]


@pytest.mark.slow
def test_the_teacher_is_the_one_that_its_own_words_train(said, tmp_path):
    words = ("data.images_per_class=16", "epochs=2", "batch_size=40", "finetune=full",
             "hardware=cpu", "save_every=2steps")  # fmt: skip
    alone = tmp_path / "alone"
    assert train.run(checked("train", f"run_dir={alone}", *words)) == 0
    same_weights(alone, said[0] / "teacher")
    given = checked("train", f"run_dir={tmp_path / 'run'}", *SHORT, "teacher=run",
                    f"teacher.path={alone}", "teacher.minimum_accuracy=0")  # fmt: skip
    assert train.run(given) == 0
    same_weights(tmp_path / "run", said[0])


def test_a_finished_teacher_is_used_again(run, said, capsys):
    before = (run / "teacher" / "model.weights.h5").stat().st_mtime_ns
    assert train.run(checked("train", f"run_dir={unfinished(run)}", *WORDS)) == 0
    assert f"teacher: {run / 'teacher'} is finished, and as asked for" in capsys.readouterr().err
    assert (run / "teacher" / "model.weights.h5").stat().st_mtime_ns == before
    for name in (".", "control"):
        same_weights(run / name, said[0] / name)


def test_a_teacher_of_another_configuration_is_not_used(run):
    shutil.rmtree(run / "teacher")
    shutil.copytree(run / "control", run / "teacher")
    told = r"(?s)teacher was trained otherwise: batch_size was 20 and is 40.*remove that folder to"
    with pytest.raises(ConfigError, match=told):
        train.run(checked("train", f"run_dir={unfinished(run)}", *WORDS))


def test_another_recipe_for_a_begun_run_is_refused(run):
    words = [w for w in WORDS if not w.startswith("teacher.overrides")]
    other = "teacher.overrides={data: {images_per_class: 16}, epochs: 3, finetune: full}"
    with pytest.raises(ConfigError, match=r"teacher\.overrides\.epochs was 2 and is 3"):
        train.run(checked("train", f"run_dir={unfinished(run)}", *words, other))


def test_a_teacher_of_other_data_is_not_used(pictures, tmp_path):
    root, run = Path(shutil.copytree(pictures, tmp_path / "data")), tmp_path / "run"
    theirs = "{epochs: 1, finetune: full, backbone: {option: tiny, weights: none}}"
    words = (
        "data=folder", f"data.path={root}", "epochs=1", "batch_size=8", "calibrate=false",
        "distillation=kd", *TEACHER[:2], f"teacher.overrides={theirs}", "backbone=tiny",
        "backbone.weights=none", "finetune=full", f"run_dir={run}", "hardware=cpu",
        f"cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    assert train.run(checked("train", *words)) == 0
    for path in run.iterdir():
        if path.is_file() and path.name != "config.json":
            path.unlink()
    first, second = root / "round" / "0.png", root / "square" / "0.png"
    second.write_bytes(first.read_bytes())
    with pytest.raises(ConfigError, match=r"was trained on other data than .* is now"):
        train.run(checked("train", *words))


# Each of the three trainings is saved twice.
@pytest.mark.parametrize(
    ("saves", "reached"),
    [
        pytest.param(1, "", marks=LONG), (3, "teacher"),
        pytest.param(5, "teacher .", marks=LONG),
    ],
)  # fmt: skip
def test_broken_off_anywhere_gives_the_unbroken_run(said, monkeypatch, tmp_path, saves, reached):
    run_dir, done = tmp_path / "run", {"count": 0}
    save = train.Trainer.save

    def broken(self):
        save(self)
        done["count"] += 1
        if done["count"] == saves:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "save", broken)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={run_dir}", *WORDS))
    stages = ("teacher", ".", "control")
    assert [n for n in stages if checkpoint.is_finished(run_dir / n)] == reached.split()
    monkeypatch.chdir(tmp_path)
    assert train.run(checked("train", "resume=run")) == 0
    for name in stages:
        same_weights(said[0] / name, run_dir / name)


@pytest.mark.slow
def test_the_same_command_goes_on_where_it_was_broken_off(said, monkeypatch, tmp_path):
    def never(*_):
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "run", never)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={tmp_path / 'run'}", *WORDS))
    assert train.run(checked("train", f"run_dir={tmp_path / 'run'}", *WORDS)) == 0
    same_weights(said[0], tmp_path / "run")


def test_a_plan_shows_the_teachers_first_and_trains_nothing(tmp_path, capsys):
    run_dir = tmp_path / "run"
    assert train.run(checked("train", f"run_dir={run_dir}", *WORDS, "plan_only=true")) == 0
    text = capsys.readouterr().err
    assert "chain      teacher; then the run" in text
    first, second = (
        text.index("chain      teacher\n"),
        text.index("chain      the run, here without"),
    )
    assert first < text.index("batch 40") < second < text.index("batch 20")
    assert not run_dir.exists()


def test_a_plan_beside_a_finished_teacher_shows_what_it_teaches(run, capsys):
    given = checked("train", f"run_dir={unfinished(run)}", *WORDS, "plan_only=true")
    assert train.run(given) == 0
    text = capsys.readouterr().err
    assert "chain      the run\n" in text
    assert f"run {run / 'teacher'}" in text
    assert not (run / "control").exists()


@pytest.mark.slow
def test_assistants_and_generations_follow_the_teacher(tmp_path):
    run_dir = tmp_path / "run"
    words = (*SHORT, *TEACHER, "epochs=1", "assistants=[{output_layer:tiny_block3}]",
             "generations=2", "control=true", "backbone.output_layer=tiny_block2")  # fmt: skip
    given = [w for w in words if w != "epochs=2"]
    assert train.run(checked("train", f"run_dir={run_dir}", *given)) == 0
    names = ["teacher", "assistant_1", "generation_1", "generation_2"]
    taught_by = [facts(run_dir / name)["teacher"] for name in names]
    assert [one and Path(one["run"]).name for one in taught_by] == [None, *names[:-1]]
    assert checkpoint.is_finished(run_dir)
    assert checkpoint.is_finished(run_dir / "control")
    # Spelt otherwise, the folder is the same.
    shutil.rmtree(run_dir / "control")
    assert train.run(checked("train", f"resume={run_dir.parent}/./run/../run")) == 0


def test_the_run_is_used_like_any_other(run, tmp_path, capsys):
    assert evaluate.run(checked("eval", f"checkpoint={run}", "format=json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == facts(run)["metrics"]["test"]["accuracy"]
    assert verify.run(checked("teacher", f"checkpoint={run}")) == 0
    assert "ok" in capsys.readouterr().out
    more = checked("train", f"extend={run}", "epochs=1", f"run_dir={tmp_path / 'more'}")
    assert train.run(more) == 0
    assert Path(facts(tmp_path / "more")["teacher"]["run"]) == (run / "teacher").resolve()


def test_a_sweep_over_seeds_gathers_the_gain(tl, tmp_path):
    few = [w for w in WORDS if not w.startswith(("epochs", "save_every"))]
    done = tl("train", "-m", "seed=0,1", "epochs=1", "save_every=off", *few,
              f"hydra.sweep.dir={tmp_path / 'sweep'}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    gaps = []
    for number in (0, 1):
        inner = tmp_path / "sweep" / str(number)
        ours, control = (facts(inner / n)["metrics"]["test"]["accuracy"] for n in (".", "control"))
        gaps.append(ours - control)
        assert facts(inner / "teacher")["seed"] == number
    (line,) = re.findall(
        r"^gain +([+-][\d.]+) ± ([\d.]+) +(\S+) +(\S+)$", done.stdout, re.MULTILINE
    )
    assert float(line[0]) == pytest.approx(sum(gaps) / 2, abs=1e-4)
    assert float(line[1]) == pytest.approx(abs(gaps[0] - gaps[1]) / 2, abs=1e-4)
    assert [float(line[2]), float(line[3])] == pytest.approx(gaps, abs=1e-4)
    assert "mean ± standard error over 2 seeds" in done.stdout
    assert sum("gain " in row for row in done.stderr.splitlines()) == 2


@pytest.mark.slow
@pytest.mark.long
def test_a_teacher_that_saw_the_test_images_is_told(tmp_path, capsys):
    # Another share of test images splits the teacher's data otherwise.
    words = (
        "teacher=recipe",
        "teacher.minimum_accuracy=0",
        "control=true",
        f"run_dir={tmp_path / 'r'}",
        "teacher.overrides={data: {images_per_class: null, test_fraction: 0.05, "
        "validation_fraction: 0.05}, epochs: 1}",
    )
    assert train.run(checked("train", *SHORT, *words)) == 0
    (count,) = re.findall(r"^note +the teacher was trained on (\d+) of these 179 test images",
                          capsys.readouterr().err, re.MULTILINE)  # fmt: skip
    assert 0 < int(count) < 179


def test_a_mistake_in_the_teachers_recipe_is_one_line(tl):
    done = tl("train", *SHORT, "teacher=recipe", "teacher.overrides={epochs: -1}")
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        "teacher.overrides.epochs: got -1.0. Give a number above 0."
    )
    assert "Traceback" not in done.stderr
