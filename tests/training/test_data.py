"""The data of a training, with photos that have no labels."""

import pytest

from tests.helpers.teachers import configure
from tlcli.config.job import train_job
from tlcli.errors import ConfigError, DataError
from tlcli.training.data import data_of

PHOTOS = ["data=photos", "data.path={photos}"]

TAUGHT = ["teacher=run", "teacher.path={teacher}", "distillation=kd"]

FREE = "distillation.hard_weight=0"

REFUSED = [
    (["unlabelled={photos}", "data.images_per_class=8", "sampler=balanced"],
     "sampler: 60 of 100 training images have no class. Give uniform"),
    (["unlabelled=/nowhere"], "unlabelled: /nowhere: there is no such folder"),
    ([*PHOTOS, *TAUGHT], "hard_weight: got 0.1, and no training image has a label. Give 0[.]"),
    (PHOTOS, "data.class_names: the photos have no classes, and teacher=none does not tell any"),
    ([*PHOTOS, "data.class_names=[a,b]"], "distillation: no training image has a label"),
    ([*PHOTOS, *TAUGHT, FREE, "early_stopping=2"], "there is no labelled validation image"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_data_that_need_labels_are_refused(photos, teacher, tmp_path, words, message):
    words = [word.format(photos=photos, teacher=teacher) for word in words]
    with pytest.raises(ConfigError, match=message):
        data_of(train_job(configure(*words, f"cache_dir={tmp_path}")))


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(DataError, match=r"has no pictures. Give a folder of photos"):
        data_of(train_job(configure(f"unlabelled={tmp_path}")))
