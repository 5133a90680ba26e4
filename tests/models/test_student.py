"""The student: preprocessing, backbone and head as one model with names."""

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.data.resize import Resize
from tlcli.models import student as students


@pytest.fixture(scope="module")
def built():
    job = train_job(config("train", "hardware=cpu"))
    resize = Resize(32, "crop", 1.0, True)
    return students.build_student(job.backbone, job.head, 3, resize, None)


def test_one_input_gives_logits_embedding_and_a_map_a_resolution(built):
    images = np.zeros((2, 32, 32, 3), np.uint8)
    logits, embedding, *maps = built.extended(images)
    assert logits.shape == (2, 3)
    assert logits.dtype == "float32"
    assert len(embedding.shape) == 2
    assert len(maps) == len(built.taps) > 1
    sides = [m.shape[1] for m in maps]
    assert sides == sorted(set(sides), reverse=True)
    np.testing.assert_array_equal(built.model(images), logits)


def test_blocks_hold_every_layer_with_weights_once_and_the_head_is_last(built):
    blocks = students.block_names(built.model)
    names = [name for block in blocks for name in block.layers]
    assert len(names) == len(set(names))
    assert {layer.name for layer in built.model.layers if layer.weights} <= set(names)
    head = {layer.name for layer in built.model.layers if students.is_head(layer)}
    assert set(blocks[-1].layers) & head


def test_other_outputs_leave_the_model_as_it_is(built):
    other = students.with_outputs(built, [built.extended.outputs[1]])
    assert other.model is built.model
    assert len(other.extended.outputs) == 1
    expected = sum(int(np.prod(v.shape)) for v in built.model.variables)
    assert students.count(built.model.variables) == expected
