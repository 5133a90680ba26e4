"""Low-rank factors change nothing at first, train alone, and leave a plain model behind."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.helpers.runs import read_weights, same_weights, train_digits
from tests.helpers.trainings import planned
from tests.helpers.words import checked, config
from tlcli.commands import evaluate, train
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.contracts.finetune import Block, Lora, Phase
from tlcli.errors import ConfigError
from tlcli.evaluation.classifier import classifier, logits_of, rows_of, scored
from tlcli.evaluation.scaling import PLAIN
from tlcli.models import lora, trainable
from tlcli.runs import checkpoint
from tlcli.training.build import pieces_of

TARGETS = "finetune.targets=['tiny_block[34]_conv']"
WORDS = ("finetune=lora", TARGETS, "finetune.rank=3", "finetune.alpha=6")


@keras.saving.register_keras_serializable(package="test")
class Mixer(keras.layers.Layer):
    """A layer of layers, as transformer blocks are."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(6, name="query")
        self.heads = keras.layers.EinsumDense("abc,cde->abde", (None, 2, 3), name="heads")

    def build(self, shape):
        self.inner.build(shape)
        self.heads.build((*shape[:-1], 6))
        self.own = self.add_weight(shape=(6,), name="own")
        self.built = True

    def call(self, inputs):
        return keras.ops.reshape(self.heads(self.inner(inputs) + self.own), (-1, 4, 6))


def network():
    """Every kind of layer that may have factors, one nested, and a head."""
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    features = keras.layers.Conv2D(4, 3, padding="same", name="wide")(images)
    features = keras.layers.BatchNormalization(name="norm")(features)
    features = keras.layers.Conv2D(8, 1, groups=2, name="pointwise")(features)
    features = keras.layers.DepthwiseConv2D(3, name="depthwise")(features)
    features = keras.layers.Reshape((4, 8))(features)
    features = Mixer(name="mixer")(keras.layers.Dense(8, name="dense")(features))
    pooled = keras.layers.GlobalAveragePooling1D()(features)
    return keras.Model(images, keras.layers.Dense(3, name="head_dense")(pooled))


def names(layers):
    return [layer.name for layer in layers]


def randomise(model):
    """Give all B factors values, as training would."""
    random = np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.endswith("lora_kernel_b"):
            variable.assign(random.normal(size=variable.shape))


def test_targets_are_dense_layers_and_1x1_convolutions_nested_or_not():
    model = network()
    assert names(lora.targets(model, None)) == ["pointwise", "dense", "query", "heads"]
    assert names(lora.targets(model, ("wide",))) == ["wide"]
    assert names(lora.targets(model, ("que.*", "mixer/heads"))) == ["query", "heads"]


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (("quary",), r"matches \['quary'\]\. Did you mean query\?"),
        (("head_dense",), r"matches \['head_dense'\]\. "),
        (("depthwise",), r"matches \['depthwise'\]\. Did you mean .*wise\?"),
        (("quer",), r"matches \['quer'\]\. Did you mean query\?"),
    ],
)
def test_targets_that_match_nothing_are_refused(patterns, message):
    with pytest.raises(ConfigError, match=r"^finetune\.targets: no dense layer .*" + message):
        lora.targets(network(), patterns)


def test_a_backbone_without_any_is_refused():
    images = keras.Input((4, 4, 3))
    maps = keras.layers.Conv2D(4, 3, name="wide")(images)
    outputs = keras.layers.Dense(3, name="head_dense")(keras.layers.Flatten()(maps))
    with pytest.raises(ConfigError, match=r"no 1x1 convolution\. Name convolutions.*\['wide'\]"):
        lora.targets(keras.Model(images, outputs), None)
    pooled = keras.layers.Flatten()(keras.layers.DepthwiseConv2D(3)(images))
    bare = keras.Model(images, keras.layers.Dense(3, name="head_dense")(pooled))
    with pytest.raises(ConfigError, match="has no layer that LoRA fits"):
        lora.targets(bare, None)


