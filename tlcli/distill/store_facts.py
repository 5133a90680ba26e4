"""What stored outputs depend on, compared with what a training has."""

from collections.abc import Mapping
from typing import Any

import numpy as np

PROBE = "probe"


def differences(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, in words; none where stored outputs are those of now.

    Args:
        stored: Facts of a store by name, as JSON has them.
        now: The same of a training.
    """
    return [_told(k, stored, now) for k in {**stored, **now} if not _same(k, stored, now)]


def _told(name: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = (str(facts.get(name)) for facts in (stored, now))
    short = len(old) + len(new) < 60 and name != PROBE
    return f"{name} ({old}, now {new})" if short else name.replace(PROBE, "graph")


def _same(name: str, stored: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    if name not in stored or name not in now:
        return False
    if name == PROBE:
        # Devices round differently; another graph on the same weights differs by far more.
        old, new = (np.asarray(facts[name], np.float64) for facts in (stored, now))
        return old.shape == new.shape and np.allclose(old, new, rtol=1e-2, atol=1e-2)
    return bool(stored[name] == now[name])
