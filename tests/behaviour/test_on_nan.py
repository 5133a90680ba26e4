"""A training that does not stay finite: stopped with what to know, or gone on with, slower."""

import csv
import json
import re

import numpy as np
import pytest

from tests.helpers.runs import same_weights, train_digits
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.errors import TlError
from tlcli.runs import state
from tlcli.training import trainer

# Decay alone multiplies the head by 1 - rate * decay = -39 a step, which overflows in epoch 3.
WILD = (
    "finetune=linear_probe", "optimizer=sgd", "optimizer.clip_norm=null",
    "optimizer.learning_rate=8", "schedule=constant",
    "optimizer.weight_decay=1", "epochs=3", "data.images_per_class=10", "batch_size=5",
    "save_every=2steps", "calibrate=false", "keep_state=true",
)  # fmt: skip


def rows_of(run_dir):
    with (run_dir / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_a_loss_that_is_not_finite_names_step_and_images_and_leaves_a_good_state(tmp_path):
    with pytest.raises(TlError, match="not finite") as caught:
        train.run(checked("train", f"run_dir={tmp_path / 'run'}", *WILD, "on_nan=stop"))
    text = str(caught.value)
    assert re.search(r"after step 2\d of phase 1|at step 2\d of phase 1, images \S+, ", text)
    assert "on_nan=skip or reduce_lr" in text
    found = state.load(tmp_path / "run" / "state")
    assert found.facts["step"] >= 20
    assert all(np.isfinite(a).all() for k, a in found.arrays.items() if k.startswith("model/"))


class Interrupted(Exception):  # noqa: N818
    pass


def test_halved_rates_end_well_and_a_resume_halves_at_the_same_steps(monkeypatch, tmp_path, capsys):
    whole = train_digits(tmp_path / "whole", *WILD, "on_nan=reduce_lr")
    shown = capsys.readouterr().err
    factors = [float(f) for f in re.findall(r"back to step \d+, rate times ([\d.e-]+)", shown)]
    assert factors == [0.5 ** (i + 1) for i in range(len(factors))]
    assert factors
    rates = [float(row["learning_rate"]) for row in rows_of(whole)]
    assert rates[-1] == pytest.approx(rates[0] * factors[-1])
    saves = []
    save = trainer.Trainer.save

    def broken(self):
        save(self)
        saves.append(self.progress.halvings)
        if self.progress.halvings and self.progress.step > 22:
            raise Interrupted

    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save", broken)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={run_dir}", *WILD, "on_nan=reduce_lr"))
    newest = max((run_dir / "state").glob("*.json"))
    assert json.loads(newest.read_text())["facts"]["halvings"] == saves[-1] > 0
    assert train.run(checked("train", f"resume={run_dir}")) == 0
    same_weights(whole, run_dir)
    assert (whole / "metrics.csv").read_text() == (run_dir / "metrics.csv").read_text()
