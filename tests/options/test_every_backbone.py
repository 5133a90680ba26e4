"""Every backbone trains two steps: one of each family as a whole, the others under their heads."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.marks import cases
from tlcli.config import registry
from tlcli.data.resize import Resize
from tlcli.models.student import build_student, is_head
from tlcli.options.backbone.keras_applications import SMALLEST
from tlcli.training.rates import with_rates

NAMES = sorted(p.stem for p in (registry.config_root() / "backbone").glob("[!a]*.yaml"))
QUICK = ("hub", "mobilenet", "run", "tiny", "vgg16")
SLOW = ("convnext_tiny", "mobilenet_v3_small", "vit")
# The smallest of each family; a new option that stands in neither list is one of a family.
WHOLE = (*QUICK, "convnext_tiny", "densenet121", "dinov2", "efficientnet_b0",
         "efficientnet_v2_b0", "inception_v3", "mobilenet_v2", "mobilenet_v3_small",
         "nasnet_mobile", "resnet50", "resnet50_v2", "vit", "xception")  # fmt: skip


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Folders with the smallest vision transformers, by name of the option."""
    models = pytest.importorskip("keras_hub").models
    root = tmp_path_factory.mktemp("presets")
    sizes = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 16}
    vit = models.ViTBackbone(image_shape=(32, 32, 3), mlp_dim=32, **sizes)
    dino = models.DINOV2Backbone(
        image_shape=(32, 32, 3), position_embedding_shape=(32, 32, 3), intermediate_dim=32,
        use_mask_token=False, **sizes,
    )  # fmt: skip
    for name, made in {"vit": vit, "dinov2": dino}.items():
        made.save_to_preset(str(root / name))
    return {name: str(root / name) for name in ("vit", "dinov2")} | {"hub": str(root / "vit")}


def given(name, request):
    """What the option needs: no download, and files that fixtures made."""
    if name == "run":
        return {"run": str(request.getfixturevalue("digits_run"))}
    if registry.defaults("backbone", name)["name"] == "hub":
        preset = request.getfixturevalue("presets")[name]
        return {"preset": preset, "preprocessing": "tf"}
    return {"weights": "none"}


def side_of(values):
    return SMALLEST.get(values.get("constructor"), 32)


@pytest.mark.parametrize("name", cases(WHOLE, QUICK, SLOW))
def test_one_of_each_family_trains_as_a_whole(lab, request, name):
    values = lab.values("backbone", name, **given(name, request))
    pieces = lab.pieces(
        backbone=values, image_size=side_of(values), finetune="full", cache="off", batch_size=4,
        optimizer=lab.values(
                "optimizer", "sgd", momentum=0.0, learning_rate=1.0, clip_norm=None
            ),
    )  # fmt: skip
    with lab.eagerly():
        trainer, _ = lab.steps(pieces)
    assert len(trainer.variables) > 4


@pytest.mark.parametrize("name", cases([n for n in NAMES if n not in WHOLE]))
def test_the_others_train_the_head_on_their_features(lab, request, name):
    values = lab.values("backbone", name, **given(name, request))
    side = side_of(values)
    head = registry.build("head", lab.values("head", "linear", zero_init=False))
    backbone = registry.build("backbone", values)
    student = build_student(backbone, head, 3, Resize(side, "crop", 1.0, True)).model
    variables = [v for layer in student.layers if is_head(layer)
                 for v in layer.trainable_variables]  # fmt: skip
    sgd = with_rates(keras.optimizers.SGD(0.1), variables, [1.0] * len(variables), [0.0] * 2)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (3, side, side, 3)), tf.uint8)
    for step in range(2):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            logits = student(images, training=True)
            loss = tf.reduce_mean(-tf.linalg.diag_part(tf.nn.log_softmax(logits)))
        gradients = tape.gradient(loss, [v.value for v in variables])
        sgd.apply(gradients, variables)
        assert np.isfinite(loss)
        # Random deep networks give features so large that one step may already separate them, or
        # so small that a weight of size 1 does not see them.
        assert step or all(np.any(gradient) for gradient in gradients)
