"""What makes two configurations the same."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tlcli.system import files


def config_hash(config: Mapping[str, Any], free: tuple[str, ...]) -> str:
    """SHA-256 of the keys of a configuration that decide the weights, hex."""
    kept = {k: v for k, v in config.items() if k not in free}
    text = json.dumps(kept, sort_keys=True, default=files.plain)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
