"""After the warm-up the shares of the terms are looked at once more."""

import re

import pytest

from tests.helpers.words import checked
from tlcli.commands import train
from tlcli.training import second_look
from tlcli.training.term_sizes import LABELS, Size


def test_ratios_by_hand():
    # 0.5 / 2.0 and 30 / 2.0, which is more than ten times 0.03.
    sizes = [Size(LABELS, 1.0, 2.0), Size("kd", 1.0, 0.5, 1.0), Size("at", 1.0, 30.0, 0.03)]
    first, second = second_look.notes(sizes)
    assert first.text.endswith("times the labels' gradient: kd 0.25 (share 1); at 15 (share 0.03)")
    assert second.text.split()[:5] == ["at", "has", "outgrown", "its", "share:"]


def test_without_the_labels_gradient_there_is_nothing_to_tell():
    assert second_look.notes([Size("kd", 1.0, 0.5, 1.0)]) == []
    assert second_look.notes([Size(LABELS, 1.0, 0.0), Size("kd", 1.0, 0.5, 1.0)]) == []


@pytest.mark.parametrize(
    ("words", "epoch"),
    [
        (("schedule=constant", "distillation.warmup_epochs=0"), 1),
        (("schedule=constant", "distillation.warmup_epochs=2"), 2),
        (("schedule=cosine", "schedule.warmup=2.5epochs", "distillation.warmup_epochs=1"), 3),
    ],
)
def test_it_is_told_once_at_the_first_validation_after_rate_and_term_have_risen(
    digits_run, tmp_path, words, epoch
):
    run_dir = tmp_path / "run"
    given = ("hardware=cpu", "data.images_per_class=8", "batch_size=8", "epochs=4",
             "finetune=full", "distillation=kd", "teacher=run", f"teacher.path={digits_run}",
             "teacher.minimum_accuracy=0", "calibrate=false", f"run_dir={run_dir}")  # fmt: skip
    train.run(checked("train", *given, *words))
    told, epochs = [], 0
    for line in (run_dir / "train.log").read_text().splitlines():
        epochs += bool(re.match(r" +1 +\d+ +\d+\.\d{4} ", line))
        if "after the warm-up, times the labels' gradient: kd" in line:
            told.append(epochs)
    assert (told, epochs) == ([epoch], 4)
