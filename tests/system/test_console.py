"""The log of a run."""

import os

import pytest

from tlcli.system import console


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_costs_the_log_and_not_the_terminal(capsys):
    console.start_log("/dev/full")
    console.say("one line")
    console.stop_log()
    assert capsys.readouterr().err == "one line\n"
