"""Short trainings on the shipped digits by their words, and what they leave."""

import json

from tlcli.config import compose
from tlcli.config.job import train_job
from tlcli.runs.folder import claimed


def configure(*words):
    """The composed configuration of a training."""
    return compose.plain(compose.read("train", list(words)))


def fit(folder, *words, **keys):
    """Train; gives the folder of the run."""
    # Here and not above: tests without TensorFlow shall not wait for it.
    from tlcli.commands import train

    config = {**configure("hardware=cpu", "batch_size=64", *words), **keys}
    job = train_job({**config, "run_dir": str(folder)})
    with claimed(job, folder) as own:
        train.train(job, own)
    return folder


def metadata(folder):
    """The metadata of a run's folder."""
    return json.loads((folder / "metadata.json").read_text())
