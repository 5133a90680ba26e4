"""Student and teacher are brought together; a teacher that guesses is refused."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.helpers.words import config
from tlcli.config.job import train_job
from tlcli.contracts.data import VALIDATION
from tlcli.contracts.distillation import NO_STATE
from tlcli.distill.attach import accuracy_of, attach, known_logits, map_lines
from tlcli.errors import ConfigError
from tlcli.training.build import pieces_of


@pytest.fixture(scope="module")
def pieces():
    return pieces_of(train_job(config("train", "hardware=cpu", "data.images_per_class=8")))


def teacher(pieces, right=1.0):
    """A teacher that knows a share of the validation images."""

    def logits(views, rows):
        labels = pieces.manifest.labels[rows].copy()
        labels[int(right * len(rows)) :] += 1
        return np.eye(5, dtype=np.float32)[labels % 5]

    return SimpleNamespace(logits=logits, label="x", remedy="Give another.")


def test_without_a_teacher_the_student_is_as_it_was(pieces):
    lesson = attach(pieces)
    assert lesson.student is pieces.student
    assert lesson.state is NO_STATE
    assert lesson.teacher.built is None


def test_a_teacher_is_measured_on_validation_and_must_beat_chance(pieces):
    assert accuracy_of(pieces, teacher(pieces)) == (1.0, "validation accuracy")
    rows = pieces.manifest.labelled(VALIDATION)
    assert known_logits(pieces, teacher(pieces))[0] == "validation"
    assert len(known_logits(pieces, teacher(pieces))[1]) == len(rows)
    with pytest.raises(ConfigError, match=r"x has validation accuracy 0\.0000 .*chance is 0\.2"):
        accuracy_of(pieces, teacher(pieces, 0.0))


def test_a_wanted_accuracy_counts_instead_of_chance(pieces):
    option = SimpleNamespace(minimum_accuracy=0.9)
    asked = replace(pieces, job=replace(pieces.job, teacher=option))
    with pytest.raises(ConfigError, match=r"and 0\.9 was asked for"):
        accuracy_of(asked, teacher(pieces, 0.5))
    silent = SimpleNamespace(logits=lambda views, rows: None)
    assert accuracy_of(pieces, silent) is None
    with pytest.raises(ConfigError, match=r"^teacher\.minimum_accuracy: "):
        accuracy_of(asked, silent)


def test_compared_maps_are_told_in_pairs():
    shapes = SimpleNamespace(student_features=((8, 8, 4),), teacher_features=((4, 4, 2),) * 2)
    built = SimpleNamespace(taps=("t0", "t1"))
    (line,) = map_lines(("s0",), built, [(0, 1, "pooled")], shapes)
    assert line.split() == ["s0", "8x8x4,", "teacher's", "t1", "4x4x2:", "pooled"]
