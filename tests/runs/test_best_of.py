"""Which of several networks is the run."""

import re

import pytest

from tlcli.runs.best_of import best_place, told


@pytest.mark.parametrize(
    ("monitor", "figures", "best"),
    [
        ("accuracy", [0.8, 0.9, 0.7], 1),
        ("accuracy", [0.9, 0.9, 0.7], 1),
        ("loss", [0.3, 0.2, 0.4], 1),
        ("accuracy", [None, None, None], 2),
        ("accuracy", [0.5, float("nan"), 0.4], 0),
        ("accuracy", [0.4, 0.5, float("nan")], 1),
    ],
)
def test_the_better_generation_is_known_by_the_figure(monitor, figures, best):
    assert best_place(monitor, figures) == best


def test_which_one_it_is_and_why_is_told():
    line = told("accuracy", {"generation_1": 0.91, "generation_2": 0.905}, "generation_1")
    assert re.search(r"is generation_1, by .* generation 1 0\.9100, generation 2 0\.9050$", line)
    assert "the last, for there is no" in told("accuracy", {"generation_1": None}, "generation_1")
