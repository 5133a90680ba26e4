"""The phases of a fine-tuning strategy."""

import dataclasses

from tlcli.contracts.finetune import Phase
from tlcli.distill.pieces import Run
from tlcli.models import lora
from tlcli.models.student import block_names


def phases(run: Run) -> tuple[Phase, ...]:
    """The phases of the run's strategy; those without length are left out.

    Low-rank factors that a phase needs are put into the student, before any state is read back.
    """
    found = run.job.finetune.phases(block_names(run.student.model), run.job.settings.epochs)
    with run.strategy.scope():
        for phase in found:
            if phase.lora is not None:
                lora.attach(run.student.model, phase.lora, run.job.settings.seed)
    return tuple(without(phase, run.fixed) for phase in found if phase.epochs > 0)


def without(phase: Phase, layers: tuple[str, ...]) -> Phase:
    """The phase with some layers frozen."""
    rates = {name: rate for name, rate in phase.rates.items() if name not in layers}
    return dataclasses.replace(phase, rates=rates)
