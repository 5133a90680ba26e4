"""A training whose configuration was checked."""

from tests.helpers.words import checked, config
from tlcli.config.job import TrainJob, train_job
from tlcli.config.settings import FindLr


def test_tl_train_is_given_a_training_with_its_settings():
    words = ("epochs=3", "optimizer=sgd", "optimizer.momentum=0.5")
    given = checked("train", *words)
    assert given.job == train_job(config("train", *words))
    assert given.settings is given.job.settings
    assert given.settings.epochs == 3
    assert given.typed == ("optimizer", "epochs", "optimizer.momentum")


def test_keys_beside_a_training_are_apart_from_it():
    given = checked("find-lr", "steps=20", "epochs=3")
    assert isinstance(given.settings, FindLr)
    assert isinstance(given.job, TrainJob)
    assert (given.settings.steps, given.job.settings.epochs) == (20, 3)
    assert "steps" not in given.job.config
