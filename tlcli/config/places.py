"""Where a run was started: what it was given by a relative path is found from elsewhere too."""

import os
from collections.abc import Mapping
from typing import Any

# Of config.json alone: no key of a training.
STARTED = "started_in"
_PATHS = (
    "path", "image_root", "weights", "run", "runs", "file", "preset", "unlabelled", "ids", "config",
    "exclude", "relabel",
)  # fmt: skip


def placed(config: Mapping[str, Any], started: object) -> dict[str, Any]:
    """A stored configuration whose relative paths lead to where they led when it was begun.

    A path that leads somewhere from here stays as it is: the data may have moved with the run.

    Args:
        config: Plain values.
        started: Folder that the run was started in, absolute; anything else where it is not told.
    """
    if not isinstance(started, str) or not os.path.isabs(started):
        return dict(config)
    folder: str = started

    def moved(key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {inner: moved(str(inner), one) for inner, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [moved(key, one) for one in value]
        if key in _PATHS and isinstance(value, str) and _only_there(value, folder):
            return os.path.join(folder, value)
        return value

    return {key: moved(key, value) for key, value in config.items()}


def _only_there(path: str, started: str) -> bool:
    if not path or "\0" in path or path.startswith(("~", os.sep)) or os.path.lexists(path):
        return False
    return os.path.lexists(os.path.join(started, path))
