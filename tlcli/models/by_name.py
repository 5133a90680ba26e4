"""Weights by the names of layers: from files that others wrote, and between two models.

Two layouts are read, `.weights.h5` of Keras 3 (see `tlcli.models.weights`) and the published `.h5`
files of keras.applications: one group a layer, listed in the attributes `layer_names` and
`weight_names`, at the root or under `model_weights`.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py

from tlcli.contracts.backbone import LoadReport
from tlcli.errors import ConfigError
from tlcli.models.hdf5 import (
    all_datasets,
    descend,
    dtype_name,
    has_names,
    names_of,
    opened,
    read,
    require_stored,
)
from tlcli.models.student import HEAD
from tlcli.models.weights import Arrays, finalize, layout, stored_names, top_level

AUTOMATIC_NAME = re.compile(
    r"^(conv2d|depthwise_conv2d|separable_conv2d|dense|batch_normalization|layer_normalization"
    r"|normalization)(?:_(\d+))?$"
)


def load_by_name(model: Any, path: Path | str, where: str = "backbone.weights") -> LoadReport:
    """Put what a file holds into the layers of the same name and shapes.

    Published files whose layers all fit in order are read in order, as Keras does: their automatic
    names (`conv2d_7`) depend on the process that wrote them. A head's layers are passed over: only
    the names of classes, which no weights file has, say whether its rows mean the same.

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
        expected = {name: v for name, v in expected.items() if not name.startswith(HEAD)}
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
    return by_layer(variables, names), by_layer(datasets, stored_names(file, places))


def by_layer(arrays: Arrays, names: dict[str, str]) -> dict[str, Arrays]:
    """Arrays by layer name and place inside the layer.

    Args:
        arrays: By "<place>/vars/<key>".
        names: Layer name of each place that has one.
    """
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
