"""Tables with pictures as Arrow has them: which columns hold what, and the rows of a batch.

A picture is bytes, or a struct of bytes and path as Hugging Face writes it; a label is a number, a
text, or a list of these. What classes are called stands in the metadata of the schema.
"""

import importlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np
from tlcli.system.shown import shown

# Names of columns that decide where several may be meant, the likeliest first.
PICTURES = ("image", "img", "picture", "jpg", "jpeg", "png", "webp", "bytes")
LABELS = ("label", "labels", "cls", "class", "class_name", "category", "target", "y")


@dataclass(frozen=True)
class Columns:
    """What a table holds and where.

    Attributes:
        image: Column of the pictures.
        nested: Whether a picture is a struct of bytes and path.
        label: Column of the labels.
        several: Whether a label is a list.
        names: What classes are called, in the order of their numbers; None where nothing says.
    """

    image: str
    nested: bool
    label: str
    several: bool
    names: tuple[str, ...] | None


def arrow(where: str, module: str = "pyarrow") -> Any:
    """A module of pyarrow.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(
            "data", f"pyarrow, which reads {where}, is not installed",
            "Install it with: pip install 'tlcli[parquet]'.",
        ) from None  # fmt: skip


def columns_of(place: str, schema: Any, image: str | None, label: str | None) -> Columns:
    """Columns of pictures and labels, those that were named or the ones that can be meant.

    Args:
        place: File, for messages.
        schema: Of pyarrow.
        image: What data.image_column says.
        label: What data.label_column says.

    Raises:
        ConfigError: A column that was named is not there, or several may be meant.
        DataError: There is none.
    """
    features = _features(schema)
    kinds = {name: schema.field(name).type for name in schema.names}
    pictures = [name for name, kind in kinds.items() if _is_picture(kind)]
    chosen = chosen_column(place, "image", image, pictures, kinds, PICTURES)
    labels = [name for name, kind in kinds.items() if name != chosen and _is_label(kind)]
    told = [name for name in labels if _class_names(features.get(name)) is not None]
    own = chosen_column(place, "label", label, told or labels, kinds, LABELS)
    if label is not None and not _is_label(kinds[own]):
        problem = f"{place} has {kinds[own]} there"
        raise ConfigError("data.label_column", problem, "Give a column of numbers or texts.")
    nested = _pa().types.is_struct(kinds[chosen])
    names = _class_names(features.get(own))
    return Columns(chosen, nested, own, _is_list(kinds[own]), names)


def _pa() -> Any:
    return arrow("tables of pictures")


def chosen_column(
    place: str, what: str, given: str | None, found: Sequence[str], kinds: Mapping[str, Any],
    likely: Sequence[str],
) -> str:  # fmt: skip
    """The column that is meant.

    Args:
        place: File, for messages.
        what: `image` or `label`.
        given: What the key says.
        found: Columns that can be meant.
        kinds: Type of every column by its name.
        likely: Names that decide where several can be.

    Raises:
        ConfigError: The one that was given does not fit, or several can be meant.
        DataError: None can.
    """
    key = f"data.{what}_column"
    there = ", ".join(f"{shown(name)} ({kind})" for name, kind in list(kinds.items())[:12])
    if given is not None:
        if given not in kinds or (what == "image" and given not in found):
            problem = f"{place} has no such column {shown(given)!r}; it has {there or 'none'}"
            raise ConfigError(key, problem, "Name one that holds it.")
        return given
    if not found:
        content = "pictures (bytes, or a struct of bytes and path)" if what == "image" else "labels"
        raise DataError(
            place, f"has no column of {content}; it has {there or 'none'}", f"Name one: {key}=NAME."
        )
    best = next((name for one in likely for name in found if name.lower() == one), None)
    if best is None and len(found) > 1:
        names = ", ".join(map(shown, found))
        raise ConfigError(key, f"{place} has several: {names}", f"Name one: {key}={found[0]}.")
    return best or found[0]


def _is_picture(kind: Any) -> bool:
    types = _pa().types
    if types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_picture(kind.field(place).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_list(kind: Any) -> bool:
    types = _pa().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_label(kind: Any) -> bool:
    types = _pa().types
    if _is_list(kind):
        return not _is_list(kind.value_type) and _is_label(kind.value_type)
    if types.is_dictionary(kind):
        return _is_label(kind.value_type)
    text = types.is_string(kind) or types.is_large_string(kind)
    return bool(text or types.is_integer(kind) or types.is_boolean(kind))


def _features(schema: Any) -> Mapping[str, Any]:
    """What Hugging Face's metadata says of the columns; nothing where there is none."""
    try:
        held = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}


def _class_names(feature: Any) -> tuple[str, ...] | None:
    """Names of the classes of a column, or of those that its lists hold."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = feature[0]
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _class_names(feature.get("feature"))
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not isinstance(names, list):
        return None
    return tuple(unicodedata.normalize("NFC", str(name)) for name in names)


def batch_rows(place: str, batch: Any, columns: Columns) -> Iterator[tuple[Any, str, Any]]:
    """Buffer (or None), path and labels of each row of a batch of records.

    Raises:
        DataError: A label that is none.
    """
    pictures = batch.column(columns.image)
    paths: Any = None
    if columns.nested:
        if "path" in [field.name for field in pictures.type]:
            paths = pictures.field("path").to_pylist()
        # A struct that is null has no bytes either: `flatten` says so, `field` may not.
        pictures = pictures.flatten()[pictures.type.get_field_index("bytes")]
    labels = batch.column(columns.label).to_pylist()
    for row, (data, label) in enumerate(zip(_buffers(pictures), labels, strict=True)):
        path = paths[row] if paths is not None else None
        yield data, path if isinstance(path, str) else "", _labels(place, label)


def _buffers(values: Any) -> Iterator[Any]:
    """Each value of an array of bytes where it lies, None where there is none."""
    types = _pa().types
    _, ends, content = values.buffers()
    kind = np.int64 if types.is_large_binary(values.type) else np.int32
    start = values.offset
    places = np.frombuffer(ends, kind)[start : start + len(values) + 1].tolist()
    for row, valid in enumerate(values.is_valid().to_pylist()):
        first, last = places[row], places[row + 1]
        yield content.slice(first, last - first) if valid and content is not None else None


def _labels(place: str, label: Any) -> tuple[int | str, ...]:
    found = label if isinstance(label, list) else [label]
    kept = [one for one in found if one is not None and one != ""]
    texts = [unicodedata.normalize("NFC", one.strip()) if isinstance(one, str) else int(one)
             for one in kept]  # fmt: skip
    numbers = [one for one in texts if isinstance(one, int)]
    if any(not -(2**31) <= one < 2**31 for one in numbers):
        raise DataError(place, f"has the label {numbers[0]}", "Number the classes from 0.")
    return tuple(texts)
