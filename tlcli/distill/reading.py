"""Files of teacher outputs that any program can write, read as arrays; nothing in them runs.

.npz      arrays ids, logits or probabilities, and perhaps class_names and data_fingerprint
.npy      logits or probabilities alone
.tfrecord tf.train.Example with id or path, and logits or probabilities
.parquet  columns id or path, and a list column logits or probabilities
"""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.errors import ConfigError, DataError
from tlcli.system.array_file import load_npy, load_npz, require_memory
from tlcli.system.opened import open_regular, reading

KINDS = ("logits", "probabilities")
KEYS = ("ids", "id", "path")
HELD = (*KEYS, *KINDS, "class_names", "data_fingerprint")


def arrays(path: Path, kind: str) -> dict[str, Any]:
    """What a file holds.

    Args:
        path: Of the file.
        kind: What a .npy holds, "logits" or "probabilities".

    Returns:
        `logits` or `probabilities` (rows, classes), perhaps `ids` (rows,), `class_names` (classes,)
        and `data_fingerprint` (scalar).

    Raises:
        ConfigError: The package that reads it is missing.
        DataError: It cannot be read.
    """
    if not path.exists():
        raise ConfigError("teacher.path", f"{path}: there is no such file", "Give the file.")
    remedy = f"Give a whole {path.suffix} of numbers and texts without objects."
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".tfrecord": _tfrecord, ".parquet": _parquet,
        ".npz": lambda file: load_npz(file, HELD, remedy),
        ".npy": lambda file: {kind: load_npy(file, remedy=remedy)},
    }  # fmt: skip
    open_regular(path, "arrays").close()
    with reading(path, remedy):
        found = readers[path.suffix](path)
    for key in KEYS:
        if key in found:
            found["ids"] = found.pop(key)
            break
    return found


def class_names(path: Path) -> tuple[str, ...] | None:
    """Class names that a file tells, without its numbers; None where it tells none."""
    if path.suffix not in (".npz", ".parquet") or not path.is_file():
        return None
    if path.suffix == ".parquet":
        module = _parquet_module()
        with contextlib.suppress(DataError), reading(path):
            return _names_of(module.read_schema(path))
        return None
    with contextlib.suppress(DataError):
        names = load_npz(path, ("class_names",)).get("class_names")
        return None if names is None else tuple(map(str, names.ravel()))
    return None


def _tfrecord(path: Path) -> dict[str, Any]:
    """Records in their order; all must have the same features.

    Raises:
        ValueError: A record that is cut off, or lacks a feature that others have.
    """
    columns: dict[str, list[Any]] = {}
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            for name in {*KEYS, *KINDS} & set(features):
                columns.setdefault(name, []).append(_values(features[name]))
            count += 1
    except tf.errors.DataLossError as error:
        raise ValueError(f"record {count}: {error.message}") from None
    except Exception as error:
        if type(error).__name__ != "DecodeError":
            raise
        raise ValueError(f"record {count} is no tf.train.Example") from None
    for name, values in columns.items():
        if len(values) != count or len(set(map(len, values))) > 1:
            raise ValueError(f"the records do not all have {name} of one length")
    return {name: np.array(v)[:, 0] if name in KEYS else np.array(v, np.float32)
            for name, v in columns.items()}  # fmt: skip


def _values(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    if kind == "bytes_list":
        return [value.decode("utf-8") for value in feature.bytes_list.value]
    return list(getattr(feature, kind).value) if kind else []


def _parquet_module() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            "teacher.path", "pyarrow, which reads .parquet, is not installed",
            "Install it with: pip install 'tlcli[parquet]'; or write a .npz.",
        ) from None  # fmt: skip


def _parquet(path: Path) -> dict[str, Any]:
    """Columns as arrays.

    Raises:
        ValueError: Rows of different lengths, or gaps.
    """
    module = _parquet_module()
    groups = module.ParquetFile(path).metadata
    sizes = [groups.row_group(index).total_byte_size for index in range(groups.num_row_groups)]
    require_memory(path, sum(sizes))
    table = module.read_table(path)
    found: dict[str, Any] = {}
    for name in {*KEYS, *KINDS} & set(table.column_names):
        column = table.column(name).combine_chunks()
        if column.null_count:
            raise ValueError(f"column {name} has {column.null_count} rows without a value")
        if name in KEYS:
            found[name] = np.array(column.to_pylist()).astype(str)
            continue
        lengths = set(map(len, column))
        if len(lengths) > 1:
            raise ValueError(f"column {name} has lists of {min(lengths)} to {max(lengths)} numbers")
        flat = column.flatten().to_numpy(zero_copy_only=False)
        found[name] = flat.reshape(len(column), -1)
    names = _names_of(table.schema)
    return found if names is None else {**found, "class_names": np.array(names)}


def _names_of(schema: Any) -> tuple[str, ...] | None:
    """Class names in the metadata of a parquet schema, as JSON."""
    import json

    text = (schema.metadata or {}).get(b"class_names")
    if text is None:
        return None
    names = json.loads(text)
    if not isinstance(names, list):
        raise ValueError("class_names in the metadata is no JSON list")
    return tuple(map(str, names))
