"""`seeds=N` is a sweep over seeds."""

import csv
import json
import statistics

import pytest

from tlcli.cli.seeds import swept
from tlcli.errors import ConfigError


def test_words_without_it_stay_and_one_seed_is_no_sweep():
    assert swept(["photos", "seed=3"]) == ["photos", "seed=3"]
    assert swept(["seeds=1", "epochs=2"]) == ["epochs=2"]


def test_it_stands_for_a_sweep_from_the_seed_that_is_typed():
    assert swept(["photos", "seeds=3"]) == ["-m", "photos", "seed=0,1,2"]
    assert swept(["seed=7", "seeds=2", "-m"]) == ["-m", "seed=7,8"]
    assert swept(["seeds=2", "run_dir=a"]) == ["-m", "hydra.sweep.dir=a", "seed=0,1"]


@pytest.mark.parametrize(
    "words",
    [["seeds=0"], ["seeds=101"], ["seeds=x"], ["seeds="], ["seeds=2", "seed=1,2"],
     ["seeds=2", "resume=run"], ["seeds=2", "seed=2147483647"]],
)  # fmt: skip
def test_nonsense_is_refused(words):
    with pytest.raises(ConfigError, match=r"Give a number from|Leave seeds out"):
        swept(words)


def test_two_seeds_are_trained_and_gathered(tl, tmp_path):
    words = ("epochs=1", "finetune=linear_probe", "data.images_per_class=4", "calibrate=false")
    done = tl("train", "seeds=2", f"run_dir={tmp_path}/both", *words)
    assert done.returncode == 0, done.stderr
    assert "mean of 2 seeds" in done.stdout
    figures = [
        json.loads((tmp_path / "both" / name / "metrics.json").read_text())["test"]["accuracy"]
        for name in "01"
    ]
    with (tmp_path / "both" / "comparison.csv").open() as lines:
        mean = list(csv.DictReader(lines))[-1]
    assert float(mean["test_accuracy"]) == pytest.approx(statistics.fmean(figures))
    assert float(mean["test_accuracy_sd"]) == pytest.approx(statistics.stdev(figures))
