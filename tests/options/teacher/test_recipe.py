"""A teacher that is yet to be trained."""

import pytest

from tests.helpers.trainings import planned
from tests.helpers.words import checked
from tlcli.config import registry
from tlcli.errors import ConfigError

WORDS = ("data.images_per_class=8", "batch_size=16", "distillation=kd", "teacher=recipe",
         "teacher.overrides.epochs=1")  # fmt: skip


def test_what_needs_a_trained_teacher_says_so():
    with pytest.raises(ConfigError, match=r"trained first by tl train.*teacher\.path=RUN/teacher"):
        planned(checked("train", *WORDS).job)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("minimum_accuracy", 2, r"teacher\.minimum_accuracy: got 2"),
        ("cache_mass", 1.0, r"teacher\.cache_mass: got 1"),
        ("overrides", {}, r"teacher\.config: no value"),
        ("content", 3, r"teacher\.content: got 3"),
    ],
)
def test_values_out_of_range_are_refused(key, value, message):
    given = {**registry.defaults("teacher", "recipe"), "overrides": {"epochs": 1}, key: value}
    with pytest.raises(ConfigError, match=message):
        registry.build("teacher", given)
