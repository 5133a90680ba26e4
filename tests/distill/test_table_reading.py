"""Rows are matched by id or by path, and probabilities become logits."""

from types import SimpleNamespace

import numpy as np

from tlcli.distill.table_reading import as_logits, matched
from tlcli.evaluation.metrics import sigmoid, softmax


def test_rows_are_called_by_id_or_by_path(tmp_path):
    manifest = SimpleNamespace(ids=np.array(["cat/a.png", "b"], object), root=str(tmp_path))
    keys = [str(tmp_path / "cat" / "a.png"), "cat\\a.png", "./cat/a.png", "b", "other"]
    found = matched(np.array(keys), manifest).tolist()
    assert found == ["cat/a.png"] * 3 + ["b", "other"]


def test_logits_give_back_the_probabilities():
    given = np.array([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(softmax(as_logits(given, False)), given, atol=1e-11)
    np.testing.assert_allclose(sigmoid(as_logits(given, True)), given, atol=1e-11)
