from types import SimpleNamespace

from tlcli.commands import listing
from tlcli.config.registry import config_files
from tlcli.config.settings import Listing


def test_each_option_has_a_line_with_its_first_comment(capsys):
    assert listing.run(SimpleNamespace(settings=Listing(("schedule",)))) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "schedule"
    assert [line.split()[0] for line in lines[1:]] == list(config_files("schedule"))
    assert all(len(line.split()) > 2 for line in lines[1:])


def test_without_a_word_every_group_is_listed(capsys):
    assert listing.run(SimpleNamespace(settings=Listing(()))) == 0
    heads = [x for x in capsys.readouterr().out.splitlines() if not x.startswith(" ")]
    assert {"data", "backbone", "teacher", "experiment"} <= set(heads)
