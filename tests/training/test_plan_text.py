"""The plan in words, part by part."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from tlcli.training import plan_text


def test_the_plan_names_every_part_once(small_plan, tmp_path):
    lines = plan_text.lines(small_plan, tmp_path)
    heads = [line.split()[0] for line in lines if line[0] != " "]
    assert [h for h in heads if h in ("data", "backbone", "head", "phase", "step", "run")] == [
        "data", "backbone", "head", "phase", "step", "run",
    ]  # fmt: skip
    assert lines[-1] == f"run        {tmp_path}, seed 0"


def test_where_the_frozen_part_is_kept():
    phase = SimpleNamespace(cut=SimpleNamespace(prefix=None), places=SimpleNamespace(tables=None))
    assert plan_text.cache_text(phase) == ""
    phase.cut.prefix = "network"
    assert plan_text.cache_text(phase) == ", frozen part each step"
    phase.places.tables = "1 MB in memory"
    assert plan_text.cache_text(phase) == ", frozen part cached, 1 MB in memory"


def test_classes_are_counted_one_by_one_or_by_their_range(small_plan):
    manifest = small_plan.pieces.manifest
    text = plan_text.class_counts(manifest)
    counts = np.bincount(manifest.labels[manifest.rows(0)])
    assert text == "train " + ", ".join(
        f"{name} {count}" for name, count in zip(manifest.class_names, counts, strict=True)
    )
    many = replace(manifest, class_names=tuple("abcdefg"), labels=manifest.labels + 1)
    assert plan_text.class_counts(many).startswith("train images a class 0 (a) to ")
    bare = replace(manifest, labels=np.full(len(manifest.ids), -1, np.int32))
    assert plan_text.class_counts(bare) == "no training image has a label"


def test_what_a_scan_found(small_plan):
    manifest = small_plan.pieces.manifest
    assert plan_text.scan_notes(replace(manifest, report={})) == "nothing unusual"
    report = {"sizes": "all 8x8", "skipped": [("a", "cut off")] * 3, "duplicates": [("a", "b")],
              "notes": ["one", "two", "three"]}  # fmt: skip
    assert plan_text.scan_notes(replace(manifest, report=report)) == (
        "all 8x8; 3 unreadable, skipped: a (cut off), a (cut off), a (cut off); "
        "1 the same across splits: a = b; one; two; three"
    )


def test_a_line_of_bars_a_phase(small_plan):
    (line,) = plan_text.drawn_schedule(small_plan).splitlines()
    assert len([c for c in line if c in "▁▂▃▄▅▆▇█"]) == 60
