"""What a head takes over from the weights of another run: rows of the classes that both have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.models.by_name import by_layer
from tlcli.models.hdf5 import all_datasets, dtype_name, opened, read
from tlcli.models.student import HEAD
from tlcli.models.weights import layout, stored_names, top_level

Shape = tuple[int, ...]


def take_over(model: Any, path: Path, theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Put the head of a run into a model's own, class by class; False if the heads do not fit.

    Args:
        model: The student, whose head keeps its starting values for classes of its own.
        path: Weights of the run, `.weights.h5`.
        theirs: The run's classes in index order.
        ours: The model's.

    Raises:
        DataError: No such file, not HDF5, or unsafe content.
    """
    variables, names = layout(model)
    wanted = {k: v for k, v in by_layer(variables, names).items() if k.startswith(HEAD)}
    with opened(path, str(path)) as file:
        datasets = all_datasets(file, path)
        layers = by_layer(datasets, stored_names(file, {top_level(key) for key in datasets}))
        stored = {k: v for k, v in layers.items() if k.startswith(HEAD)}
        last = logits_layer(model)
        if not _fit(wanted, stored, last, (len(theirs), len(ours))):
            return False
        for layer, inner in wanted.items():
            for key, variable in inner.items():
                value = read(stored[layer][key])
                if layer == last and variable.shape[-1:] == (len(ours),):
                    value = _rows(variable.numpy(), value, theirs, ours)
                variable.assign(value)
    return True


def logits_layer(model: Any) -> str:
    """Name of the layer that gives a model's logits."""
    return str(model.outputs[0]._keras_history.operation.name)


def _fit(wanted: Any, stored: Any, last: str, classes: tuple[int, int]) -> bool:
    """Whether two heads have the same layers and shapes but for the number of classes."""
    if wanted.keys() != stored.keys():
        return False
    return all(
        wanted[name].keys() == stored[name].keys()
        and all(
            _expected(tuple(variable.shape), classes, name == last)
            == tuple(stored[name][key].shape)
            and dtype_name(stored[name][key]) == str(variable.dtype)
            for key, variable in wanted[name].items()
        )
        for name in wanted
    )


def _expected(shape: Shape, classes: tuple[int, int], is_last: bool) -> Shape:
    """Shape of the run's array where the model's has `shape`: the last axis counts classes."""
    theirs, ours = classes
    return (*shape[:-1], theirs) if is_last and shape[-1:] == (ours,) else shape


def _rows(own: Any, value: Any, theirs: Sequence[str], ours: Sequence[str]) -> Any:
    """The model's array with the run's values for the classes that both have."""
    places = {name: place for place, name in enumerate(theirs)}
    shared = [place for place, name in enumerate(ours) if name in places]
    own[..., shared] = np.asarray(value)[..., [places[ours[place]] for place in shared]]
    return own
