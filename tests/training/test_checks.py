"""Options that contradict each other or the data are refused with a reason and a remedy."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN
from tlcli.errors import ConfigError
from tlcli.training.checks import check_data


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    job = train_job(config("train", "data.images_per_class=4"))
    return job.data.manifest(0, tmp_path_factory.mktemp("cache"))


def several(manifest):
    """The same pictures, each with a set of labels."""
    labels = np.eye(len(manifest.class_names), dtype=np.uint8)[manifest.labels]
    return replace(manifest, labels=labels)


def without_validation(manifest):
    return replace(manifest, splits=np.full_like(manifest.splits, TRAIN))


def same(manifest):
    return manifest


BCE = "loss=bce"
CASES = [
    (same, ["loss=asymmetric"], "loss: is for several labels an image", "loss=cross_entropy"),
    (same, ["monitor=mean_average_precision"], "monitor: ", "Give accuracy"),
    (several, [], "loss: is for one label an image", "Give loss=bce or asymmetric"),
    (several, ["loss=class_balanced"], "loss: is for one label an image", "Give loss=bce"),
    (several, ["loss=logit_adjusted"], "loss: is for one label an image", "Give loss=bce"),
    (several, ["loss=focal"], "loss: is for one label an image", "Give loss=bce"),
    (several, [BCE, "sampler=balanced"], "sampler: several labels", "Give uniform"),
    (several, [BCE, "augmentation=standard", "augmentation.cutmix=1"], "augmentation.cutmix: ",
     "or augmentation.cutmix_multi_label=true"),
    (without_validation, ["schedule=plateau"], "schedule: plateau watches validation",
     "or another schedule"),
    (without_validation, ["early_stopping=3"],
     "early_stopping: there is no labelled validation image", "or early_stopping=null"),
    (without_validation, ["conformal=0.9"],
     "conformal: there is no labelled validation image", "or conformal=null"),
    (several, [BCE, "conformal=0.9"], "conformal: is for one label", "Give conformal=null"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "words", "reason", "remedy"), CASES)
def test_data_that_an_option_does_not_fit_is_refused(manifest, data, words, reason, remedy):
    job = train_job(config("train", *words))
    with pytest.raises(ConfigError) as caught:
        check_data(job, data(manifest))
    assert str(caught.value).startswith(reason)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (several, [BCE]),
        (several, ["loss=focal", "loss.kind=sigmoid"]),
        (several, [BCE, "augmentation=standard", "augmentation.mixup=0.2"]),
        (
            several,
            [
                BCE,
                "augmentation=strong",
                "augmentation.cutmix=1",
                "augmentation.cutmix_multi_label=true",
            ],
        ),
        (same, ["sampler=balanced", "schedule=plateau", "early_stopping=3"]),
        (same, ["loss=class_balanced", "augmentation=strong"]),
        (without_validation, ["schedule=cosine"]),
    ],
)
def test_what_fits_is_taken(manifest, data, words):
    check_data(train_job(config("train", *words)), data(manifest))


@pytest.mark.parametrize(
    ("words", "reason", "remedy"),
    [
        (["distillation=kd"], "teacher: ", "or distillation=none"),
        (["control=true"], "control: ", "Give control=false"),
        (["loss=focal", "loss.balance=0.25"], "loss.balance: ", "loss.kind=sigmoid"),
        (["loss=focal", "+loss.label_smoothing=0.1"], "loss.label_smoothing: focal has no such",
         ""),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_refused(words, reason, remedy):
    with pytest.raises(ConfigError) as caught:
        train_job(config("train", *words))
    assert str(caught.value).startswith(reason)
    assert remedy in caught.value.remedy
