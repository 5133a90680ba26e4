"""Directions that validation images lack and energies that they have not make a stranger."""

import numpy as np
import pytest
from scipy.special import logsumexp

from tlcli.evaluation.strangers import (
    ENERGY,
    MOST,
    NEIGHBOURS,
    chosen,
    directions,
    fitted,
    nearness,
    signs_of,
)


def known(count=200, channels=16, seed=0):
    """Logits and embeddings of a few clusters."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(4, channels))
    labels = random.integers(0, 4, count)
    embedding = centres[labels] + 0.3 * random.normal(size=(count, channels))
    return (6 * np.eye(4)[labels] + random.normal(size=(count, 4))).astype(np.float32), embedding


def test_as_many_new_images_are_marked_as_asked():
    found = fitted(*known(1000), 0.9, False)
    scores = found.scores(*known(5000, seed=1))
    assert found.are(scores).mean() == pytest.approx(0.1, abs=0.03)


def test_other_directions_and_flat_logits_are_strange_each():
    found = fitted(*known(), 0.95, False)
    logits, embedding = known(300, seed=1)
    random = np.random.default_rng(2)
    usual = found.scores(logits, embedding)
    elsewhere = found.scores(logits, random.normal(size=embedding.shape))
    flat = found.scores(np.zeros_like(logits), embedding)
    assert found.are(elsewhere).all()
    assert np.median(flat) > np.quantile(usual, 0.95)
    # The length of an embedding tells nothing.
    np.testing.assert_allclose(found.scores(logits, 7 * embedding), usual, rtol=1e-3, atol=1e-3)


def test_signs_are_those_of_a_slow_implementation():
    logits, embedding = known(30)
    bank = directions(embedding)
    near = nearness(bank, bank, True)
    for row, own in enumerate(signs_of(near, logits, False)):
        others = [np.linalg.norm(bank[row] - one) for k, one in enumerate(bank) if k != row]
        wanted = sorted(others)[NEIGHBOURS - 1], -logsumexp(logits[row].astype(float))
        np.testing.assert_allclose(own, wanted, rtol=1e-4)
    several = signs_of(near, logits, True)[:, 1]
    np.testing.assert_allclose(several, -np.log1p(np.exp(logits.astype(float))).sum(-1))


def test_the_threshold_is_that_of_images_left_out_one_by_one():
    logits, embedding = known(40)
    found = fitted(logits, embedding, 0.95, False)
    near = nearness(found.bank.astype(np.float32), found.bank.astype(np.float32), True)
    signs = (signs_of(near, logits, False) - found.centre) / found.spread
    scores = signs[:, 0] + ENERGY * signs[:, 1]
    # ceil(41 * 0.95) = 39, so one image is stranger.
    assert (scores > found.threshold).sum() == 1


@pytest.mark.parametrize("count", [5, 18])
def test_too_few_images_tell_nothing(count):
    assert fitted(*known(count), 0.95, False) is None
    assert fitted(*known(19), 0.95, False) is not None


def test_what_is_no_number_is_a_stranger():
    found = fitted(*known(), 0.95, False)
    logits, embedding = known(1)
    assert found.are(found.scores(logits, embedding * np.nan)).all()
    assert fitted(known()[0], known()[1] * np.nan, 0.95, False) is None


def test_of_many_images_each_class_keeps_its_share():
    labels = np.repeat([0, 1], [9000, 1000])
    rows = chosen(labels)
    assert len(rows) == MOST
    assert np.bincount(labels[rows]).tolist() == [900, 100]
    assert chosen(labels[:10]).tolist() == list(range(10))
    assert len(chosen(np.zeros((2000, 3)))) == MOST
