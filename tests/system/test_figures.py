"""Figures in words and in rows of blocks."""

import numpy as np

from tlcli.system.figures import bars, figures_line, sparkline, worst_classes


def test_a_sparkline_spans_least_to_most():
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(range(1000)))) == 40
    assert sparkline(list(range(1000)))[-1] == "█"


def test_bars_rise_from_the_bottom_row():
    # Of 16 eighths a column has 1 + 15 h: 1, 9 and 16.
    assert bars([0.0, 0.5, 1.0], 2) == [" ▁█", "▁██"]


def test_the_fifth_best_counts_where_there_are_more_than_five_classes():
    figures = {"loss": 0.5, "accuracy": 0.25, "top5_accuracy": 0.75, "other": 1.0}
    assert figures_line(figures, 5) == "top-1 0.2500  loss 0.5000"
    assert figures_line(figures, 6) == "top-1 0.2500  top-5 0.7500  loss 0.5000"


def test_the_worst_classes_are_named_harmlessly_those_never_seen_left_out():
    per_class = np.array([0.5, np.nan, 0.1, 0.9])
    assert worst_classes(per_class, ["a", "b", "c\x1b[2J", "d"], 2) == "c\\x1b[2J 0.10, a 0.50"
