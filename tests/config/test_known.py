"""What is said of words that are no keys of a command."""

import pytest

from tlcli.config import known
from tlcli.errors import ConfigError


def told(action, *given):
    """The message of a refusal."""
    with pytest.raises(ConfigError) as caught:
        action(*given)
    return str(caught.value)


def test_a_command_that_trains_has_the_keys_of_a_training_and_its_own():
    assert {"epochs", "optimizer", "rounds"} <= known.keys_of("bench")
    assert "epochs" not in known.keys_of("predict")
    assert {"checkpoint", "data"} <= known.keys_of("eval")


def test_a_key_of_several_groups_is_named_in_each():
    assert known.places_of("learning_rate") == ("optimizer.learning_rate",)
    assert "distillation.temperature" in known.places_of("temperature")
    assert known.places_of("no_such_key") == ()


@pytest.mark.parametrize(
    ("item", "pair"),
    [("epochs=3", ("epochs", "3")), ("a.b=c=d", ("a.b", "c=d")), ("~head", ("~head", ""))],
)
def test_key_and_value_are_parted_at_the_first_sign(item, pair):
    assert known.check_pair("train", item) == pair


@pytest.mark.parametrize("item", ["epochs: 3", "epochs==3", "--epochs 3", "--epochs=3"])
def test_other_forms_of_a_known_key_are_answered_with_ours(item):
    assert "Write epochs=3, without spaces." in told(known.check_pair, "train", item)


def test_a_bare_leaf_is_named_with_its_group():
    message = told(known.check_typed, "train", {"learning_rate": "0.1"})
    assert "optimizer.learning_rate=0.1" in message


def test_a_group_that_is_given_nothing_is_told_its_none():
    assert "Write augmentation=none." in told(known.check_typed, "train", {"augmentation": "null"})
    known.check_typed("train", {"augmentation": "none", "epochs": "3"})


def test_keys_of_hydra_are_not_ours_to_judge():
    known.check_typed("train", {"hydra/launcher": "joblib", "hydra.launcher.n_jobs": "2"})
