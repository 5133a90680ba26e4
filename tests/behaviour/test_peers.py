"""Networks beside the student through the whole training: peers and moving averages."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.helpers.marks import LONG
from tests.helpers.runs import same_weights
from tests.helpers.trainings import phase_of, planned, streams
from tests.helpers.words import checked, config
from tlcli.commands import evaluate, train
from tlcli.config.job import train_job
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint
from tlcli.training.trainer import Trainer

WORDS = ("batch_size=16", "data.images_per_class=8", "finetune=full", "calibrate=false")

MUTUAL = ("distillation=mutual", "distillation.peers=[{},{output_layer:tiny_block2,weights:none}]")

MEAN = ("distillation=mean_teacher", "distillation.ema_decay=0.6")

BOTH = ("distillation=[{name:mutual,weight:0.5},mean_teacher]",)


@pytest.fixture
def prepared():
    """A function of words that gives a training's plan and its first phase."""

    def made(*words):
        plan = planned(train_job(config("train", *WORDS, "epochs=2", *words)))
        return plan, phase_of(plan)

    return made


def values(variables):
    return [v.numpy() for v in variables]


def differ(before, after):
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_peers_start_apart_and_learn(prepared):
    plan, trainer = prepared(*MUTUAL, "backbone.batch_norm=train", "save_every=off")
    copy, other = plan.lesson.state.models
    student = plan.lesson.student.model
    heads = [m.get_layer("head_logits").kernel.numpy() for m in (student, copy)]
    assert not np.array_equal(*heads)
    kernels = [m.get_layer("tiny_block1_conv").kernel.numpy() for m in (student, copy)]
    np.testing.assert_array_equal(*kernels)
    assert not np.array_equal(other.get_layer("tiny_block1_conv").kernel.numpy(), kernels[0])
    before = [values(m.variables) for m in (student, copy, other)]
    assert np.isfinite(trainer.feed(0, 2)).all()
    for model, then in zip((student, copy, other), before, strict=True):
        assert all(differ(then, values(model.variables)))  # moving statistics included


def test_peers_are_the_same_each_time(prepared):
    first, second = (prepared(*MUTUAL)[0].lesson.state for _ in range(2))
    for one, two in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


def test_peers_train_what_the_strategy_trains_of_them(prepared):
    plan, trainer = prepared(*MUTUAL, "finetune=linear_probe")
    before = [values(m.variables) for m in plan.lesson.state.models]
    trainer.feed(0, 2)
    for model, then in zip(plan.lesson.state.models, before, strict=True):
        changed = differ(then, values(model.variables))
        names = {v.path.split("/")[0] for v, c in zip(model.variables, changed, strict=True) if c}
        assert names == {"head_logits"}


@pytest.mark.parametrize("words", [MUTUAL, MEAN, BOTH], ids=["mutual", "mean", "both"])
def test_evaluation_leaves_all_variables_as_they_are(prepared, words):
    _, trainer = prepared(*words)
    trainer.feed(0, 3)
    everything = trainer.state_variables()
    before = values(everything.values())
    trainer.validate()
    assert not any(differ(before, values(everything.values())))


def test_the_average_follows_the_student(prepared):
    plan, trainer = prepared(*MEAN, "head=mlp", "head.dropout=0.5", "accumulation_steps=2")
    pairs = plan.lesson.state.pairs
    expected = [mine.numpy() for mine, _ in pairs]
    for step in range(3):
        trainer.feed(step, step + 1)
        kept = min(0.6, (step + 1) / (step + 2))
        now = [theirs.numpy() for _, theirs in pairs]
        expected = [kept * e + (1 - kept) * n for e, n in zip(expected, now, strict=True)]
    for (mine, _), value in zip(pairs, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), value, rtol=1e-5, atol=1e-7)
    assert any(differ(expected, now))
    with trainer.evaluation_weights():
        shown = [theirs.numpy() for _, theirs in pairs]
    np.testing.assert_array_equal(shown[0], pairs[0][0].numpy())
    assert not any(v is w for v in trainer.variables for w, _ in pairs)


def test_the_student_itself_may_be_kept(prepared):
    plan, trainer = prepared(*MEAN, "distillation.keep=student")
    trainer.feed(0, 2)
    now = values(plan.lesson.student.model.variables)
    with trainer.evaluation_weights():
        assert not any(differ(now, values(plan.lesson.student.model.variables)))


