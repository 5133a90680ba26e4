import pytest

from tests.helpers.trainings import planned
from tests.helpers.words import config
from tlcli.config.job import train_job


@pytest.fixture(scope="session")
def small_plan(tmp_path_factory):
    """The plan of a probe on few digits; nothing is trained."""
    words = ("data.images_per_class=8", "batch_size=10", "finetune=linear_probe", "cache=ram")
    cache = tmp_path_factory.mktemp("cache")
    return planned(train_job(config("train", "hardware=cpu", *words, f"cache_dir={cache}")))
