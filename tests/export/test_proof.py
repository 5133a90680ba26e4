"""An export is one only if it answers as its run."""

import numpy as np
import pytest

from tlcli.errors import TlError
from tlcli.evaluation import strangers
from tlcli.evaluation.metrics import softmax
from tlcli.export import proof


def both(noise):
    """Logits and probabilities of a run, and of one whose logits have noise; and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    logits = rng.normal(0, 1, (300, 4)) + 3 * np.eye(4)[labels]
    other = logits + rng.normal(0, noise, logits.shape)
    return [{"logits": z, "probabilities": softmax(z)} for z in (logits, other)], labels


def test_equal_answers_are_told_so():
    (ours, theirs), labels = both(0)
    found = proof.proved(ours, theirs, labels, "test", 0.5, lambda z: z)
    assert (found.agreement, found.difference, found.lost) == (1.0, 0.0, 0.0)
    assert found.run == found.export == (ours["logits"].argmax(-1) == labels).mean()
    proof.check(found, "none", 0.0, "here")


def test_a_loss_beyond_the_tolerance_is_refused():
    (ours, theirs), labels = both(3)
    found = proof.proved(ours, theirs, labels, "test", 0.5, lambda z: z)
    right = [(one["logits"].argmax(-1) == labels).mean() for one in (ours, theirs)]
    assert found.lost == pytest.approx(right[0] - right[1])
    assert found.low < right[1] - right[0] < found.high
    proof.check(found, "int8", found.lost + 1e-9, "here")
    with pytest.raises(
        TlError, match=r"here: accuracy falls by 0\.\d+, and may by tolerance=0\.01"
    ):
        proof.check(found, "int8", 0.01, "here")
    with pytest.raises(TlError, match="probabilities differ by"):
        proof.check(found, "none", 1.0, "here")


def test_marks_of_strangers_are_compared():
    rng = np.random.default_rng(1)
    logits, embedding = rng.normal(0, 1, (200, 4)), rng.normal(0, 1, (200, 8))
    known = strangers.fitted(logits, embedding, 0.9, several=False)
    ours = {"logits": logits, "embedding": embedding}
    assert proof.same_marks(known, ours, ours) == 1.0
    theirs = {"logits": logits, "embedding": -embedding}
    marks = [known.are(known.scores(logits, one)) for one in (embedding, -embedding)]
    assert proof.same_marks(known, ours, theirs) == (marks[0] == marks[1]).mean() < 1


def test_a_refusal_names_the_layers_to_blame():
    (ours, theirs), labels = both(3)
    found = proof.proved(ours, theirs, labels, "test", 0.5, lambda z: z)
    blamed = r"Most comes of conv.*, head\. Take another quantize, more fit_steps"
    with pytest.raises(TlError, match=blamed):
        proof.check(found, "int8", 0.01, "here", lambda: ["conv\x1b", "head"])


def test_without_labels_answers_count():
    (ours, theirs), _ = both(3)
    found = proof.proved(ours, theirs, None, "", 0.5, lambda z: z)
    assert found.lost == 1 - found.agreement > 0
    assert set(found.as_json()) == {"images", "agreement", "difference"}
