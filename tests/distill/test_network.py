"""A finished run as a teacher's network."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tlcli.distill.network import float32_policy, lent_map, run_network
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint


def target(names, multi_label=False):
    return SimpleNamespace(manifest=SimpleNamespace(class_names=names, multi_label=multi_label))


def test_a_run_gives_its_outputs_for_the_students_classes(digits_run):
    run = checkpoint.read_run(digits_run)
    names = run.class_names[::-1][:2]
    found = run_network(str(digits_run), target(names), "teacher")
    assert [run.class_names[place] for place in found.places] == list(names)
    images = np.zeros((1, *run.model.input_shape[1:]), np.uint8)
    logits = keras.Model(found.images, found.logits)(images)
    np.testing.assert_allclose(logits, run.model(images), rtol=1e-5, atol=1e-6)
    assert found.reference["class_names"] == list(run.class_names)
    assert lent_map(found) is found.features
    assert found.head_layers


def test_another_kind_of_labels_and_unknown_classes_are_refused(digits_run):
    with pytest.raises(ConfigError, match="was trained on one label an image"):
        run_network(str(digits_run), target(("5",), multi_label=True), "teacher")
    with pytest.raises(ConfigError, match="does not know cat"):
        run_network(str(digits_run), target(("cat",)), "teacher")


def test_without_a_map_no_head_is_lent():
    with pytest.raises(ConfigError, match="file x has no head on a map"):
        lent_map(SimpleNamespace(features=None, label="file x"))


def test_the_policy_is_as_before():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with float32_policy():
            assert keras.config.dtype_policy().name == "float32"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
