import shlex

import pytest

from tests.helpers.words import config
from tlcli.config.differences import command, differences, option_of


def test_defaults_differ_in_nothing():
    assert differences(config("train")) == []
    assert command(config("train")) == "tl train"


def test_the_command_makes_the_same_configuration():
    words = ("epochs=3", "augmentation=standard", "augmentation.mixup=0.2", "head=mlp", "seed=4",
             "data=folder", "data.path=/some where")  # fmt: skip
    given = config("train", *words)
    again = shlex.split(command(given))
    assert again[:2] == ["tl", "train"]
    assert config("train", *again[2:]) == given


@pytest.mark.parametrize("option", ["mobilenet", "resnet50", "tiny", "efficientnet_v2_b0"])
def test_a_network_is_told_by_its_file_and_not_by_the_module_that_many_share(option):
    given = config("train", f"backbone={option}", "auto=true")
    assert option_of("backbone", given["backbone"]) == (option, {})
    assert config("train", *shlex.split(command(given))[2:]) == given | {"auto": False}


def test_an_option_whose_package_is_gone_keeps_its_name_and_values():
    values = {"name": "far_away", "depth": 3}
    assert option_of("backbone", values) == ("far_away", {"depth": 3})
