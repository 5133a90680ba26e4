"""Trained teachers and short trainings on the shipped digits."""

import json

import pytest

from tlcli.commands import train
from tlcli.config import compose
from tlcli.config.job import train_job


@pytest.fixture(scope="session")
def configure():
    """A function of `key=value` words that gives a composed training configuration."""

    def made(*words):
        return compose.plain(compose.read("train", list(words)))

    return made


@pytest.fixture(scope="session")
def fit(configure):
    """A function that trains and gives the folder of the run."""

    def made(folder, *words, **keys):
        config = {**configure("hardware=cpu", "batch_size=64", *words), **keys}
        train.train(train_job({**config, "run_dir": str(folder)}), folder)
        return folder

    return made


@pytest.fixture(scope="session")
def teacher(fit, tmp_path_factory):
    """A run that knows the digits 5 to 9 well."""
    folder = tmp_path_factory.mktemp("teachers") / "tiny"
    return fit(
        folder, "epochs=8", f"cache_dir={folder.parent}/cache", "optimizer.learning_rate=0.003"
    )


@pytest.fixture(scope="session")
def metadata():
    """A function of a run's folder that gives its metadata."""
    return lambda folder: json.loads((folder / "metadata.json").read_text())