@pytest.mark.parametrize("words", [pytest.param(MUTUAL, marks=LONG), MEAN], ids=["mutual", "mean"])
def test_tables_and_streams_give_the_same_networks(prepared, words):
    views = ("augmentation=light", "augmentation.views=2")
    found = []
    for cache in ("ram", "off"):
        _, trainer = prepared(*words, *views, f"cache={cache}")
        trainer.feed(0, 4)
        found.append((streams(trainer), values(trainer.state_variables().values())))
    assert [streamed for streamed, _ in found] == [False, True]
    for one, two in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("words", [MUTUAL, MEAN], ids=["mutual", "mean"])
@pytest.mark.parametrize("precision", ["mixed_bfloat16", pytest.param("mixed_float16", marks=LONG)])
def test_half_precision_trains(prepared, words, precision):
    try:
        _, trainer = prepared(*words, f"precision={precision}", "augmentation.mixup=1.0",
                              "augmentation=light")  # fmt: skip
        assert np.isfinite(trainer.feed(0, 2)).all()
    finally:
        keras.config.set_dtype_policy("float32")


def test_low_rank_factors_are_refused(prepared):
    with pytest.raises(ConfigError, match="put into the student alone"):
        prepared(*MUTUAL, "finetune=lora")


def test_a_peer_that_is_no_backbone_is_told_where(prepared):
    with pytest.raises(ConfigError, match=r"distillation\.peers\[1\]\.name: no backbone is"):
        prepared("distillation=mutual", "distillation.peers=[{},{name:resnot50}]")


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("words", [pytest.param(MUTUAL, marks=LONG), MEAN], ids=["mutual", "mean"])
def test_resumed_bit_equal_controlled_and_read_back(monkeypatch, tmp_path, capsys, words):
    few = ("save_every=2steps", "finetune=lp_ft", "backbone.batch_norm=train", "epochs=4")
    given = [*WORDS, *few, *words]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train.run(checked("train", f"run_dir={whole}", "control=true", *given)) == 0
    assert "without the teacher" in capsys.readouterr().err
    control = json.loads((whole / "control" / "config.json").read_text())
    assert control["distillation"]["name"] == "none"
    save, done = Trainer.save, {"count": 0}

    def broken(self):
        save(self)
        done["count"] += 1
        if done["count"] == 3:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", broken)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={parts}", "control=true", *given))
    assert train.run(checked("train", f"resume={parts}", "control=false")) == 0
    same_weights(whole, parts)
    assert (whole / "metrics.csv").read_text() == (parts / "metrics.csv").read_text()
    assert evaluate.run(checked("eval", f"checkpoint={parts}", "format=json")) == 0
    figures = json.loads(capsys.readouterr().out)
    facts = checkpoint.read_json(parts / "metadata.json")
    assert figures["accuracy"] == facts["metrics"]["test"]["accuracy"]
    assert facts["parameters"] < 70_000  # the student alone
    kept = facts["peers"]
    assert (kept is None) == (words is MEAN)
    if kept is not None:
        same_weights(parts, parts / "peers" / kept["shipped"])
        figures = [checkpoint.read_run(parts / "peers" / name).facts.metrics["validation"]
                   for name in ("student", "peer_1", "peer_2")]  # fmt: skip
        told = [kept[name] for name in ("student", "peer_1", "peer_2")]
        np.testing.assert_allclose([f["accuracy"] for f in figures], told, atol=1e-6)


CODE = """
import sys
import numpy as np
from tests.helpers.trainings import phase_of, planned
from tlcli.config import compose
from tlcli.config.job import train_job

*words, out = sys.argv[1:]
plan = planned(train_job(compose.plain(compose.read("train", words))))
trainer, strategy = phase_of(plan), plan.pieces.strategy
figures = trainer.feed(0, 2)
for v in plan.lesson.state.variables:
    copies = [c.numpy() for c in strategy.experimental_local_results(v.value)]
    assert all(np.array_equal(copies[0], c) for c in copies), v.path
state = {k: v.numpy() for k, v in trainer.state_variables().items()}
np.savez(out, figures=figures, replicas=strategy.num_replicas_in_sync, **state)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [MUTUAL, pytest.param(MEAN, marks=pytest.mark.long)], ids=["mutual", "mean"]
)
def test_two_devices_equal_one(tmp_path, words):
    found = []
    for name in ("cpu", "mirrored"):
        out = tmp_path / f"{name}.npz"
        command = [*WORDS, "epochs=2", "optimizer=sgd", *words, f"hardware={name}", str(out)]
        done = subprocess.run(
            [sys.executable, "-c", CODE, *command], capture_output=True, text=True, check=False,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(dict(np.load(out)))
    one, two = found
    assert (one.pop("replicas"), two.pop("replicas")) == (1, 2)
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_allclose(array, two[name], rtol=2e-4, atol=2e-5, err_msg=name)
