import pytest

from tlcli.cli.help import command_help, usage
from tlcli.config.commands import COMMANDS
from tlcli.contracts import GROUPS


def test_every_command_is_named_with_its_help():
    text = usage()
    for word, command in COMMANDS.items():
        assert f"  {word:<14}{command.help}" in text


@pytest.mark.parametrize("word", COMMANDS)
def test_a_commands_help_lists_its_keys(word):
    text = command_help(word)
    assert COMMANDS[word].example in text
    if COMMANDS[word].trains:
        assert all(f"  {group} " in text for group in GROUPS)
    assert "tl train --help" in text or not (COMMANDS[word].trains and COMMANDS[word].settings)
