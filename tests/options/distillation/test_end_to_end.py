"""Each method by the real commands: trained, broken off, resumed, measured without its teacher."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.marks import cases
from tests.helpers.runs import read_weights, same_weights, train_digits
from tests.helpers.words import checked
from tlcli.commands import evaluate, predict, train
from tlcli.config import registry
from tlcli.training import result, term_sizes, trainer
from tlcli.training.phase import PhaseTraining

# One of a kind runs always: logits, maps with connectors, relations, memories, peers, a new head.
QUICK = {"dkd", "review_kd", "crd", "simkd"}
PATHS = sorted((registry.config_root() / "distillation").glob("*.yaml"))
NAMES = cases([path.stem for path in PATHS], QUICK, ("mutual",))
FEW = (
    "hardware=cpu", "data.images_per_class=5", "batch_size=9", "epochs=2", "calibrate=false",
    "cache=ram",
)  # fmt: skip
# The student is random, without the teacher's deepest block, and all of it is trained.
STUDENT = (
    *FEW, "finetune=full", "backbone.weights=none", "backbone.output_layer=tiny_block3",
    "save_every=1steps", "teacher=run", "teacher.minimum_accuracy=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "teacher"
    return train_digits(folder, *FEW, "finetune=linear_probe")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "grey.png"
    Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)).save(path)
    return path


def everything(phase):
    """All variables of a training by name: student, optimizer, method and teacher."""
    taught = {f"teacher/{i}": v for i, v in enumerate(taught_variables(phase.lesson))}
    return {**phase.state_variables(), **taught}


def taught_variables(lesson):
    """Those of the teacher's network, if there is one."""
    built = lesson.teacher.built
    return [] if built is None else built.model.variables


@pytest.fixture
def watched(monkeypatch):
    """Watch a training: keep a copy of its folder after the second step, and all variables.

    Validation and the plan's figures must leave every variable alone, training the teacher's.
    """
    seen = {"broken": None, "kept": [], "phase": None}
    save, validate, sizes = trainer.Trainer.save, PhaseTraining.validate, term_sizes.term_sizes

    def copied(self):
        save(self)
        if self.progress.step == 2 and not seen["broken"].exists():
            shutil.copytree(self.run_dir, seen["broken"])

    def unmoved(action, variables):
        before = {name: v.numpy() for name, v in variables.items()}
        result = action()
        for name, variable in variables.items():
            np.testing.assert_array_equal(variable.numpy(), before[name], str(name))
        seen["kept"].append(before)
        return result

    def validated(self):
        seen["phase"] = self
        return unmoved(lambda: validate(self), everything(self))

    def sized(pieces, lesson, phase):
        variables = dict(enumerate([*lesson.variables, *taught_variables(lesson)]))
        return unmoved(lambda: sizes(pieces, lesson, phase), variables)

    monkeypatch.setattr(trainer.Trainer, "save", copied)
    monkeypatch.setattr(PhaseTraining, "validate", validated)
    monkeypatch.setattr(term_sizes, "term_sizes", sized)
    # Tests of its own show this report; here it would take a third of the time.
    monkeypatch.setattr(result, "fidelity", lambda *_: {})
    return seen


def check_movement(phase, first, second):
    """Between two validations student and connectors moved, and the teacher did not."""
    state = phase.lesson.state
    connectors = state.trainable_variables
    ours = {id(v) for v in [*phase.lesson.student.model.trainable_variables, *connectors]}
    assert {id(v) for v in phase.variables} == ours
    moved = {name for name, value in second.items() if not np.array_equal(value, first[name])}
    assert not {name for name in moved if name.startswith("teacher/")}
    assert any(name.startswith("model/") for name in moved)
    places = {id(v): f"method/{i}" for i, v in enumerate(state.variables)}
    assert {places[id(v)] for v in connectors} <= moved


@pytest.mark.parametrize("name", NAMES)
def test_a_method_trains_resumes_and_needs_its_teacher_no_more(
    name, teacher, picture, watched, tmp_path, capsys
):
    whole, watched["broken"] = tmp_path / "whole", tmp_path / "broken"
    lent = Path(shutil.copytree(teacher, tmp_path / "lent"))
    words = [*STUDENT, f"distillation={name}", f"teacher.path={lent}"]
    if name.endswith("_imagenet") and "stages" in registry.defaults("distillation", name):
        # The student has three stages.
        words.append("distillation.stages=[-3,-2,-1]")
    if name in ("none", "tf_kd", "mutual", "mean_teacher"):
        words = [w for w in words if not w.startswith("teacher")]
    assert train.run(checked("train", f"run_dir={whole}", *words)) == 0
    check_movement(watched["phase"], *watched["kept"][-2:])
    student = watched["phase"].lesson.student.model
    assert len(read_weights(whole)) == len(student.variables)

    facts = json.loads(max((watched["broken"] / "state").glob("*.json")).read_text())["facts"]
    assert (facts["phase"], facts["step"]) == (0, 2)
    assert train.run(checked("train", f"run_dir={watched['broken']}", *words)) == 0
    same_weights(whole, watched["broken"])
    assert (whole / "metrics.csv").read_text() == (watched["broken"] / "metrics.csv").read_text()

    shutil.rmtree(lent)
    weights = (whole / "model.weights.h5").read_bytes()
    capsys.readouterr()
    assert evaluate.run(checked("eval", f"checkpoint={whole}", "format=json")) == 0
    figures = json.loads(capsys.readouterr().out)
    metadata = json.loads((whole / "metadata.json").read_text())
    assert figures["accuracy"] == metadata["metrics"]["test"]["accuracy"]
    words = [f"checkpoint={whole}", f"images=[{picture}]", "format=json", "top=5"]
    assert predict.run(checked("predict", *words)) == 0
    (named,) = json.loads(capsys.readouterr().out)
    assert named["top"][0]["label"] == named["label"]
    assert sum(row["probability"] for row in named["top"]) == pytest.approx(1)
    assert (whole / "model.weights.h5").read_bytes() == weights
