"""`tl compare A B`: better, worse or cannot tell, on the same images."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.helpers.sealing import resealed
from tests.helpers.words import checked
from tlcli.commands import compare, pairs
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint, predictions


@pytest.fixture
def two(digits_run, tmp_path):
    """A run, and a copy of another rate that is wrong on every third test image."""
    found = [Path(shutil.copytree(digits_run, tmp_path / name)) for name in "ab"]
    changed(found[1], lambda p: wrong_on(p, slice(None, None, 3)))
    content = json.loads((found[1] / "config.json").read_text())
    content["optimizer"]["learning_rate"] *= 2
    (found[1] / "config.json").write_text(json.dumps(content))
    resealed(found[1])
    return found


def wrong_on(found, rows):
    logits = found.logits.copy()
    logits[rows] = -10
    logits[np.arange(len(logits))[rows], (found.labels[rows] + 1) % logits.shape[1]] = 10
    return {"logits": logits}


def changed(run, change):
    found = predictions.read(run)
    np.savez(run / predictions.FILE, **{**found.arrays(), **change(found)})
    resealed(run)


def compared(runs, capsys, *words):
    assert compare.run(checked("compare", *map(str, runs), "format=json", *words)) == 0
    return json.loads(capsys.readouterr().out)["pairs"]


def test_a_pair_is_told_with_mcnemars_p(two, capsys):
    (pair,) = compared(two, capsys)
    first, second = (predictions.read(run).of("test") for run in two)
    scaling = checkpoint.facts_of(two[0]).scaling
    right = [scaling(p.logits).argmax(-1) == p.labels for p in (first, second)]
    b, c = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert pair["difference"] == pytest.approx(right[0].mean() - right[1].mean())
    assert pair["p"] == pytest.approx(stats.binomtest(int(b), int(b + c)).pvalue)
    assert [pair[k] for k in ("a", "b", "figure", "split")] == [
        *map(str, two), "accuracy", "test",
    ]  # fmt: skip
    expected = "better" if pair["p"] < 0.05 else "cannot tell"
    assert pair["verdict"] == expected
    assert pair["low"] <= pair["difference"] <= pair["high"]
    (turned,) = compared(two[::-1], capsys)
    assert turned["difference"] == -pair["difference"]


def test_the_table_says_it_in_words(two, capsys):
    assert compare.run(checked("compare", *map(str, two))) == 0
    told = capsys.readouterr().out
    assert f"{two[0]} against {two[1]}: " in told
    assert "test accuracy +" in told


def test_images_in_another_order_are_the_same(two, capsys):
    (before,) = compared(two, capsys)

    def turned(p):
        return {k: v[::-1] for k, v in p.arrays().items() if k not in ("class_names", "thresholds")}

    changed(two[1], turned)
    (after,) = compared(two, capsys)
    assert after["p"] == before["p"]
    assert after["difference"] == before["difference"]


def test_different_images_are_refused_unless_told(two, capsys):
    changed(two[1], lambda p: {"ids": np.array([f"other/{name}" for name in p.ids])})
    with pytest.raises(ConfigError, match=r"measured on different images.*unpaired=true\.$"):
        compare.run(checked("compare", *map(str, two)))
    (pair,) = compared(two, capsys, "unpaired=true")
    assert pair["verdict"] in ("better", "cannot tell")


def test_other_pictures_of_the_same_names_are_noticed(two):
    lines = list(csv.reader((two[1] / "split.csv").read_text().splitlines()))
    place = lines[0].index("content")
    with (two[1] / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([
            lines[0], *([*row[:place], row[place][::-1], *row[place + 1 :]] for row in lines[1:])
        ])  # fmt: skip
    resealed(two[1], data_fingerprint="0.0")
    with pytest.raises(ConfigError, match="different pictures of the same names"):
        compare.run(checked("compare", *map(str, two)))


def test_a_run_without_predictions_is_named(two, capsys):
    (two[1] / predictions.FILE).unlink()
    resealed(two[1])
    assert compare.run(checked("compare", *map(str, two))) == 0
    assert f"{predictions.FILE}: is missing" in capsys.readouterr().out


def test_of_many_each_is_held_against_the_best():
    units = [pairs.Unit(str(i), {}) for i in range(pairs.MOST_UNITS + 1)]
    asked = []

    def noted(a, b, *_):
        asked.append((a.name, b.name))
        raise pairs.DataError("x", "y", "z.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "_pair", noted)
        assert len(pairs.compared(units, "accuracy", False)[1]) == pairs.MOST_UNITS
    assert {first for first, _ in asked} == {"0"}
