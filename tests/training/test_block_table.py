"""The plan's table: blocks that are treated alike are one row, and its numbers add up."""

import numpy as np
import pytest

from tests.helpers.trainings import planned
from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.training import block_table, plan_text

SMALL = ("data.images_per_class=4", "batch_size=10", "epochs=8")


def tables(*words):
    """The plan, and the rows of each phase."""
    plan = planned(train_job(config("train", *SMALL, *words)))
    return plan, [list(phase.blocks) for phase in plan.phases]


def size(plan, *parts):
    return sum(int(np.prod(v.shape)) for v in plan.lesson.student.model.variables
               if any(part in v.path for part in parts))  # fmt: skip


def test_a_frozen_backbone_is_one_row():
    plan, (probe, tuned) = tables("finetune=lp_ft")
    body, head = probe
    assert (body.first, body.last, body.rates) == ("stage_0", "stage_3", None)
    assert (body.layers, body.trained, body.total) == (8, 0, size(plan, "tiny_block"))
    assert head.first == "head"
    assert head.trained == head.total == size(plan, "head")
    assert head.rates == (0.001 * plan.phases[0].phase.rate,) * 2
    assert [cell for cell in body.cells if cell] == [
        "stage_0…stage_3",
        "8",
        "0",
        f"{body.total:,}",
        "frozen",
    ]
    # Frozen normalisation: its factors and statistics are not trained.
    assert tuned[0].trained == size(plan, "_conv")


def test_rates_by_depth_are_shown_block_by_block():
    words = ("finetune=discriminative", "finetune.decay=0.5", "finetune.probe_fraction=0")
    plan, (rows,) = tables(*words)
    assert [row.first for row in rows] == ["stage_0", "stage_1", "stage_2", "stage_3", "head"]
    base = 0.001 * plan.phases[0].phase.rate
    for row, power in zip(rows[:4], (4, 3, 2, 1), strict=True):
        assert row.rates == pytest.approx((base * 0.5**power,) * 2)
    assert sum(row.total for row in rows) == size(plan, "")


def test_many_blocks_are_few_rows_that_add_up():
    words = ("backbone=mobilenet", "backbone.weights=none", "backbone.alpha=0.25",
             "image_size=32", "finetune=discriminative", "finetune.probe_fraction=0")  # fmt: skip
    plan, (rows,) = tables(*words)
    assert len(rows) <= block_table.MOST_ROWS
    assert rows[-1].first == rows[-1].last == "head"
    assert sum(row.total for row in rows) == size(plan, "")
    low, high = rows[0].rates
    assert low < high <= rows[1].rates[0]
    assert "…" in rows[0].cells[-1]


def test_only_the_factors_of_a_block_count_as_trained():
    words = ("finetune=lora", "finetune.rank=2", "finetune.targets=['tiny_block4_conv']")
    plan, (rows,) = tables(*words)
    assert [(r.first, r.last, r.rates is None) for r in rows] == [
        ("stage_0", "stage_2", True), ("stage_3", "stage_3", False), ("head", "head", False),
    ]  # fmt: skip
    assert rows[1].trained == size(plan, "lora_kernel")


def test_the_plan_shows_the_table_of_each_phase(tmp_path):
    plan, found = tables("finetune=lp_ft")
    said = plan_text.sheet(plan, tmp_path).said
    places = [said.index(block_table.table(rows)) for rows in found]
    assert len(set(places)) == len(found) == 2
    for number, place in enumerate(places, 1):
        assert said[place - 1].label == f"phase {number}"
