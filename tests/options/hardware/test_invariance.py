"""The weights do not depend on the number of devices or processes."""

import csv
import json
import re

import numpy as np
import pytest

from tests.helpers.devices import train_all
from tests.helpers.runs import read_weights
from tlcli.runs import predictions

# 45 images are trained with: neither they nor their batches divide by two.
FEW = ("data.images_per_class=9", "epochs=2", "finetune=full", "backbone.batch_norm=train",
       "calibrate=false")  # fmt: skip
JOBS = {
    "sgd": (*FEW, "batch_size=10", "optimizer=sgd", "optimizer.clip_norm=0.5",
            "accumulation_steps=2", "report.thumbnails=2", "logger=csv"),
    "adamw": (*FEW, "batch_size=13", "head=mlp", "head.dropout=0.3",
              "optimizer=adamw", "optimizer.clip_norm=0.5",
              "augmentation=light", "augmentation.mixup=0.4"),
    "both": (*FEW, "batch_size=15", "optimizer=adamw", "accumulation_steps=2", "cache=off",
             "augmentation=light", "augmentation.mixup=0.4", "optimizer.ema=0.9"),
}  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return train_all("one", JOBS, tmp_path_factory.mktemp("one"))


def figures(folder):
    """metrics.json without times, and the rows of metrics.csv."""
    found = json.loads((folder / "metrics.json").read_text())
    with (folder / "metrics.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return {k: found[k] for k in ("validation", "test")}, rows


def logged(folder):
    """Step and name of each row that the chief, and nobody else, logged."""
    with (folder / "log.csv").open() as file:
        return [(row["step"], row["name"]) for row in csv.DictReader(file)]


def tiles(folder):
    """Figures of the page of a run, as they are shown."""
    return re.findall(r"<b>([\d.]+)</b>", (folder / "report.html").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    "devices",
    ["two devices", *(pytest.param(workers, marks=pytest.mark.long) for workers in ("2", "3"))],
)
def test_weights_and_metrics_are_those_of_one_device(tmp_path, alone, devices):
    spread = train_all(devices, JOBS, tmp_path)
    for job, folder in alone.items():
        ours, theirs = read_weights(folder), read_weights(spread[job])
        assert list(ours) == list(theirs)
        first, second = (np.concatenate([a.ravel() for a in w.values()]) for w in (ours, theirs))
        assert np.linalg.norm(second - first) <= 1e-5 * np.linalg.norm(first), job
        for name, array in ours.items():
            # Adam makes whole steps of gradients that are all but 0, rounding included.
            np.testing.assert_allclose(theirs[name], array, atol=1e-4, err_msg=f"{job} {name}")
        (first, rows), (second, others) = figures(folder), figures(spread[job])
        for split, values in first.items():
            assert second[split] == pytest.approx(values, rel=1e-6, abs=1e-6), job
        assert others == [pytest.approx(row, rel=1e-6, abs=1e-6) for row in rows], job
        one, other = predictions.read(folder), predictions.read(spread[job])
        assert one.ids.tolist() == other.ids.tolist()
        np.testing.assert_array_equal(one.labels, other.labels)
        loose = 1e-6 if job == "sgd" else 1e-4
        np.testing.assert_allclose(other.probabilities, one.probabilities, atol=loose, err_msg=job)
    assert logged(alone["sgd"]) == logged(spread["sgd"])
    assert len(logged(alone["sgd"])) == len(set(logged(alone["sgd"]))) > 10
    assert tiles(alone["sgd"]) == tiles(spread["sgd"]) != []
    assert (spread["sgd"] / "report.html").read_text().count("data:image/webp") > 2
