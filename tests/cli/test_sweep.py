"""Sweeps: every job is checked before the first begins."""

import pytest

from tlcli.cli import sweep
from tlcli.config import compose
from tlcli.errors import ConfigError


def test_every_job_of_a_sweep_is_checked_before_the_first():
    request = compose.read("train", ["-m", "epochs=1,2", "optimizer.learning_rate=0.1,-1"])
    started = []
    with pytest.raises(ConfigError, match=r"learning_rate: got -1.*in the job .*epochs=1"):
        sweep.run(request, lambda job: started.append(job) or 0)
    assert not started
