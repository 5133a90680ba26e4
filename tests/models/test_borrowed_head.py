"""A teacher's head behind a projector, and the facts that it is rebuilt from."""

import keras
import pytest

from tlcli.config import registry
from tlcli.errors import ConfigError
from tlcli.models.borrowed_head import PROJECTED, from_facts

FACTS = {
    "head": registry.defaults("head", "linear"), "classes": 5, "places": [3, 0], "channels": 8,
    "factor": 2, "activation": "relu",
}  # fmt: skip


def test_the_students_map_is_projected_to_the_teachers():
    maps = keras.Input((4, 4, 6))
    embedding, logits = from_facts(FACTS).build(maps, 2)
    model = keras.Model(maps, [embedding, logits])
    assert model.get_layer(PROJECTED).output.shape == (None, 4, 4, 8)
    assert (embedding.shape, logits.shape) == ((None, 8), (None, 2))


def test_vectors_cannot_be_projected():
    with pytest.raises(ConfigError, match="simkd projects maps"):
        from_facts(FACTS).build(keras.Input((6,)), 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 0}, r"^head\.channels: got 0"),
        ({"places": [5]}, r"^head\.places: got \[5\]"),
        ({"activation": "exec"}, r"^head\.activation: "),
        ({"more": 1}, "more"),
    ],
)
def test_other_facts_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        from_facts({**FACTS, **change})
