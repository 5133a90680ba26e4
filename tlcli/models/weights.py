"""Read and write HDF5 weights without trusting the file.

`.weights.h5` of Keras 3 holds groups `layers/<class>_<n>/…/vars` with data sets `0`, `1`, …; the
attribute `name` of a `vars` group is the layer's name, and layers without it (Keras before 3.8) go
by their container path. Every data set is checked against the model's variable, shape and kind of
number, before its data is read: a few kilobytes of HDF5 can declare many gigabytes.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tlcli.errors import DataError
from tlcli.models.hdf5 import all_datasets, dtype_name, opened, read, text

Arrays = dict[str, Any]


def save_weights(model: Any, path: Path | str) -> None:
    """Write a model's weights as `.weights.h5`; the file appears whole or not at all.

    Args:
        model: Any built keras.Model.
        path: Ends in ".weights.h5"; the folder exists.
    """
    path = Path(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".weights.h5")
    os.close(descriptor)
    temporary = Path(name)
    try:
        model.save_weights(temporary)
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_exact(model: Any, path: Path | str) -> None:
    """Put a checkpoint of the same model into it: every weight, and nothing but.

    Args:
        model: Built keras.Model with the graph the file was saved from.
        path: A `.weights.h5` file.

    Raises:
        DataError: No such file, not HDF5, unsafe content, or a weight that is missing, unknown, or
            of another name, shape or dtype.
    """
    path = Path(path)
    variables, names = layout(model)
    with opened(path, str(path)) as file:
        stored = all_datasets(file, path)
        _require_same_keys(variables, stored, path)
        for key, variable in variables.items():
            _require_same_array(variable, stored[key], key, path)
        _require_same_names(names, file, path)
        for key, variable in variables.items():
            variable.assign(read(stored[key]))
    finalize(model)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def layout(model: Any) -> tuple[Arrays, dict[str, str]]:
    """Where Keras would store each variable, and the name of the layer at each place.

    Returns:
        "<path>/vars/<key>" → variable, and "<path>" → layer name. Names that Keras makes up for
        inner parts differ between processes, so only those of top-level layers are kept.
    """
    from keras.src.saving import saving_lib

    variables: Arrays = {}
    names: dict[str, str] = {}

    class Recorder(saving_lib.H5IOStore):  # type: ignore[misc]
        """Keeps the variables that Keras hands to a store, and writes nothing."""

        def __init__(self) -> None:
            self.place = ""

        def __bool__(self) -> bool:
            return True

        def make(self, path: str, metadata: Mapping[str, str] | None = None) -> "Recorder":
            self.place = path
            if metadata and path and path == top_level(path):
                names[path] = metadata["name"]
            return self

        def __setitem__(self, key: str, value: Any) -> None:
            variables[f"{self.place}/vars/{key}".lstrip("/")] = value

    saving_lib._save_state(model, Recorder(), None, "", set())
    return variables, names


def top_level(key: str) -> str:
    """The place of the layer that a key belongs to; "" for the model's own variables."""
    parts = key.split("/")
    if parts[0] == "vars":
        return ""
    return "/".join(parts[:2]) if parts[0] == "layers" else parts[0]


def finalize(model: Any) -> None:
    """Normalization layers compute with tensors derived from their variables."""
    from keras.layers import Normalization

    for layer in model._flatten_layers():
        if isinstance(layer, Normalization):
            layer.finalize_state()


def _require_same_keys(variables: Arrays, stored: Arrays, path: Path) -> None:
    for problem, keys in (
        ("lacks", variables.keys() - stored.keys()),
        ("has an unknown", stored.keys() - variables.keys()),
    ):
        if keys:
            raise DataError(
                str(path),
                f"{problem} {min(keys)} ({len(keys)} in all)",
                "Give the weights of this very model.",
            )


def _require_same_array(variable: Any, dataset: Any, key: str, path: Path) -> None:
    declared = f"{dtype_name(dataset)} {tuple(dataset.shape)}"
    expected = f"{variable.dtype} {tuple(variable.shape)}"
    if declared != expected:
        raise DataError(
            str(path),
            f"{key} is {declared} but {variable.path} is {expected}",
            "Give the weights of this very model.",
        )


def _require_same_names(names: dict[str, str], file: Any, path: Path) -> None:
    stored = stored_names(file, names)
    for place, name in names.items():
        if stored[place] not in (name, place):
            raise DataError(
                str(path),
                f"{place} belongs to layer {stored[place]!r}, not {name!r}",
                "Give the weights of this very model.",
            )


def stored_names(file: Any, places: Iterable[str]) -> dict[str, str]:
    """The layer name that the file gives each place; the place itself where it gives none."""
    names = {}
    for place in places:
        group = file.get(f"{place}/vars")
        names[place] = text(group.attrs.get("name", place)) if group is not None else place
    return names
