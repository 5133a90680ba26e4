"""The largest number that each key may have: beyond it nothing is meant, and a machine would hang.

A key that is not listed goes up to 2,147,483,647. Narrower ranges stand in each option's class.
"""

import math
from typing import Any

from tlcli.errors import ConfigError

MOST: dict[str, float] = {
    "accumulation_steps": 65_536,
    "alpha": 1024,
    "batch_size": 65_536,
    "bottleneck": 65_536,
    "cache_classes": 1_000_000,
    "cycles": 100_000,
    "default_image_size": 4096,
    "embedding_size": 65_536,
    "epochs": 1_000_000,
    "grace": 1_000_000,
    "hidden": 65_536,
    "image_size": 4096,
    "images": 1_000_000,
    "last_blocks": 100_000,
    "learning_rate": 1_000_000,
    "logical_devices": 256,
    "max_pixels": 1_000_000_000,
    "middle_channels": 65_536,
    "negatives": 10_000_000,
    "ns_steps": 100,
    "num_features": 1_000_000,
    "num_heads": 65_536,
    "num_ops": 100,
    "rank": 65_536,
    "restarts": 1_000_000,
    "rounds": 100_000,
    "samples": 1_000_000_000,
    "shard_size": 1_000_000,
    "shrink": 16_384,
    "stages": 10_000,
    "steps": 1_000_000_000,
    "threads": 4096,
    "timeout": 10_000_000,
    "top": 1_000_000,
    "views": 1_000_000,
    "warmup_epochs": 1_000_000,
    "workers": 4096,
}
USUAL = 2**31 - 1


def check_number(value: float, where: str) -> None:
    """Refuse a number beyond what its key can mean.

    Args:
        value: Any number.
        where: Its dotted place, perhaps with an index.

    Raises:
        ConfigError: It is too large, or not finite.
    """
    key = where.rpartition(".")[2].partition("[")[0]
    most = MOST.get(key, USUAL)
    if not (-USUAL <= value <= most):
        bound = f"{most:,.0f} at most" if value > 0 or math.isnan(value) else f"{-USUAL} or more"
        raise ConfigError(where, f"got {shown(value)}", f"Give {bound.replace(',', '')}.")


def shown(value: Any) -> str:
    """A number in a few characters, however long it is."""
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 24 else f"a number of {len(text)} digits"
