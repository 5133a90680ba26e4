"""What a training is made of."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.training import build


def job(*words):
    return train_job(config("train", "hardware=cpu", "data.images_per_class=8", *words))


def test_the_same_job_gives_the_same_network(small_plan):
    one, same = (build.pieces_of(job("seed=3")) for _ in range(2))
    for a, b in zip(one.student.model.variables, same.student.model.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loaded.source != "random"
    assert one.manifest.fingerprint == same.manifest.fingerprint


def test_maps_are_tapped_where_a_method_compares_them():
    taught = ("teacher=run", "teacher.path=x")
    assert build.wanted_taps(job()) == ()
    assert build.wanted_taps(job("distillation=at", *taught)) is None
    words = ("distillation=at", "distillation.student_layers=[tiny_block2]",
             "distillation.teacher_layers=[y]", *taught)  # fmt: skip
    assert build.wanted_taps(job(*words)) == ("tiny_block2",)


def test_statistics_are_of_training_images_each_at_most_once(small_plan):
    pieces = small_plan.pieces
    seen = []
    views = SimpleNamespace(batches=lambda rows, epochs, size: seen.extend(rows) or [])
    build.sampled_batches(pieces.job, pieces.manifest, views, count=1)
    assert len(seen) == len(set(seen)) == min(32, len(pieces.manifest.rows(0)))
    assert set(seen) <= set(pieces.manifest.rows(0))


def test_a_head_that_must_see_data_is_shown_training_images(small_plan):
    pieces, shown = small_plan.pieces, []
    head = SimpleNamespace(needs_data=True, fit=lambda model, embeddings: shown.append(embeddings))
    build.fit_head(replace(pieces.job, head=head), pieces.manifest, pieces.plain_views,
                   pieces.student)  # fmt: skip
    assert len(shown[0]) == len(pieces.manifest.rows(0))
