"""Modules that are imported at first use, so that options can be checked without TensorFlow.

`from tlcli.lazy import keras, np, ops, tf` costs nothing; the first attribute read imports.
"""

import importlib
from typing import Any


class _Lazy:
    """Stands for a module until one of its attributes is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


keras: Any = _Lazy("keras")
np: Any = _Lazy("numpy")
ops: Any = _Lazy("keras.ops")
tf: Any = _Lazy("tensorflow")

Tensor = Any
