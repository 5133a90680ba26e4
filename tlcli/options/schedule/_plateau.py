"""The rule of the plateau schedule, as a pure function of JSON-able states."""

import math
from typing import Protocol

from tlcli.contracts.schedule import State


class Rule(Protocol):
    """What `plateau_update` reads of the plateau schedule."""

    @property
    def factor(self) -> float:
        """Factor of a drop."""

    @property
    def patience(self) -> int:
        """Validations without a better value before a drop."""

    @property
    def min_delta(self) -> float:
        """How much lower a value must be to count as better."""

    @property
    def minimum(self) -> float:
        """Multiplier that the drops do not go below."""


def initial_state() -> State:
    """State before the first validation: no best value, full rate."""
    return {"best": None, "wait": 0, "factor": 1.0}


def plateau_update(rule: Rule, state: State, value: float) -> State:
    """State after one validation; the given one is left as it is.

    Args:
        rule: Factor, patience, min_delta and minimum.
        state: "best" value so far or None, "wait" validations since, "factor" of the rate.
        value: Of this validation, better when lower; not finite counts as no better.
    """
    best = state["best"]
    if math.isfinite(value) and (best is None or value < best - rule.min_delta):
        return {"best": float(value), "wait": 0, "factor": state["factor"]}
    wait = state["wait"] + 1
    if wait < rule.patience:
        return {"best": best, "wait": wait, "factor": state["factor"]}
    lower = max(state["factor"] * rule.factor, rule.minimum)
    return {"best": best, "wait": 0, "factor": lower}
