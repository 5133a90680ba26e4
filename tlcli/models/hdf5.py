"""Read HDF5 files of strangers: plain arrays that lie in the file itself, nothing else.

A few kilobytes of HDF5 can declare many gigabytes, and can point at other files. Nothing here
reads an array's data but `read`.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tlcli.errors import ConfigError, DataError
from tlcli.system import memory
from tlcli.system.opened import open_regular, reading

MAX_DEPTH = 32
BFLOAT16 = "bfloat16"


@contextlib.contextmanager
def opened(path: Path, where: str) -> Iterator[Any]:
    """The open HDF5 file; what HDF5 raises on a broken file becomes a DataError."""
    if not os.path.lexists(path):
        kind = DataError if where == str(path) else ConfigError
        raise kind(where, f"no file {path}", "Give the path of a weights file.")
    open_regular(path, "weights").close()
    with (
        reading(path, "Fetch or write it again.", "not a whole HDF5 file"),
        h5py.File(path, "r") as file,
    ):
        yield file


def all_datasets(file: Any, path: Path) -> dict[str, Any]:
    """All data sets of a `.weights.h5` file by their key, none of them read."""
    found: dict[str, Any] = {}
    _walk(file, "", {_address(file)}, found, path)
    require_stored(found, path)
    return found


def descend(group: Any, name: str, path: Path) -> Any:
    """The member of a group at "a/b/c".

    Raises:
        DataError: There is none, or a link or foreign storage lies on the way.
    """
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or part not in group:
            raise DataError(str(path), f"lacks {name}", "Fetch or write it again.")
        group = _child(group, part, name, path)
    return group


def has_names(group: Any, attribute: str) -> bool:
    """Whether a group carries a list of names, whole or in parts."""
    return attribute in group.attrs or f"{attribute}0" in group.attrs


def names_of(group: Any, attribute: str) -> list[str]:
    """A list of names; Keras splits a long one over numbered attributes."""
    if attribute in group.attrs:
        return [text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    for number in range(len(group.attrs)):
        names += [text(name) for name in group.attrs.get(f"{attribute}{number}", ())]
    return names


def read(dataset: Any) -> Any:
    """The numbers of a data set as a NumPy array.

    Raises:
        DataError: One is not finite.
    """
    values = dataset[()]
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise _unsafe(Path(dataset.file.filename), dataset.name.lstrip("/"), "is not finite")
    if dtype_name(dataset) == BFLOAT16:
        import ml_dtypes

        return values.view(ml_dtypes.bfloat16)
    return values


def dtype_name(dataset: Any) -> str:
    """The dtype as Keras calls it; HDF5 has no bfloat16, so Keras marks it."""
    if dataset.dtype.itemsize == 2 and text(dataset.attrs.get("dtype", "")) == BFLOAT16:
        return BFLOAT16
    return str(dataset.dtype.name)


def text(value: Any) -> str:
    """A string attribute, which HDF5 gives as bytes or str."""
    return value.decode() if isinstance(value, bytes) else str(value)


def require_stored(datasets: dict[str, Any], path: Path) -> None:
    """What the file declares must be there: in each data set, and in the file as a whole."""
    total = expanded = 0
    for key, dataset in datasets.items():
        stored = dataset.id.get_storage_size()
        declared = math.prod(dataset.shape) * dataset.dtype.itemsize
        if stored < declared and (dataset.chunks is None or stored == 0):
            raise _unsafe(path, key, f"declares {declared} bytes and stores {stored}")
        total, expanded = total + stored, expanded + declared
    if expanded > memory.free():
        raise _unsafe(path, "the file", f"declares {expanded} bytes, more than the free memory")
    if total > path.stat().st_size:
        raise _unsafe(path, "the file", f"declares {total} bytes, more than its size")


def _walk(group: Any, prefix: str, seen: set[int], found: dict[str, Any], path: Path) -> None:
    if prefix.count("/") > MAX_DEPTH:
        raise _unsafe(path, prefix, "is nested too deep")
    for name in group:
        key = f"{prefix}/{name}" if prefix else name
        child = _child(group, name, key, path)
        if isinstance(child, h5py.Dataset):
            found[key] = child
        elif _address(child) in seen:
            raise _unsafe(path, key, "is linked twice")
        else:
            seen.add(_address(child))
            _walk(child, key, seen, found, path)


def _child(group: Any, name: str, key: str, path: Path) -> Any:
    """A member of a group that lies in the file itself, in plain storage."""
    link = group.get(name, getlink=True)
    if link is None or not isinstance(link, h5py.HardLink):
        raise _unsafe(path, key, f"is a link ({type(link).__name__})")
    child = group[name]
    if isinstance(child, h5py.Dataset):
        if child.is_virtual or child.external:
            raise _unsafe(path, key, "keeps its data in other files")
        if child.shape is None or child.dtype.kind not in "fiubV":
            raise _unsafe(path, key, f"holds no numbers ({child.dtype})")
    elif not isinstance(child, h5py.Group):
        raise _unsafe(path, key, f"is a {type(child).__name__}")
    return child


def _address(item: Any) -> int:
    return int(h5py.h5o.get_info(item.id).addr)


def _unsafe(path: Path, key: str, problem: str) -> DataError:
    return DataError(str(path), f"{key} {problem}", "Weights must lie in the file as plain arrays.")
