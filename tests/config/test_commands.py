"""The table of commands: each has its module, its settings and its YAML."""

import importlib

import pytest

from tlcli.config import registry, settings
from tlcli.config.commands import COMMANDS


@pytest.mark.parametrize("word", COMMANDS)
def test_what_a_command_names_is_there(word):
    command = COMMANDS[word]
    module = importlib.import_module(f"tlcli.commands.{command.module}")
    assert callable(module.run)
    if command.settings:
        assert hasattr(settings, command.settings)
    if command.config:
        text = (registry.config_root() / f"{command.config}.yaml").read_text()
        assert ("- train\n" in text or word == "train") == command.trains
    assert command.example.startswith(f"tl {word}")
