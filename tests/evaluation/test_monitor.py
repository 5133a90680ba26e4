"""Which of two figures is better."""

import pytest

from tlcli.evaluation.monitor import better


@pytest.mark.parametrize(
    ("metric", "new", "old", "expected"),
    [
        ("accuracy", 0.6, 0.5, True), ("accuracy", 0.5, 0.5, False), ("loss", 0.4, 0.5, True),
        ("loss", 0.6, 0.5, False), ("loss", float("nan"), None, False),
        ("loss", float("nan"), 0.5, False), ("accuracy", 0.0, None, True),
    ],
)  # fmt: skip
def test_better(metric, new, old, expected):
    assert better(metric, new, old) is expected