def test_factors_change_nothing_at_first_and_depend_on_the_seed():
    images = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)
    found = []
    for seed in (0, 0, 1):
        model = network()
        before = np.asarray(model(images))
        lora.attach(model, Lora(2, 1.5, None), seed)
        np.testing.assert_array_equal(np.asarray(model(images)), before)
        found.append([v.numpy() for v in model.variables if lora.is_factor(v)])
    first, same, other = found
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not np.array_equal(first[0], other[0])
    # Dense, 8 inputs: A has a deviation of 1 / sqrt(8).
    assert 0.1 < first[2].std() < 0.8


def test_outputs_are_those_of_kernel_plus_scaled_product():
    model = network()
    lora.attach(model, Lora(2, 1.5, None), 0)
    randomise(model)
    dense, query = model.get_layer("dense"), model.get_layer("mixer").inner
    inputs = np.random.default_rng(0).normal(size=(2, 4, 8))
    for layer in (dense, query):
        kernel, bias, a, b = (np.float64(v.numpy()) for v in layer.variables)
        expected = inputs @ (kernel + 1.5 * a @ b) + bias
        np.testing.assert_allclose(layer(inputs.astype(np.float32)), expected, atol=1e-5)
        np.testing.assert_allclose(lora.merged_kernel(layer), kernel + 1.5 * a @ b, atol=1e-6)


def test_merged_model_equals_the_one_with_factors():
    model, plain = network(), network()
    lora.attach(model, Lora(2, 1.5, (".*",)), 0)
    randomise(model)
    values = lora.plain_values(model)
    for variable, value in zip(plain.variables, values, strict=True):
        variable.assign(value)
    images = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model(images), plain(images), rtol=1e-5, atol=1e-5)
    assert not np.allclose(model(images), network()(images), atol=1e-2)


def test_only_factors_and_the_head_are_trained():
    model = network()
    lora.attach(model, Lora(2, 1.5, ("dense", "query")), 0)
    layers = [layer.name for layer in model.layers]
    half = dict.fromkeys(layers, 0.5) | {"head_dense": 1.0}
    rates = trainable.rates(model, Phase("factors", 1.0, half, only="lora"), "train")
    shown = {path.split("/", 1)[1] if "mixer" in path else path: r for path, r in rates.items()}
    assert shown == {
        "dense/lora_kernel_a": 0.5, "dense/lora_kernel_b": 0.5, "query/lora_kernel_a": 0.5,
        "query/lora_kernel_b": 0.5, "head_dense/kernel": 1.0, "head_dense/bias": 1.0,
    }  # fmt: skip
    # A later phase may train everything, and one before may train the head alone.
    whole = Phase("whole", 1.0, dict.fromkeys(layers, 1.0))
    every = trainable.rates(model, whole, "train")
    assert {"dense/kernel", "dense/lora_kernel_a", "norm/gamma", "wide/kernel"} <= set(every)
    probe = Phase("probe", 1.0, {"head_dense": 1.0})
    assert set(trainable.rates(model, probe, "train")) == {
        "head_dense/kernel", "head_dense/bias",
    }  # fmt: skip


@pytest.mark.parametrize(("scaling", "scale"), [("rank", 4.0), ("root", 8.0)])
def test_scale_is_alpha_over_the_rank_or_its_root(scaling, scale):
    words = ("finetune=lora", "finetune.rank=4", "finetune.alpha=16", f"finetune.scaling={scaling}")
    option = registry.build("finetune", config("train", *words)["finetune"])
    (phase,) = option.phases([Block("stem", ("a",)), Block("head", ("head_b",))], 3.0)
    assert phase.lora == Lora(4, scale, None)
    assert phase.rates == {"a": 1.0, "head_b": 5.0}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rank=0", "finetune.rank: got 0"),
        ("alpha=0", "finetune.alpha: got 0"),
        ("head_rate=0", "finetune.head_rate: got 0"),
        ("targets=['(']", "is no regular expression"),
        ("targets=[]", "finetune.targets: got []"),
    ],
)
def test_wrong_numbers_and_patterns_are_refused(word, message):
    with pytest.raises(ConfigError) as caught:
        train_job(config("train", "finetune=lora", f"finetune.{word}"))
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora") / "run"
    return train_digits(folder, *WORDS, "optimizer.ema=0.9", "save_every=1steps", "epochs=3")


