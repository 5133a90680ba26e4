import csv
import io

import numpy as np
import pytest

from tlcli.audit import findings
from tlcli.audit.copies import Copies
from tlcli.audit.cues import Cue
from tlcli.audit.findings import Seen
from tlcli.audit.label_errors import LabelErrors
from tlcli.audit.leaks import Leak
from tlcli.audit.near import Pairs
from tlcli.audit.odd import Odd
from tlcli.contracts.data import Manifest
from tlcli.system.shown import fused

HOSTILE = "=<script>alert(1)</script>\"'&😀\n,"


@pytest.fixture
def manifest():
    return Manifest(
        ids=np.array([f"{HOSTILE}/{i}.jpg" for i in range(6)], object),
        labels=np.array([0, 0, 1, 1, 1, -1], np.int32),
        splits=np.array([0, 0, 2, 0, 1, 0], np.int8),
        class_names=(HOSTILE, "dog"), images=None, root=HOSTILE, fingerprint="0",
    )  # fmt: skip


def seen(**changes):
    none = np.zeros(0, np.int64)
    values = {
        "errors": None, "copies": Copies([], Pairs(none, none, none, np.zeros(0)), frozenset()),
        "odd": [], "outliers": [], "cues": [], "leaks": [], **changes,
    }  # fmt: skip
    return Seen(**values)


def errors(wrong):
    shares = np.tile(np.array([[0.9, 0.1]], np.float32), (6, 1))
    scores = np.linspace(0, 1, 6)
    return LabelErrors(scores, np.zeros(6, int), np.isin(np.arange(6), wrong), shares.__getitem__)


def test_all_kinds_stand_in_the_table_as_they_are(manifest):
    near = Pairs(np.array([2]), np.array([3]), np.array([1]), np.array([0.96]))
    found = findings.findings(manifest, seen(
        errors=errors([2, 4]), copies=Copies([[0, 1, 4]], near, frozenset({2, 4})),
        odd=[Odd(5, 1.0, "exclude", "blank")], outliers=[Odd(0, 0.7, "look", "far")],
        cues=[Cue("width", 0, 0.95, 0.5, 0.01, "9 px")],
        leaks=[Leak("prefix", np.full(6, "p"), np.array([1, 2]), 1, 0.9)],
    ))  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(findings.as_csv(manifest, found), newline="")))
    assert tuple(rows[0]) == findings.COLUMNS
    assert list(dict.fromkeys(row["kind"] for row in rows)) == list(findings.KINDS)
    by_kind = {kind: [r for r in rows if r["kind"] == kind] for kind in findings.KINDS}
    # The most suspicious label first; both suggest class 0.
    assert [fused(row["id"]) for row in by_kind["label_error"]] == list(manifest.ids[[4, 2]])
    assert {fused(row["suggestion"]) for row in by_kind["label_error"]} == {HOSTILE}
    assert {row["id"][0] for row in rows if row["id"]} == {"'"}
    assert [row["suggestion"] for row in by_kind["exact_duplicate"]] == [
        "exclude",
        "exclude",
        "keep",
    ]
    assert [row["suggestion"] for row in by_kind["near_duplicate"]] == ["keep", "exclude"]
    assert by_kind["near_duplicate"][0]["detail"].endswith("(train), mirrored")
    # Of two copies of class 0 and one of class 1 most have class 0.
    assert {fused(r["suggestion"]) for r in by_kind["conflicting_label"]} == {HOSTILE}
    assert by_kind["spurious_cue"][0]["id"] == ""
    assert fused(by_kind["spurious_cue"][0]["class"]) == HOSTILE
    assert [row["split"] for row in by_kind["leak"]] == ["train", "test"]
    assert all(0 <= float(row["score"]) <= 1 for row in rows)


def test_every_picture_has_a_score(manifest):
    for judged, guess in ((errors([2]), HOSTILE), (None, "")):
        text = findings.scores_csv(manifest, judged)
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert tuple(rows[0]) == findings.SCORES
        assert [fused(row["id"]) for row in rows] == list(manifest.ids)
        assert fused(rows[0]["suggestion"]) == guess
        assert [fused(row["class"]) for row in rows[4:]] == ["dog", ""]
    assert float(rows[5]["label_error"]) == 0


def test_nothing_found_is_an_empty_table(manifest):
    assert findings.as_csv(manifest, findings.findings(manifest, seen())).count("\n") == 1


def test_copies_without_a_label_do_not_conflict(manifest):
    found = findings.findings(manifest, seen(copies=Copies([[0, 5]], seen().copies.near,
                                                           frozenset({0}))))  # fmt: skip
    assert [one.kind for one in found] == ["exact_duplicate"] * 2
