"""The other arm of the benchmark does the same work."""

import keras
import numpy as np
import pytest

from tests.helpers.pictures import make_classes
from tlcli.commands import plain_keras


def network():
    images = keras.Input((8, 8, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.Dense(2)(flat))


def test_pictures_are_read_resized_and_batched(tmp_path):
    root = make_classes(tmp_path / "p", {"a": 3})
    paths = [str(root / "a" / f"{n}.png") for n in range(3)]
    shapes = [batch.shape for batch in plain_keras.picture_dataset(paths, 16, 2)]
    assert shapes == [(2, 16, 16, 3), (1, 16, 16, 3)]


@pytest.mark.parametrize("multi_label", [False, True])
def test_plain_models_train_all_weights(multi_label):
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    labels = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    teacher, student = network(), network()
    for model in (plain_keras.compiled(student, 1e-3, multi_label),
                  plain_keras.distiller(teacher, network(), 1e-3, multi_label)):  # fmt: skip
        history = model.fit(images, labels, 2, epochs=1, verbose=0).history
        assert np.isfinite(history["loss"]).all()
