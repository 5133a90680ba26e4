"""Jobs with nothing left to choose."""

from pathlib import Path

from tests.helpers.words import checked
from tlcli.commands import settled
from tlcli.config import chain


def stages(folder, *words):
    given = checked("train", "distillation=kd", "teacher=recipe", "hardware=cpu", *words)
    return chain.stages(given.job.config, Path(folder))[0]


def test_a_teachers_batch_is_chosen_for_itself(tmp_path):
    (teacher,) = stages(tmp_path, "teacher.overrides={batch_size: auto}", "batch_size=8")
    assert settled.job_of(teacher).settings.batch_size in {2**n for n in range(3, 9)}


def test_a_teachers_recipe_may_leave_the_choice_to_the_program(tmp_path):
    (teacher,) = stages(tmp_path, "teacher.overrides={auto: true, epochs: 3}")
    job = settled.job_of(teacher)
    assert job.reasons["epochs"] == "as you typed"
    assert "optimizer.learning_rate" in job.reasons
    assert job.settings.epochs == 3
