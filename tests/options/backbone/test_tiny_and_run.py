import json

import keras
import numpy as np
import pytest
import yaml

from tlcli.config import registry
from tlcli.errors import ConfigError, DataError
from tlcli.models.weights import save_weights
from tlcli.options.backbone.tiny import FILE
from tlcli.options.data.digits import FILE as DIGITS

CONFIGS = registry.config_root() / "backbone"


def option(stem, **changes):
    values = yaml.safe_load((CONFIGS / f"{stem}.yaml").read_text())
    return registry.build("backbone", {**values, **changes})


def pictures(side=32):
    return keras.Input((side, side, 3), name="images")


def test_tiny_is_small_and_its_weights_fit():
    backbone = option("tiny")
    model = backbone.build(pictures())
    report = backbone.load(model)
    assert report.missing == report.skipped == ()
    assert len(report.loaded) == 8
    assert model.count_params() < 70_000
    assert model.output.shape == (None, 4, 4, 64)
    assert FILE.stat().st_size < 300_000


def test_tiny_without_weights_reports_random():
    backbone = option("tiny", weights="none")
    report = backbone.load(backbone.build(pictures()))
    assert (report.source, report.loaded) == ("random", ())


def test_tiny_is_cut_at_a_block():
    model = option("tiny", output_layer="tiny_block2").build(pictures())
    assert model.output.shape == (None, 16, 16, 32)
    assert option("tiny").build(pictures(16)).output.shape == (None, 2, 2, 64)


def ridge_accuracy(weights):
    """Test accuracy on digits 5-9 of ridge regression on pooled features, ten images a class."""
    with np.load(DIGITS, allow_pickle=False) as file:
        chosen = file["labels"] >= 5
        scans, labels = file["images"][chosen], file["labels"][chosen] - 5
    images = keras.ops.image.resize(scans[..., None] * (255 / 16), (32, 32))
    backbone = option("tiny", weights=weights)
    keras.utils.set_random_seed(0)
    model = backbone.build(pictures())
    backbone.load(model)
    features = model.predict(np.repeat(images, 3, axis=-1), verbose=0).mean(axis=(1, 2))
    train = np.concatenate([np.flatnonzero(labels == c)[:10] for c in range(5)])
    features = (features - features[train].mean(0)) / (features[train].std(0) + 1e-6)
    gram = features[train].T @ features[train] + 10 * np.eye(64)
    truth = np.eye(5)[labels[train]] - 0.2
    scores = features @ np.linalg.solve(gram, features[train].T @ truth)
    rest = np.setdiff1d(np.arange(len(labels)), train)
    return np.mean(scores[rest].argmax(1) == labels[rest])


def test_the_shipped_weights_help_on_digits_they_never_saw():
    trained, random = ridge_accuracy("digits"), ridge_accuracy("none")
    assert trained > 0.8
    assert trained > random + 0.1


@pytest.fixture
def earlier(tmp_path):
    """A finished run of the tiny backbone with a head, and its model."""
    backbone = option("tiny", weights="none", output_layer="tiny_block3")
    body = backbone.build(pictures())
    pooled = keras.layers.GlobalAveragePooling2D(name="head_pool")(body.output)
    model = keras.Model(body.input, keras.layers.Dense(3, name="head_logits")(pooled))
    save_weights(model, tmp_path / "model.weights.h5")
    values = yaml.safe_load((CONFIGS / "tiny.yaml").read_text())
    values |= {"weights": "none", "output_layer": "tiny_block3"}
    (tmp_path / "config.json").write_text(json.dumps({"backbone": values, "seed": 0}))
    return tmp_path, model


def test_a_run_gives_its_backbone_to_the_next(earlier):
    folder, model = earlier
    backbone = option("run", run=str(folder))
    assert backbone.default_image_size == 32
    body = backbone.build(pictures(64))
    report = backbone.load(body)
    assert report.missing == ()
    assert report.skipped == ("head_logits",)
    assert body.output.shape == (None, 16, 16, 64)
    for weight in body.weights:
        other = next(w for w in model.weights if w.path == weight.path)
        assert np.array_equal(weight, other)


def test_a_resolved_run_needs_its_folder_no_more(earlier):
    folder, _ = earlier
    backbone = option("run", run=str(folder), output_layer="tiny_block1").resolved()
    (folder / "config.json").unlink()
    assert backbone.build(pictures()).output.shape == (None, 32, 32, 16)
    assert backbone.resolved() is backbone


def test_what_is_not_a_run_is_refused(earlier):
    folder, _ = earlier
    with pytest.raises(ConfigError, match=r"^backbone\.run: .*/none has no config\.json"):
        option("run", run=f"{folder}/none").build(pictures())
    backbone = option("run", run=str(folder)).resolved()
    (folder / "model.weights.h5").unlink()
    with pytest.raises(ConfigError, match=r"^backbone\.run: .* has no model\.weights\.h5\. Let"):
        backbone.load(backbone.build(pictures()))
    for text in ("{", "[]", "{}"):
        (folder / "config.json").write_text(text)
        with pytest.raises(DataError, match=r"config\.json: "):
            option("run", run=str(folder)).build(pictures())


def test_a_run_of_other_weights_is_refused(earlier):
    folder, _ = earlier
    backbone = option("run", run=str(folder)).resolved()
    broken = keras.Model(*(lambda i: (i, keras.layers.Conv2D(
        16, 3, use_bias=False, name="tiny_block1_conv")(i)))(pictures()))  # fmt: skip
    save_weights(broken, folder / "model.weights.h5")
    with pytest.raises(DataError, match=r"lacks tiny_block1_bn \(5 layers in all\)"):
        backbone.load(backbone.build(pictures()))
