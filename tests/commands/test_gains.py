"""The table of a student, its teacher and its control."""

import json

import pytest

from tests.helpers.runs import train_digits
from tlcli.commands import gains


def lay(folder, accuracy, split="test", **more):
    """What the table reads of a finished run."""
    folder.mkdir(parents=True)
    (folder / "model.weights.h5").write_bytes(b"")
    metrics = {split: {"accuracy": accuracy}}
    facts = {
        "format": 1, "class_names": ["a", "b"], "multi_label": False, "parameters": 1000,
        "seconds": 2.5,
        "resize": {"size": 32, "mode": "crop", "crop_fraction": 1.0, "antialias": True},
        "metrics": metrics, **more,
    }  # fmt: skip
    (folder / "metadata.json").write_text(json.dumps(facts))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def test_teachers_come_first_and_the_student_last(tmp_path):
    run = lay(tmp_path / "run", 0.8)
    for name, value in (("assistant_1", 0.85), ("control", 0.7), ("teacher", 0.9)):
        lay(run / name, value)
    found = gains.members(run, "test", "accuracy")
    assert [(row.name, row.figure) for row in found] == [
        ("teacher", 0.9), ("assistant 1", 0.85), ("control", 0.7), ("student", 0.8),
    ]  # fmt: skip
    lines = gains.table(found, "test accuracy")
    assert lines[0].split() == ["test", "accuracy", "parameters", "seconds"]
    assert lines[1].split() == ["teacher", "0.9000", "1,000", "2.5"]
    assert len({len(line) for line in lines}) == 1


def test_a_teacher_from_elsewhere_is_as_good_as_on_these_images(tmp_path):
    fidelity = {"teacher_accuracy": 0.95, "teacher_parameters": 70}
    run = lay(tmp_path / "run", 0.8, fidelity=fidelity)
    lay(run / "control", 0.7)
    first, *_ = gains.members(run, "test", "accuracy")
    assert first == gains.Member("teacher", 0.95, 70, None)
    assert gains.table([first], "x")[1].split() == ["teacher", "0.9500", "70", "-"]


def test_the_gain_over_seeds_is_paired(tmp_path):
    runs = []
    for seed, (student, control) in enumerate([(0.9, 0.7), (0.6, 0.5), (0.8, 0.5)]):
        runs.append(lay(tmp_path / str(seed), student))
        lay(runs[-1] / "control", control)
    *_, line = gains.over_seeds(runs, "accuracy")
    # Differences 0.2, 0.1, 0.3: mean 0.2, deviation 0.1, error 0.1 / sqrt(3).
    assert line.split() == ["gain", "+0.2000", "±", "0.0577", "+0.2000", "+0.1000", "+0.3000"]


@pytest.mark.parametrize("missing", ["control", "seed", "figure", "split"])
def test_without_pairs_there_is_no_gain(tmp_path, missing):
    runs = [lay(tmp_path / "0", 0.9), lay(tmp_path / "1", 0.8)]
    lay(runs[0] / "control", 0.7)
    if missing != "control":
        lay(runs[1] / "control", 0.7, "validation" if missing == "split" else "test")
    figure = "macro_f1" if missing == "figure" else "accuracy"
    assert gains.over_seeds(runs[: 1 if missing == "seed" else 2], figure) == []


def test_a_run_without_test_images_is_compared_on_validation(tmp_path):
    words = ("distillation=kd", "teacher=recipe", "teacher.minimum_accuracy=0", "epochs=1",
             "teacher.overrides.epochs=1", "data.test_fraction=0", "control=true")  # fmt: skip
    run = train_digits(tmp_path / "run", *words)
    student, control = (
        json.loads((folder / "metrics.json").read_text())["validation"]["accuracy"]
        for folder in (run, run / "control")
    )
    from tests.helpers.words import checked

    job = checked("train", *words, "data.images_per_class=8").job
    *_, line = gains.lines(job, run)
    assert line.startswith(f"gain       validation accuracy {student - control:+.4f} ± ")
