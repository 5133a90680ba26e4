"""The tensor that explanations read is the deepest with places, of every network."""

import keras
import numpy as np
import pytest

from tests.helpers.marks import cases
from tlcli.config import registry
from tlcli.config.published import networks
from tlcli.data.resize import Resize
from tlcli.evaluation.explain import Explainer
from tlcli.models.borrowed_head import Borrowed
from tlcli.models.graph.last_map import last_place
from tlcli.models.student import build_student

NAMES = sorted({one.name for one in networks()})
# One of each family; the others take minutes to build and differ in width and depth alone.
FAMILIES = ("tiny", "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0",
            "efficientnet_v2_b0", "convnext_tiny", "inception_v3", "xception", "resnet50",
            "vgg16")  # fmt: skip


def network(name, side=None, head="linear", **values):
    given = {**registry.defaults("backbone", name), "weights": "none", **values}
    backbone = registry.build("backbone", given)
    if not isinstance(head, Borrowed):
        head = registry.build("head", registry.defaults("head", head))
    size = side or backbone.default_image_size
    return build_student(backbone, head, 4, Resize(size, "crop", 1.0, True)).model


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_map_that_leads_to_the_same_logits(name):
    model = network(name, 96)
    place = last_place(model)
    assert place.is_map
    assert 3 <= place.shape[0] == place.shape[1] <= 12
    images = np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), np.uint8)
    features, logits = place.model(images)
    assert tuple(features.shape[1:]) == place.shape
    np.testing.assert_allclose(logits, model(images), atol=1e-4)


@pytest.mark.parametrize("name", cases(NAMES, slow=("convnext_tiny",)))
def test_every_published_network_has_a_map(name):
    place = last_place(network(name))
    assert place.is_map
    assert min(place.shape[:2]) >= 5


def test_a_cut_network_is_read_where_it_is_cut():
    assert last_place(network("tiny", output_layer="tiny_block2")).path == "tiny_block2"


@pytest.mark.parametrize("head", ["linear", "mlp", "cosine", "attention", "kernel"])
def test_heads_of_every_kind_leave_the_map(head):
    assert last_place(network("tiny", head=head)).path == "tiny_block4"


def test_a_borrowed_head_is_read_behind_its_projector():
    linear = registry.build("head", registry.defaults("head", "linear"))
    borrowed = Borrowed(linear, 6, (0, 2, 3, 5), 32, 2, "relu")
    assert last_place(network("tiny", head=borrowed)).path == "head_projected"


def test_a_map_of_few_places_gives_way_to_one_further_up():
    # 64 pixels become 2 x 2 at the end of a MobileNet, and 4 x 4 before.
    assert last_place(network("mobilenet", 64)).shape == (4, 4, 512)


def test_tokens_are_found_and_no_place_is_told():
    images = keras.Input((8, 8, 3), dtype="uint8")
    patches = keras.layers.Conv2D(6, 4, 4)(keras.layers.Rescaling(1.0)(images))
    tokens = keras.layers.Dense(6, name="last")(keras.layers.Reshape((4, 6))(patches))
    pooled = keras.layers.GlobalAveragePooling1D()(tokens)
    place = last_place(keras.Model(images, keras.layers.Dense(2)(pooled)))
    assert (place.path, place.shape, place.is_map) == ("last", (4, 6), False)
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(images))
    assert last_place(keras.Model(images, keras.layers.Dense(2)(flat))) is None


def test_a_transformer_of_keras_hub_is_read_at_its_tokens(tmp_path):
    import keras_hub

    made = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    made.save_to_preset(str(tmp_path / "vit"))
    model = network("hub", 32, preset=str(tmp_path / "vit"), preprocessing="tf")
    explainer = Explainer.of(model)
    assert explainer.place.shape == (17, 16)  # 4 x 4 places and the token of the class
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    keras.utils.set_random_seed(0)
    model.get_layer("head_logits").kernel.assign(np.random.default_rng(1).normal(size=(16, 4)))
    heat = explainer.heat(images, [0, 1, 2])
    assert heat.shape == (3, 32, 32)
    assert np.isfinite(heat).all()
    assert heat.max() == 1
