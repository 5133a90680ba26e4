"""How well a score tells strangers from others: AUROC, and strangers missed at 95 % of the others.

The interval of the AUROC is that of DeLong et al. (1988); of the share, Wilson's, which takes the
threshold for known.
"""

import math
from typing import Any

import numpy as np

from tlcli.evaluation.intervals import wilson

INSIDE = 0.95
Z95 = 1.959964


def figures(inside: Any, outside: Any) -> dict[str, float]:
    """`ood_auroc` and `ood_fpr95` with the ends of their intervals, and the number of strangers.

    Args:
        inside: Scores of known images, float (images,).
        outside: Those of strangers, which should be higher, float (images,).
    """
    value, error = auroc(inside, outside)
    # The lowest score that 95 % of the known images do not exceed.
    threshold = np.sort(inside)[math.ceil(INSIDE * len(inside) - 1e-9) - 1]
    missed = int((outside <= threshold).sum())
    low, high = wilson(missed, len(outside))
    return {
        "ood_auroc": value, "ood_auroc_low": max(0.0, value - Z95 * error),
        "ood_auroc_high": min(1.0, value + Z95 * error), "ood_fpr95": missed / len(outside),
        "ood_fpr95_low": float(low), "ood_fpr95_high": float(high), "ood_samples": len(outside),
    }  # fmt: skip


def auroc(inside: Any, outside: Any) -> tuple[float, float]:
    """Chance that a stranger has the higher score, ties half, and its standard error."""
    above, below = _shares_below(outside, inside), 1 - _shares_below(inside, outside)
    spread = sum(float(one.var(ddof=1)) / len(one) for one in (above, below) if len(one) > 1)
    return float(above.mean()), math.sqrt(spread)


def _shares_below(values: Any, others: Any) -> Any:
    """Share of the others that lie below each value, ties half."""
    ordered = np.sort(others)
    sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    return (sides[0] + sides[1]) / (2 * len(ordered))
