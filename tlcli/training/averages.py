"""Averages of the weights, and the weights that are evaluated and kept."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from tlcli.contracts.distillation import Average
from tlcli.training.rates import evaluation_weights
from tlcli.training.variables import make_variable


class Averages:
    """Moving and equal averages of what changes in a phase.

    Attributes:
        variables: All student's variables that change, batch statistics included.
        ema: Their exponential moving averages, moved by the step; empty without.
        swa: Their equal averages (Izmailov et al. 2018, arXiv:1803.05407), arrays; empty so far.
    """

    def __init__(self, option: Any, variables: list[Any], total_steps: int) -> None:
        self.variables = variables
        self.ema = [make_variable(v.numpy(), f"ema_{i}") for i, v in enumerate(variables)] if (
            option.ema is not None) else []  # fmt: skip
        self.swa: list[Any] = []
        self._start = None if option.swa is None else option.swa * total_steps

    def equal_from(self, step: int) -> bool:
        """Whether an epoch that ends at a step counts for the equal average."""
        return self._start is not None and step >= self._start

    def take(self, number: int) -> None:
        """Take the weights as the `number`th, from 1, into their equal average."""
        values = [np.asarray(v.numpy(), np.float32) for v in self.variables]
        if not self.swa:
            self.swa = values
        else:
            self.swa = [a + (v - a) / number for a, v in zip(self.swa, values, strict=True)]

    def in_use(
        self, average: Average | None, optimizer: Any, trained: list[Any]
    ) -> AbstractContextManager[None]:
        """A context in which the model holds the weights that are evaluated and kept.

        Args:
            average: The method's copy of the student that follows it, or None.
            optimizer: Of the phase; some evaluate other weights than they train.
            trained: Its variables.
        """
        if self.ema:
            return swapped(self.variables, [e.numpy() for e in self.ema])
        if self.swa:
            return swapped(self.variables, self.swa)
        if average is not None and average.keep:
            mine, theirs = zip(*average.pairs, strict=True)
            return swapped(list(theirs), [v.numpy() for v in mine])
        free = evaluation_weights(optimizer)
        if free is not None:
            return swapped(trained, [np.asarray(w) for w in free])
        return swapped([], [])


@contextmanager
def swapped(variables: list[Any], values: list[Any]) -> Iterator[None]:
    """Other values in some variables for a while."""
    kept = [v.numpy() for v in variables]
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    try:
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)
