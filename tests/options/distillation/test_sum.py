"""Several methods at once, and all YAML files of the group."""

import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf

from tests.helpers import methods
from tlcli.config import registry
from tlcli.contracts.distillation import NO_STATE, Batch, Shapes
from tlcli.errors import ConfigError

FOLDER = registry.config_root() / "distillation"


@pytest.fixture
def pair(rng):
    def one(channels):
        return {
            "logits": rng.normal(size=(3, 4)).astype("float32"),
            "features": [rng.normal(size=(3, 2, 2, channels)).astype("float32")],
        }

    return one(2), one(3)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_yaml_builds(path):
    values = OmegaConf.to_container(OmegaConf.load(path))
    assert next(iter(values)) == "name"
    method = registry.build("distillation", values)
    assert 0 <= method.hard_weight <= 1
    assert isinstance(method.needs, frozenset)


def test_every_module_has_a_yaml_and_every_line_a_comment():
    package = registry.PACKAGE / "options" / "distillation"
    stems = {p.stem for p in FOLDER.glob("*.yaml")}
    assert {p.stem for p in package.glob("[!_]*.py")} <= stems
    for path in FOLDER.glob("*.yaml"):
        for line in path.read_text().splitlines():
            assert "#" in line or line.startswith("name: "), (path.name, line)


def test_sum_adds_its_methods_with_their_weights(pair):
    student, teacher = map(methods.outputs, pair)
    parts = [{"name": "kd", "weight": 2.0, "temperature": 3.0}, "at"]
    both = methods.make("sum", methods=parts, soft_weight=0.5)
    kd = methods.make("kd", temperature=3.0, soft_weight=0.9)
    at = methods.make("at", soft_weight=1000.0)
    expected = 0.5 * (
        2.0 * kd.loss(Batch(None), student, teacher) + at.loss(Batch(None), student, teacher)
    )
    np.testing.assert_allclose(both.loss(Batch(None), student, teacher), expected, rtol=1e-5)
    assert both.needs == {"features"}


def test_sum_takes_a_mapping_too(pair):
    student, teacher = map(methods.outputs, pair)
    one = methods.make("sum", methods={"kd": {"weight": 2.0}, "sp": None})
    other = methods.make("sum", methods=[{"name": "kd", "weight": 2.0}, {"name": "sp"}])
    losses = [m.loss(Batch(None), student, teacher) for m in (one, other)]
    np.testing.assert_array_equal(*losses)


def test_sum_keeps_the_states_of_its_methods(pair):
    student, teacher = map(methods.outputs, pair)
    method = methods.make("sum", methods=["kd", "fitnet", "at", "ctkd"])
    state = method.state(methods.shapes(*pair))
    assert state.part(0) is None
    assert state.part(2) is None
    assert not method.replaces_head
    assert methods.make("sum", methods=["kd", "simkd"]).projector["factor"] == 2
    values = [v.value for v in state.trainable_variables]
    with tf.GradientTape() as tape:
        loss = method.loss(Batch(None, epoch=9.0), student, teacher, state)
    assert all(g is not None for g in tape.gradient(loss, values))
    assert methods.make("sum", methods=["kd", "at"]).state(methods.shapes(*pair)) is NO_STATE


def test_sum_moves_the_memories_of_its_methods(rng):
    method = methods.make("sum", methods=["kd", {"name": "crd", "negatives": 3}])
    assert method.needs == {"embedding", "indices"}
    shapes = Shapes(2, 4, 3, 3, labels=np.array([0, 1, 0, 1]))
    method.checked(shapes)
    state = method.state(shapes)
    bank = state.part(1).student_bank
    before = bank.numpy().copy()
    embedding = methods.outputs({"embedding": rng.normal(size=(2, 3)).astype("float32")})
    batch = Batch(None, indices=tf.constant([0, 3]), seed=tf.constant([1, 2]))
    method.update(batch, embedding, embedding, state)
    moved = np.abs(bank.numpy() - before).sum(1) > 0
    np.testing.assert_array_equal(moved, [True, False, False, True])


def test_sum_follows_the_schedules_of_its_methods(pair):
    student, teacher = map(methods.outputs, pair)
    method = methods.make("sum", methods=[{"name": "kd", "warmup_epochs": 4.0}])
    full = method.loss(Batch(None, epoch=tf.constant(4.0)), student, teacher)
    half = method.loss(Batch(None, epoch=tf.constant(2.0)), student, teacher)
    np.testing.assert_allclose(half, full / 2, rtol=1e-6)


def test_sum_of_teacher_free_methods_needs_no_teacher():
    assert not methods.make("sum", methods=["tf_kd"]).needs_teacher
    assert methods.make("sum", methods=["tf_kd", "kd"]).needs_teacher


def test_sum_refuses_what_a_part_refuses():
    with pytest.raises(ConfigError, match="dkd needs exclusive classes"):
        methods.make("sum", methods=["kd", "dkd"]).checked(Shapes(4, 9, multi_label=True))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], r"methods: got \(\)\. Give a list"),
        (["kdd"], r"methods\[0\]\.name: no distillation is called 'kdd'\. Did you mean kd\?"),
        (
            [{"name": "kd", "temprature": 2}],
            r"methods\[0\]\.temprature: .*Did you mean temperature",
        ),
        (["at", {"name": "kd", "temperature": -1}], r"methods\[1\]\.temperature: got -1"),
        ([{"name": "kd", "weight": "x"}], r"methods\[0\]\.weight: got 'x'"),
        ([{"name": "kd", "hard_weight": 1.0}], r"methods\[0\]\.hard_weight: belongs to the sum"),
        (["sum"], r"methods\[0\]\.name: belongs to the sum"),
        ([3], r"methods\[0\]: got 3"),
        ({"kd": 2.0}, r"methods\.kd: got 2\.0"),
    ],
)
def test_a_mistake_in_the_list_names_its_place(parts, message):
    with pytest.raises(ConfigError, match=rf"^distillation\.{message}"):
        methods.make("sum", methods=parts)
