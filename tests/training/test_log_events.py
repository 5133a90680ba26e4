"""Trainings that are logged: what is told, that nothing of them changes, and how they go on."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.loggers import events
from tests.helpers.runs import same_weights, train_digits
from tests.helpers.stopped import SHORT, Interrupted, stop_after
from tests.helpers.words import config
from tlcli.system import files
from tlcli.training import log_events

WORDS = ("finetune=linear_probe", "calibrate=false")
EVERY = "logger=[{name: csv, every: 1},{name: tensorboard, every: 1}]"


def rows(run_dir):
    with (run_dir / "log.csv").open(newline="") as lines:
        return [(int(r["step"]), r["name"], r["value"]) for r in csv.DictReader(lines)
                if "second" not in r["name"]]  # fmt: skip


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    return train_digits(tmp_path_factory.mktemp("logged") / "run", *WORDS, EVERY)


def test_accuracy_of_steps_is_over_labelled_images_and_rates_are_those_of_the_schedule():
    phase = SimpleNamespace(total_steps=4, rate_table=np.array([1.0, 2.0, 3.0, 4.0]))
    figures = np.array([[2.0, 1.0, 0.5, 1.0, 7.0], [1.0, 1.0, 0.0, 0.0, 8.0]])
    found = log_events.steps(SimpleNamespace(phases=(phase, phase)), 1, 2, figures, 0.5)
    first, second = found.every(1)
    assert (first.step, second.step) == (7, 8)
    assert first.values == {"step/loss": 2.0, "step/label_loss": 1.0, "step/accuracy": 0.5,
                            "step/learning_rate": 1.5, "step/gradient_norm": 7.0}  # fmt: skip
    assert second.values["step/accuracy"] == 0.0
    assert [point.step for point in found.every(4)] == [8]


def test_chosen_are_the_options_and_what_is_no_default():
    found = log_events.chosen(config("train", "epochs=3", "optimizer.learning_rate=0.5"))
    assert found["backbone"] == "tiny"
    assert (found["epochs"], found["optimizer.learning_rate"]) == (3, 0.5)
    assert not {"seed", "optimizer.ema", "logger"} & found.keys()


def test_a_logged_training_has_the_weights_of_one_that_is_not(logged, tmp_path):
    same_weights(logged, train_digits(tmp_path / "run", *WORDS))


def test_figures_are_those_of_the_run(logged):
    found = rows(logged)
    names = {name for _, name, _ in found}
    assert {"step/gradient_norm", "step/learning_rate", "train/loss", "test/accuracy"} <= names
    with (logged / "metrics.csv").open() as lines:
        wanted = [(int(r["step"]), float(r["validation_loss"])) for r in csv.DictReader(lines)]
    assert [(s, float(v)) for s, n, v in found if n == "validation/loss"] == wanted
    shown = events(logged / "tensorboard")
    assert {"views/0", "confusion/validation", "confusion/test"} <= set(shown.Tags()["images"])
    norms = [float(v) for _, n, v in found if n == "step/gradient_norm"]
    assert len(norms) == wanted[-1][0]
    assert min(norms) > 0
    np.testing.assert_allclose([e.value for e in shown.Scalars("step/gradient_norm")], norms, 1e-6)


def test_a_training_that_goes_on_logs_what_the_unbroken_one_did(tmp_path):
    words = ("finetune=linear_probe", *SHORT, EVERY)
    whole = train_digits(tmp_path / "whole", *words)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(Interrupted):
            train_digits(tmp_path / "broken", *words)
    broken = train_digits(tmp_path / "broken", *words, f"resume={tmp_path / 'broken'}")
    assert rows(broken) == rows(whole)
    pair = [events(run / "tensorboard").Scalars("step/loss") for run in (whole, broken)]
    first, second = ([(e.step, e.value) for e in found] for found in pair)
    assert first == second


@pytest.mark.parametrize("small_disk", ["16k"], indirect=True)
def test_a_full_disk_of_a_logger_ends_no_training(logged, tmp_path, small_disk, monkeypatch, capfd):
    disk, _ = small_disk
    make = files.make_folder

    def linked(folder):
        if folder.name == "tensorboard":
            folder.symlink_to(disk)
        make(folder)

    monkeypatch.setattr(files, "make_folder", linked)
    found = train_digits(tmp_path / "run", *WORDS, "logger=tensorboard", "logger.every=1")
    same_weights(found, logged)
    assert capfd.readouterr().err.count("tensorboard is done without: OSError") == 1
