import pytest

from tlcli.config import registry
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, nearest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("kd", r"^distillation: got 'kd'. Give an option: distillation=NAME\."),
        ({"temperature": 1}, r"^distillation\.name: no value"),
        ({"name": "os"}, r"^distillation\.name: no distillation is called 'os'"),
        ({"name": "_common"}, "no distillation is called '_common'"),
        ({"name": "../errors"}, "no distillation is called"),
        ({"name": "kdd"}, r"Did you mean kd\?"),
        ({"name": 3}, "no distillation is called 3"),
    ],
)
def test_only_modules_of_the_group_can_be_named(values, message):
    with pytest.raises(ConfigError, match=message):
        registry.build("distillation", values)


def test_the_nearest_word_or_the_choices_are_offered():
    assert nearest("tinny", ["tiny", "vgg16"]) == "Did you mean tiny?"
    assert nearest("q", ["b", "a"]) == "Choose one of a, b."
    assert nearest("q", []) == "There is nothing to choose from."


def test_every_group_has_options():
    for group in GROUPS:
        assert registry.names(group), group
