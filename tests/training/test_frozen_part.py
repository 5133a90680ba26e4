"""What lies before the first trained layer, cut off and joined again."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from tlcli.models import trainable
from tlcli.system.memory import Budget
from tlcli.training import frozen_part


def test_a_probe_is_cut_before_its_head_and_joined_is_the_whole(small_plan):
    lesson, cut = small_plan.lesson, small_plan.phases[0].cut
    trained = set(small_plan.phases[0].rates)
    assert trained <= {v.path for v in cut.suffix.variables}
    assert not trained & {v.path for v in cut.prefix.variables}
    assert cut.prefix.variables
    images = np.random.default_rng(0).integers(0, 256, (2, *lesson.student.model.input_shape[1:]))
    images = images.astype(np.uint8)
    found = frozen_part.Joined(cut)(images, training=False)
    expected = lesson.student.extended(images, training=False)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_nothing_is_cached_where_a_method_needs_the_images(small_plan):
    lesson, planned = small_plan.lesson, small_plan.phases[0]
    every = replace(lesson, method=SimpleNamespace(needs=frozenset({"images"})))
    with trainable.applied(lesson.student.model, planned.phase, small_plan.pieces.batch_norm):
        assert frozen_part.cached_split(every).prefix is None
        assert frozen_part.cached_split(lesson).prefix is not None


def test_without_a_place_nothing_is_kept(small_plan):
    pieces = small_plan.pieces
    assert frozen_part.placed(pieces, None, pieces.plain_views, 0, Budget(1)) is None
    assert frozen_part.outputs(pieces.tables, None, pieces.plain_views, [0], None) is None
