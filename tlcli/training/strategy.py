"""The phases of a fine-tuning strategy."""

import dataclasses

from tlcli.contracts.finetune import Phase
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.models import lora
from tlcli.models.student import block_names


def phases(pieces: Pieces, lesson: Lesson) -> tuple[Phase, ...]:
    """The phases of the training's strategy; those without length are left out.

    Low-rank factors that a phase needs are put into the student, before any state is read back.
    """
    job, model = pieces.job, lesson.student.model
    found = job.finetune.phases(block_names(model), job.settings.epochs)
    with pieces.strategy.scope():
        for phase in found:
            if phase.lora is not None:
                lora.attach(model, phase.lora, job.settings.seed)
    return tuple(without(phase, lesson.fixed) for phase in found if phase.epochs > 0)


def without(phase: Phase, layers: tuple[str, ...]) -> Phase:
    """The phase with some layers frozen."""
    rates = {name: rate for name, rate in phase.rates.items() if name not in layers}
    return dataclasses.replace(phase, rates=rates)
