"""distillation.soft_weight=auto: the gradient of a term is its share of the labels'."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers.devices import ROOT
from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.config import registry
from tlcli.distill.attach import attach
from tlcli.training import balance
from tlcli.training.build import pieces_of
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import term_sizes

WORDS = ("hardware=cpu", "data.images_per_class=16", "batch_size=16", "epochs=1", "finetune=full",
         "teacher=run")  # fmt: skip


def option(**changes):
    return registry.build("distillation", {**registry.defaults("distillation", "at"), **changes})


def test_a_weight_by_hand():
    # At the published weight of 1000 the term pulls 8 times as hard; a quarter of the labels' 2.0
    # is wanted: 1000 * 0.25 * 2 / 16.
    method = option(soft_weight="auto", share=0.25)
    assert method.weighed({"at": 16.0}, 2.0) == {"soft_weight": 31.0}


def test_a_number_or_the_published_weight_waits_for_nothing():
    assert option(soft_weight=3.0).weighed({"at": 16.0}, 2.0) == {}
    assert option(soft_weight="paper").weighed({"at": 16.0}, 2.0) == {}
    assert option(soft_weight="paper").full_weight == 1000.0


@pytest.mark.parametrize(
    "sizes", [({"at": 0.0}, 2.0), ({"at": float("nan")}, 2.0), ({"at": 1.0}, 0)]
)
def test_without_a_gradient_the_published_weight_stays(sizes):
    assert option(soft_weight="auto").weighed(*sizes) == {"soft_weight": 1000.0}


@pytest.mark.parametrize("method", ["at", "kd", "fitnet", "ofd"])
def test_the_gradient_measured_after_is_the_share(digits_run, method):
    words = (f"distillation={method}", f"teacher.path={digits_run}", "distillation.share=0.5",
             "distillation.soft_weight=auto", "distillation.hard_weight=1.0")  # fmt: skip
    pieces = pieces_of(checked("train", *WORDS, *words).job)
    pieces, lesson = balance.settled(pieces, attach(pieces))
    assert isinstance(pieces.job.config["distillation"]["soft_weight"], float)
    labels, term = term_sizes(pieces, lesson, phases(pieces, lesson)[-1])
    # The weight is written with two digits.
    assert term.gradient / labels.gradient == pytest.approx(0.5, rel=0.06)


def test_methods_of_a_sum_are_weighed_each(digits_run):
    words = (
        "distillation=sum",
        f"teacher.path={digits_run}",
        "distillation.methods=[{name: at, share: 0.5}, {name: sp, share: 2.0, weight: 0.5}]",
    )
    pieces = pieces_of(checked("train", *WORDS, *words).job)
    pieces, lesson = balance.settled(pieces, attach(pieces))
    labels, at, sp = term_sizes(pieces, lesson, phases(pieces, lesson)[-1])
    assert at.gradient / labels.gradient == pytest.approx(0.5, rel=0.06)
    assert sp.gradient / labels.gradient == pytest.approx(0.5 * 2.0, rel=0.06)


def test_the_number_is_in_the_run_and_a_second_start_keeps_it(digits_run, tmp_path):
    words = ("distillation=at", f"teacher.path={digits_run}", f"run_dir={tmp_path / 'run'}")
    train.run(checked("train", *WORDS, *words))
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["distillation"]
    assert isinstance(stored["soft_weight"], float)
    job = balance.stored(checked("train", *WORDS, *words).job, tmp_path / "run")
    assert job.distillation.soft_weight == stored["soft_weight"]


WEIGHTS = """
import json, sys
from tests.helpers.words import checked
from tlcli.distill.attach import attach
from tlcli.training import balance
from tlcli.training.build import pieces_of
for words in json.loads(sys.argv[1]):
    pieces = pieces_of(checked("train", *words).job)
    pieces, _ = balance.settled(pieces, attach(pieces))
    print(json.dumps([pieces.replicas, pieces.job.config["distillation"]["soft_weight"]]))
"""


@pytest.mark.slow
@pytest.mark.long
def test_two_devices_choose_the_weights_of_one(digits_run):
    # Statistics of batches move, and 15 images are 7 and 8 on two devices.
    given = ("data.images_per_class=16", "batch_size=15", "epochs=1", "finetune=full",
             "backbone.batch_norm=train", "teacher=run", f"teacher.path={digits_run}",
             "teacher.minimum_accuracy=0")  # fmt: skip
    found = {}
    for device in ("cpu", "mirrored"):
        jobs = [[*given, f"hardware={device}", f"distillation={name}"]
                for name in ("at", "kd", "fitnet", "crd")]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", WEIGHTS, json.dumps(jobs)], capture_output=True, text=True,
            check=False, timeout=300, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found[device] = [json.loads(line) for line in done.stdout.splitlines()]
    assert {n for n, _ in found["cpu"]} == {1}
    assert {n for n, _ in found["mirrored"]} == {2}
    assert [w for _, w in found["mirrored"]] == [w for _, w in found["cpu"]]
