"""A plan whose strategy keeps what random weights have not learnt says so."""

import pytest

from tests.helpers.trainings import planned
from tests.helpers.words import checked
from tlcli.system.notes import WARNING, Note
from tlcli.training import doubts, plan_text

FEW = ("data.images_per_class=8", "batch_size=10", "epochs=5", "cache=off")
INSTEAD = "type finetune=full finetune.rate=1"


def plan_of(tmp_path, *words):
    return planned(checked("train", *FEW, f"cache_dir={tmp_path}", *words).job)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # 5 x 64 + 5 numbers of the head, of some 61,000.
        (["finetune=linear_probe"], "finetune=linear_probe leaves 99 % of its numbers as they are"),
        (["finetune=bitfit"], "finetune=bitfit leaves "),
        (["finetune=lp_ft"], "finetune=lp_ft spends 2 of 5 epochs on parts of it"),
        (["finetune=full"], "finetune.rate=0.3 is for pretrained weights"),
    ],
)
def test_freezing_random_weights_is_doubted(tmp_path, words, said):
    plan = plan_of(tmp_path, "backbone.weights=none", *words)
    (text,) = doubts.texts(plan)
    assert said in text
    assert text.endswith(INSTEAD)
    assert Note("warning", text, WARNING) in plan_text.sheet(plan, tmp_path).said


@pytest.mark.parametrize(
    "words", [["backbone.weights=none", "finetune=full", "finetune.rate=1"],
              ["finetune=linear_probe"], ["finetune=lp_ft"]],
)  # fmt: skip
def test_what_fits_is_not(tmp_path, words):
    assert doubts.texts(plan_of(tmp_path, *words)) == []


def test_auto_chooses_what_is_not_doubted(tmp_path):
    from tlcli.training import auto

    given = checked("train", "auto=true", *FEW, f"cache_dir={tmp_path}", "backbone.weights=none")
    job = auto.resolved(given.job, given.typed)
    assert job.config["finetune"]["name"] == "full"
    assert doubts.texts(planned(job)) == []