def test_the_checkpoint_is_a_plain_model_with_the_figures_of_the_run(run_dir):
    arrays = read_weights(run_dir)
    assert not [name for name in arrays if "lora" in name]
    found = checkpoint.read_run(run_dir)
    start = pieces_of(train_job(checkpoint.read_config(run_dir))).student.model
    for new, old in zip(found.model.variables, start.variables, strict=True):
        change = new.numpy() - old.numpy()
        if new.path in ("tiny_block3_conv/kernel", "tiny_block4_conv/kernel"):
            singular = np.linalg.svd(change.reshape(-1, change.shape[-1]), compute_uv=False)
            assert singular[0] > 1e-3
            assert singular[3] < 1e-5 * max(1, singular[0])
        elif not new.path.startswith("head"):
            assert not change.any(), new.path
        else:
            assert change.any()
    manifest = evaluate.data_of(found, None)
    views = evaluate.Views(manifest, found.resize, None, 0, 1)
    for split in ("validation", "test"):
        rows = rows_of(manifest, split)
        scaling = found.scaling if split == "test" else PLAIN
        logits = logits_of(classifier(found.model), views, rows)
        scores = scored(logits, manifest, rows, scaling)
        stored = json.loads((run_dir / "metrics.json").read_text())[split]
        for name, value in scores.result().items():
            assert value == pytest.approx(stored[name], abs=1e-6), name


def test_a_resumed_run_has_the_same_bits(run_dir, monkeypatch, tmp_path):
    class Interrupted(Exception):  # noqa: N818
        pass

    save, count = train.Trainer.save, []

    def broken(self):
        save(self)
        count.append(1)
        if len(count) == 5:
            raise Interrupted

    words = (*WORDS, "optimizer.ema=0.9", "save_every=1steps", "epochs=3", "batch_size=10")
    values = checked("train", f"run_dir={tmp_path / 'run'}", "data.images_per_class=8", *words)
    monkeypatch.setattr(train.Trainer, "save", broken)
    with pytest.raises(Interrupted):
        train.run(values)
    monkeypatch.setattr(train.Trainer, "save", save)
    assert train.run(checked("train", f"resume={tmp_path / 'run'}")) == 0
    same_weights(run_dir, tmp_path / "run")


def test_the_frozen_part_ends_before_the_first_factors():
    words = (*WORDS, "data.images_per_class=8", "finetune.targets=['tiny_block4_conv']")
    plan = planned(train_job(config("train", *words)))
    (phase,) = plan.phases
    split = phase.cut
    assert any("block3" in v.path for v in split.prefix.variables)
    assert not any("block4" in v.path for v in split.prefix.variables)
    assert any("block4_conv/lora_kernel_b" in v.path for v in split.suffix.variables)


MIRRORED = """
import sys
from tlcli.commands import train
from tlcli.config import compose
from tlcli.config.checking import check_request
for device in ("mirrored", "cpu"):
    words = [*sys.argv[1:], f"hardware={device}", f"run_dir={device}"]
    train.run(check_request(compose.read("train", words)))
"""


@pytest.mark.slow
@pytest.mark.long
def test_two_devices_give_the_weights_of_one(tmp_path):
    words = (*WORDS, "optimizer=sgd", "data.images_per_class=16", "batch_size=16", "epochs=2")
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, *words], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    same_weights(tmp_path / "mirrored", tmp_path / "cpu", atol=1e-5)
