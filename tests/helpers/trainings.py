"""Trainings taken apart: their plan, and one of their phases ready for its steps."""

from tlcli.distill.attach import attach
from tlcli.training import plan as plans
from tlcli.training.build import pieces_of
from tlcli.training.phase import STREAMED_PER_CALL, PhaseTraining


def planned(job):
    """The plan of a checked job."""
    pieces = pieces_of(job)
    return plans.made(pieces, attach(pieces))


def phase_of(plan, index=0):
    """A phase of a plan, ready for its steps."""
    return PhaseTraining(plan.pieces, plan.lesson, plan.phases[index])


def streams(phase):
    """Whether a phase of one worker gathers its batches while steps run; else they are tables."""
    return phase.steps_per_call == STREAMED_PER_CALL
