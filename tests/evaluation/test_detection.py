"""AUROC as scikit-learn has it, and strangers missed at 95 % of the others by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from tlcli.evaluation.detection import auroc, figures


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    inside, outside = random.normal(0, 1, 200).round(1), random.normal(seed / 2, 1, 80).round(1)
    labels, scores = np.repeat([0, 1], [200, 80]), np.concatenate([inside, outside])
    found = figures(inside, outside)
    assert found["ood_auroc"] == pytest.approx(roc_auc_score(labels, scores))
    # The known are the positives there, and their scores the lower ones.
    fpr, tpr, _ = roc_curve(1 - labels, -scores, drop_intermediate=False)
    assert found["ood_fpr95"] == pytest.approx(fpr[tpr >= 0.95].min())
    assert found["ood_samples"] == 80


def test_missed_strangers_by_hand():
    # 19 of the 20 lie at or below 18; so do two of the four strangers.
    found = figures(np.arange(20.0), np.array([3.0, 18.0, 18.5, 40.0]))
    assert found["ood_fpr95"] == 0.5
    assert found["ood_fpr95_low"] < 0.5 < found["ood_fpr95_high"]


def test_limits():
    assert auroc(np.zeros(5), np.ones(3))[0] == 1
    assert auroc(np.ones(5), np.zeros(3))[0] == 0
    assert auroc(np.ones(5), np.ones(3)) == (0.5, 0)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        found = figures(random.normal(0, 1, 100), random.normal(1, 1, 60))
        # Of two normals a deviation apart: the normal distribution at 1 / sqrt(2).
        held += found["ood_auroc_low"] <= 0.7602 <= found["ood_auroc_high"]
    assert 180 <= held <= 198
