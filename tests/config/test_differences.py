from tests.helpers.words import config
from tlcli.config.differences import command, differences


def test_defaults_differ_in_nothing():
    assert differences(config("train")) == []
    assert command(config("train")) == "tl train"


def test_the_command_makes_the_same_configuration():
    words = ("epochs=3", "augmentation=standard", "augmentation.mixup=0.2", "head=mlp", "seed=4",
             "data=folder", "data.path=/some where")  # fmt: skip
    given = config("train", *words)
    import shlex

    again = shlex.split(command(given))
    assert again[:2] == ["tl", "train"]
    assert config("train", *again[2:]) == given
