import json

import numpy as np
import pytest

from tlcli.commands import train
from tlcli.config import compose
from tlcli.config.checking import check_request


@pytest.fixture
def arrays(tmp_path):
    """Two classes of 32-pixel pictures, dark and bright, as the NumPy recipe wants them."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "arrays"
    folder.mkdir()
    for split, count in (("train", 24), ("test", 8)):
        labels = np.arange(count) % 2
        noise = generator.integers(0, 60, (count, 32, 32, 3))
        pictures = (noise + labels[:, None, None, None] * 180).astype(np.uint8)
        np.save(folder / f"{split}_data.npy", pictures)
        np.save(folder / f"{split}_labels.npy", labels)
    return folder


def test_vgg16_npy_trains_on_arrays(arrays, tmp_path):
    words = ["config=vgg16_npy", f"data.path={arrays}", "backbone.weights=none", "image_size=32"]
    words += ["epochs=1", "batch_size=8", f"run_dir={tmp_path / 'run'}"]
    checked = check_request(compose.read("train", words))
    assert checked.config["optimizer"]["name"] == "adam"
    assert checked.config["optimizer"]["learning_rate"] == 0.001
    assert train.run(checked) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert set(metrics) == {"validation", "test"}
    assert {"accuracy", "top5_accuracy", "macro_f1", "balanced_accuracy", "ece", "loss"} <= set(
        metrics["test"]
    )
    assert metrics["test"]["samples"] == 8


def test_vgg16_npy_is_the_recipe_of_the_article():
    words = ["config=vgg16_npy", "data.path=arrays"]
    config = compose.plain(compose.read("train", words))
    assert config["epochs"] == 20
    assert config["batch_size"] == 128
    assert config["backbone"]["constructor"] == "VGG16"
    assert config["finetune"] == {"name": "linear_probe", "rate": 1.0}
