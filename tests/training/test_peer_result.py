"""Which of the networks of a training is kept."""

import numpy as np
import pytest

from tests.helpers.trainings import phase_of, planned
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.runs import checkpoint
from tlcli.runs.folder import RunFolder
from tlcli.training import peer_result
from tlcli.training.kept import KeptWeights
from tlcli.training.progress import Outcome, Progress

WORDS = ("batch_size=16", "data.images_per_class=8", "finetune=full", "calibrate=false")

MUTUAL = ("distillation=mutual", "distillation.peers=[{},{output_layer:tiny_block2,weights:none}]")


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


@pytest.mark.slow
def test_the_best_of_the_students_kind_is_the_run_and_all_are_kept(prepared, tmp_path):
    plan, trainer = prepared(*MUTUAL)
    mine = values(plan.lesson.student.model.variables)
    theirs = [values(model.variables) for model in plan.lesson.state.models]
    folder = RunFolder(tmp_path, is_chief=True, retry=0.0)
    progress = Progress(best=0.5, peers=[0.7, 0.9])
    outcome = Outcome(KeptWeights(peers=theirs), progress, trainer.monitor)
    told = peer_result.write_peers(plan, outcome, peer_result.peer_weights(plan, outcome), folder)
    # The second peer is better still, but another network than was asked for.
    assert told == {"figure": "validation accuracy", "student": 0.5, "peer_1": 0.7, "peer_2": 0.9,
                    "shipped": "peer_1"}  # fmt: skip
    assert not any(differ(theirs[0], values(plan.lesson.student.model.variables)))
    for name, weights in zip(("student", "peer_1", "peer_2"), (mine, *theirs), strict=True):
        found = checkpoint.read_run(tmp_path / "peers" / name)
        assert not any(differ(weights, values(found.model.variables)))
        assert 0 <= found.facts.metrics["test"]["accuracy"] <= 1
    progress.peers = [0.5, 0.9]
    alike = peer_result.peer_weights(plan, outcome)[:2]
    assert peer_result.write_peers(plan, outcome, alike, folder)["shipped"] == "student"
