"""A signal asks a training to stop after its step; a second one stops it at once."""

import os
import signal
from pathlib import Path

import pytest

from tlcli.training.stopping import STOPPING, Stopped, StopRequest


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_is_heard_and_the_second_stops_at_once(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop
        assert stop.signal == number
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


def test_who_starts_trainings_again_knows_by_the_code():
    codes = [Stopped(3, Path("run"), number).exit_code for number in STOPPING]
    assert codes == [130, 76, 76]
    assert str(Stopped(3, Path("run"), signal.SIGINT)) == (
        "stopped at step 3. Go on with: tl train resume=run"
    )
