"""The plan in words, part by part."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from tlcli.training import plan_text


def test_the_plan_names_every_part_once(small_plan, tmp_path):
    lines = plan_text.sheet(small_plan, tmp_path).plain.splitlines()
    heads = [line.split()[0] for line in lines if line[0] != " "]
    assert heads == [
        "data", "backbone", "head", "phases", "phase", "phase", "memory", "step", "run",
    ]  # fmt: skip
    assert lines[-1] == f"run        {tmp_path}, seed 0"


def test_by_default_layers_and_caches_are_left_to_experts(small_plan, tmp_path):
    sheet = plan_text.sheet(small_plan, tmp_path)
    shown = "\n".join(one.plain for one in sheet.chosen(verbose=False))
    assert "layers loaded" in sheet.plain
    assert "layers loaded" not in shown
    assert len(shown.splitlines()) + 1 <= sheet.most
    assert sheet.chosen(verbose=True) == list(sheet.said)


def test_where_the_frozen_part_is_kept():
    phase = SimpleNamespace(cut=SimpleNamespace(prefix=None), places=SimpleNamespace(tables=None))
    assert plan_text.cache_text(phase) == ""
    phase.cut.prefix = "network"
    assert plan_text.cache_text(phase) == "in each step"
    phase.places.tables = "1 MB in memory"
    assert plan_text.cache_text(phase) == "kept, 1 MB in memory"


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
    assert plan_text.scan_notes(replace(manifest, report={})) == []
    report = {"sizes": "all 8x8", "skipped": [("a", "cut off")] * 3, "duplicates": [("a", "b")],
              "notes": ["one", "two", "three", "four"]}  # fmt: skip
    notes = plan_text.scan_notes(replace(manifest, report=report))
    assert [(note.kind, note.text) for note in notes] == [
        ("expert", "all 8x8"),
        ("warning", "3 unreadable, skipped: a (cut off), a (cut off), a (cut off)"),
        ("warning", "1 the same across splits: a = b"),
        *(("must", word) for word in ("one", "two", "three")),
        ("expert", "four"),
    ]


def test_layers_without_weights_are_a_warning(small_plan):
    pieces = small_plan.pieces
    assert not any(note.kind == "warning" for note in plan_text.backbone_notes(pieces))
    lacking = replace(pieces.loaded, missing=("a", "b", "head_x"))
    note = plan_text.backbone_notes(replace(pieces, loaded=lacking))[-1]
    assert (note.kind, note.text) == (
        "warning", "2 layers of the network are not in its weights file: a, b",
    )  # fmt: skip


def test_a_line_of_bars_a_phase(small_plan):
    (note,) = plan_text.drawn_schedule(small_plan)
    assert note.label == "rate 1"
    assert len([c for c in note.text if c in "▁▂▃▄▅▆▇█"]) == plan_text.DRAWN
