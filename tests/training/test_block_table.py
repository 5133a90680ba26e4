"""The plan's table: blocks that are treated alike are one row, and its numbers add up."""

import numpy as np
import pytest

from tlcli.config.job import train_job
from tlcli.models.trainable import set_trainable
from tlcli.training import block_table, strategy
from tlcli.training.build import prepare
from tlcli.training.plan import plan

SMALL = ("data.images_per_class=4", "batch_size=10", "epochs=8")


def tables(config, *words):
    """The run, and the rows of each phase."""
    run = prepare(train_job(config("train", *SMALL, *words)))
    phases, found = strategy.phases(run), []
    for phase in phases:
        rates = set_trainable(run.student.model, phase.rates, phase.only, run.batch_norm)
        found.append(block_table.rows(run.student.model, rates, 0.001 * phase.rate))
    return run, phases, found


def size(run, *parts):
    return sum(int(np.prod(v.shape)) for v in run.student.model.variables
               if any(part in v.path for part in parts))  # fmt: skip


def test_a_frozen_backbone_is_one_row(config):
    run, phases, (probe, tuned) = tables(config, "finetune=lp_ft")
    body, head = probe
    assert (body.first, body.last, body.rates) == ("stage_0", "stage_3", None)
    assert (body.layers, body.trained, body.total) == (8, 0, size(run, "tiny_block"))
    assert (head.first, head.trained, head.total) == ("head", size(run, "head"), size(run, "head"))
    assert head.rates == (0.001 * phases[0].rate,) * 2
    assert str(body).split() == ["stage_0…stage_3", "8", "0", f"{body.total:,}", "frozen"]
    # Frozen normalisation: its factors and statistics are not trained.
    assert tuned[0].trained == size(run, "_conv")


def test_rates_by_depth_are_shown_block_by_block(config):
    words = ("finetune=discriminative", "finetune.decay=0.5", "finetune.probe_fraction=0")
    run, (phase,), (rows,) = tables(config, *words)
    assert [row.first for row in rows] == ["stage_0", "stage_1", "stage_2", "stage_3", "head"]
    base = 0.001 * phase.rate
    for row, power in zip(rows[:4], (4, 3, 2, 1), strict=True):
        assert row.rates == pytest.approx((base * 0.5**power,) * 2)
    assert sum(row.total for row in rows) == size(run, "")


def test_many_blocks_are_few_rows_that_add_up(config):
    words = ("backbone=mobilenet", "backbone.weights=none", "backbone.alpha=0.25",
             "image_size=32", "finetune=discriminative", "finetune.probe_fraction=0")  # fmt: skip
    run, _, (rows,) = tables(config, *words)
    assert len(rows) <= block_table.MOST_ROWS
    assert rows[-1].first == rows[-1].last == "head"
    assert sum(row.total for row in rows) == size(run, "")
    low, high = rows[0].rates
    assert low < high <= rows[1].rates[0]
    assert "…" in str(rows[0]).split()[-1]


def test_only_the_factors_of_a_block_count_as_trained(config):
    words = ("finetune=lora", "finetune.rank=2", "finetune.targets=['tiny_block4_conv']")
    run, _, (rows,) = tables(config, *words)
    assert [(r.first, r.last, r.rates is None) for r in rows] == [
        ("stage_0", "stage_2", True), ("stage_3", "stage_3", False), ("head", "head", False),
    ]  # fmt: skip
    assert rows[1].trained == size(run, "lora_kernel")


def test_the_plan_shows_the_table_of_each_phase(config, tmp_path):
    run, phases, found = tables(config, "finetune=lp_ft")
    lines = plan(run, phases, tmp_path)
    places = [i for i, line in enumerate(lines) if line == block_table.HEADER]
    assert len(places) == len(phases) == 2
    for place, rows in zip(places, found, strict=True):
        assert lines[place - 1].startswith("phase ")
        assert [line.split()[0] for line in lines[place + 1 : place + 1 + len(rows)]] == [
            str(row).split()[0] for row in rows
        ]
