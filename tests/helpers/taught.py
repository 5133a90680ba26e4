"""Trainings of a random tiny student by a teacher."""

from tests.helpers.teachers import configure
from tests.helpers.trainings import phase_of, planned
from tlcli.config.job import train_job


def taught(teacher, cache, *words):
    """The plan of a training by a run, with some more words."""
    return planned(
        train_job(
            configure(
                "hardware=cpu", "batch_size=16", "data.images_per_class=16", "epochs=1",
                "finetune=full", "backbone.weights=none", "distillation=kd", "teacher=run",
                f"teacher.path={teacher}", f"cache_dir={cache}", *words,
            )
        )
    )  # fmt: skip


def weights_after(plan, steps):
    """Student's weights after some steps of the first phase, their figures, and the phase."""
    phase = phase_of(plan)
    figures = phase.feed(0, steps)
    return [v.numpy() for v in plan.lesson.student.model.variables], figures, phase
