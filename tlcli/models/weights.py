"""Read and write HDF5 weights without trusting the file.

Two layouts are read. `.weights.h5` of Keras 3 holds groups `layers/<class>_<n>/…/vars` with data
sets `0`, `1`, …; the attribute `name` of a `vars` group is the layer's name, and layers without it
(Keras before 3.8) go by their container path. The published `.h5` files of keras.applications hold
one group a layer, listed in the attributes `layer_names` and `weight_names`, at the root or under
`model_weights`. Every data set is checked against the model's variable, shape and kind of number,
before its data is read: a few kilobytes of HDF5 can declare many gigabytes.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py

from tlcli.contracts.backbone import LoadReport
from tlcli.errors import ConfigError, DataError
from tlcli.models.hdf5 import (
    all_datasets,
    descend,
    dtype_name,
    has_names,
    names_of,
    opened,
    read,
    require_stored,
    text,
)

AUTOMATIC_NAME = re.compile(
    r"^(conv2d|depthwise_conv2d|separable_conv2d|dense|batch_normalization|layer_normalization"
    r"|normalization)(?:_(\d+))?$"
)

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


def load_by_name(model: Any, path: Path | str, where: str = "backbone.weights") -> LoadReport:
    """Put what a file holds into the layers of the same name and shapes.

    Published files whose layers all fit in order are read in order, as Keras does: their automatic
    names (`conv2d_7`) depend on the process that wrote them.

    Args:
        model: Built keras.Model.
        path: A `.weights.h5` file, or a published by-name `.h5` file.
        where: Dotted place in the configuration that gave the path.

    Raises:
        ConfigError: No such file, or no layer fits.
        DataError: Not HDF5, cut short, or unsafe content.
    """
    path = Path(path)
    with opened(path, where) as file:
        legacy = _legacy_root(file)
        if legacy is not None:
            expected, stored = _legacy_pair(model, legacy, path)
        else:
            expected, stored = _keras3_pair(model, file, path)
        fitting = [name for name in expected if _fits(expected[name], stored.get(name, {}))]
        if not fitting:
            raise ConfigError(
                where,
                f"no layer of {path} fits the model",
                "Give a file of the same architecture and width.",
            )
        for name in fitting:
            for key, variable in expected[name].items():
                variable.assign(read(stored[name][key]))
    finalize(model)
    return LoadReport(
        source=str(path),
        loaded=tuple(fitting),
        missing=tuple(name for name in expected if name not in set(fitting)),
        skipped=tuple(name for name in stored if name not in expected),
    )


def copy_by_name(source: Any, model: Any, label: str) -> LoadReport:
    """Copy weights between two models' layers of the same name and shapes.

    Args:
        source: Built keras.Model that has the weights.
        model: Built keras.Model that receives them.
        label: What the report names as source.
    """
    given = {layer.name: layer for layer in source.layers if layer.weights}
    wanted = {layer.name: layer for layer in model.layers if layer.weights}
    loaded = []
    for name, layer in wanted.items():
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if name in given and [tuple(weight.shape) for weight in given[name].weights] == shapes:
            for weight, value in zip(layer.weights, given[name].weights, strict=True):
                weight.assign(value)
            loaded.append(name)
    finalize(model)
    return LoadReport(
        source=label,
        loaded=tuple(loaded),
        missing=tuple(name for name in wanted if name not in set(loaded)),
        skipped=tuple(name for name in given if name not in wanted),
    )


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


def _fits(variables: Arrays, datasets: Arrays) -> bool:
    """Whether the data sets are the variables' arrays, up to the precision of floats."""
    return variables.keys() == datasets.keys() and all(
        tuple(variable.shape) == tuple(datasets[key].shape)
        and _is_float(str(variable.dtype)) == _is_float(dtype_name(datasets[key]))
        for key, variable in variables.items()
    )


def _is_float(dtype: str) -> bool:
    return "float" in dtype


def _keras3_pair(model: Any, file: Any, path: Path) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """Arrays by layer name and place inside the layer: the model's, and the file's."""
    variables, names = layout(model)
    datasets = all_datasets(file, path)
    places = {top_level(key) for key in datasets}
    return _by_layer(variables, names), _by_layer(datasets, stored_names(file, places))


def _by_layer(arrays: Arrays, names: dict[str, str]) -> dict[str, Arrays]:
    grouped: dict[str, Arrays] = {}
    for key, array in arrays.items():
        place = top_level(key)
        if key.rpartition("/vars/")[0].endswith("seed_generator"):
            continue
        grouped.setdefault(names.get(place, place), {})[key.removeprefix(place)] = array
    return grouped


def _legacy_root(file: Any) -> Any:
    """The group with `layer_names`, or None when the file has another layout."""
    if has_names(file, "layer_names"):
        return file
    link = file.get("model_weights", getlink=True)
    if isinstance(link, h5py.HardLink) and has_names(file["model_weights"], "layer_names"):
        return file["model_weights"]
    return None


def _legacy_pair(model: Any, root: Any, path: Path) -> tuple[dict[str, Arrays], dict[str, Arrays]]:
    """Arrays by layer name and number: the model's, and a published file's."""
    expected = {layer.name: _numbered(_ordered(layer)) for layer in model.layers if layer.weights}
    stored = {}
    for name in names_of(root, "layer_names"):
        group = descend(root, name, path)
        keys = names_of(group, "weight_names")
        if keys:
            stored[name] = _numbered([descend(group, key, path) for key in keys])
    flat = {f"{name}/{n}": d for name, arrays in stored.items() for n, d in arrays.items()}
    require_stored(flat, path)
    if _fit_in_order(expected, stored):
        return expected, dict(zip(expected, stored.values(), strict=True))
    return expected, _renumbered(stored)


def _ordered(layer: Any) -> list[Any]:
    return list(layer.trainable_weights) + list(layer.non_trainable_weights)


def _numbered(arrays: Iterable[Any]) -> Arrays:
    return {str(number): array for number, array in enumerate(arrays)}


def _fit_in_order(expected: dict[str, Arrays], stored: dict[str, Arrays]) -> bool:
    return len(expected) == len(stored) and all(
        _fits(variables, datasets)
        for variables, datasets in zip(expected.values(), stored.values(), strict=True)
    )


def _renumbered(stored: dict[str, Arrays]) -> dict[str, Arrays]:
    """Count automatic names (`conv2d_95`, `conv2d_96`, …) from the file's first of their kind."""
    first: dict[str, int] = {}
    parsed = {name: AUTOMATIC_NAME.match(name) for name in stored}
    for match in [m for m in parsed.values() if m]:
        number = int(match[2] or 0)
        first[match[1]] = min(number, first.get(match[1], number))
    renamed = {}
    for name, found in parsed.items():
        number = int(found[2] or 0) - first[found[1]] if found else 0
        base = found[1] if found else name
        renamed[f"{base}_{number}" if number else base] = stored[name]
    return renamed
