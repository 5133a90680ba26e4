"""The training that a stored configuration describes, wherever it is gone on with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tlcli.config.job import TrainJob, train_job
from tlcli.config.places import placed


def found_again(config: Mapping[str, Any], started: str | None) -> TrainJob:
    """The job of a stored configuration, which stays as it is where its paths are found elsewhere.

    Args:
        config: Plain values, in today's form.
        started: Folder that the run was started in, or None.

    Raises:
        ConfigError: See `train_job`.
    """
    found = placed(config, started)
    job = train_job(found)
    kept = {key: config[key] for key in config if found[key] != config[key]}
    return replace(job, config={**job.config, **kept}) if kept else job
