"""Pictures in NumPy arrays: a folder of .npy files, memory-mapped, or one .npz."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.contracts.data import SPLIT_NAMES, TEST, TRAIN, VALIDATION, Manifest
from tlcli.data.arrays import Files, array_source
from tlcli.data.choosing import Choosing
from tlcli.data.grouping import by_expression
from tlcli.data.hash_memory import memory_file
from tlcli.data.ids import Ids
from tlcli.data.labels import checked_labels, from_zero, same_form
from tlcli.data.manifest import settle
from tlcli.data.samples import Samples, fingerprint
from tlcli.data.split import check_fractions
from tlcli.data.stamps import stamp
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np
from tlcli.system.array_file import load_npy, load_npz
from tlcli.system.located import located

_SAMPLE = 256
_KEYS = {
    TRAIN: (("train_data", "train_labels"), ("x_train", "y_train")),
    VALIDATION: (
        ("validation_data", "validation_labels"),
        ("val_data", "val_labels"),
        ("x_validation", "y_validation"),
        ("x_val", "y_val"),
    ),
    TEST: (("test_data", "test_labels"), ("x_test", "y_test")),
}
_EXPECTED = (
    "Expected train_data and train_labels (or x_train, y_train), and the same for test and, "
    "if wanted, validation."
)


@dataclass(frozen=True)
class Data(Choosing):
    """Arrays train_data, train_labels and so on, in a folder of .npy files or one .npz.

    Pictures are (samples, height, width), or with 1 or 3 channels last. Labels are class numbers
    from 0, (samples,) or (samples, 1), or one column of 0 and 1 a class.

    Attributes:
        path: Folder or .npz; `~` is the home folder.
        value_range: Black and white of the pictures; auto looks at a sample.
        class_names: In the order of the class numbers; null for the numbers.
        validation_fraction: Share of train for validation when that is not given.
        test_fraction: Share of train for test when neither is given.
    """

    path: str
    value_range: Literal["auto", "0-1", "0-255", "-1-1"]
    class_names: tuple[str, ...] | None
    validation_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fractions(self.validation_fraction, self.test_fraction)
        names = self.class_names
        if names is not None and len(set(names)) != len(names):
            raise ConfigError("data.class_names", "a name stands twice", "Give each class one.")

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Open the arrays and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the hashes of the pictures are kept.

        Raises:
            ConfigError: There is no such folder or file.
            DataError: Arrays that do not fit, or too few samples.
        """
        path = located(self.path, "data.path")
        listed = _stamps(path)
        arrays = _open(path)
        blocks = _blocks(path, arrays)
        parts = [_channels_last(f"{path}: {name}", data) for _, name, data, _ in blocks]
        _check_same_size(path, blocks, parts)
        files = _files(path, listed, blocks, memory_file(f"arrays\0{path.resolve()}", cache_dir))
        images, notes = array_source(str(path), parts, self.value_range, files)
        raw = [
            checked_labels(f"{path}: {name}", labels, len(data)) for _, name, data, labels in blocks
        ]
        raw, names, shifted = from_zero(str(path), raw, self.class_names)
        labels, class_names = same_form(str(path), raw, names)
        samples = _samples(str(path), [split for split, *_ in blocks], labels, class_names)
        fractions = (self.validation_fraction, self.test_fraction)
        samples = settle(samples, fractions, seed, by_expression(self.groups))
        height, width = parts[0].shape[1:3]
        return Manifest(
            ids=samples.ids,
            labels=samples.labels,
            splits=samples.splits,
            class_names=class_names,
            images=images,
            root=str(path),
            fingerprint=fingerprint(samples, [fact for part in parts for fact in _facts(part)]),
            report={
                "skipped": [],
                "duplicates": [],
                "sizes": f"all {width}x{height}",
                "notes": [*notes, *shifted, *samples.notes],
            },
        )


def _stamps(path: Path) -> dict[str, tuple[int, int]]:
    """Stamp of each file by the name of its array, taken before it is opened; "" for an .npz."""
    if not path.is_dir():
        return {"": stamp(path)}
    return {file.stem: stamp(file) for file in path.glob("*.npy")}


def _files(
    path: Path, listed: Mapping[str, tuple[int, int]], blocks: Sequence[Any], memory: Path
) -> Files:
    """Where the pictures of the blocks lie."""
    names = [name if path.is_dir() else "" for _, name, *_ in blocks]
    paths = [str(path / f"{name}.npy") if name else str(path) for name in names]
    counts = [len(data) for *_, data, _ in blocks]
    numbers = np.repeat(np.arange(len(blocks)), counts)
    return Files(paths, np.array([listed[name] for name in names], np.int64), numbers, memory)


def _samples(
    where: str, splits: Sequence[int], labels: Sequence[Any], class_names: tuple[str, ...]
) -> Samples:
    """Samples of blocks of labels, one block a split, in the order of the pictures."""
    blocks = list(zip(splits, labels, strict=True))
    counts = [len(block) for _, block in blocks]
    return Samples(
        where=where,
        ids=Ids.numbered([SPLIT_NAMES[split] for split, _ in blocks], counts),
        labels=np.concatenate(labels),
        splits=np.concatenate([np.full(len(block), split, np.int8) for split, block in blocks]),
        class_names=class_names,
    )


def _open(path: Path) -> Mapping[str, Any]:
    """Arrays by name: those of a folder memory-mapped, those of an .npz when asked for."""
    wanted = {key for pairs in _KEYS.values() for pair in pairs for key in pair}
    if path.is_dir():
        files = {key: path / f"{key}.npy" for key in sorted(wanted)}
        return {
            key: load_npy(file, mapped=True) for key, file in files.items() if os.path.lexists(file)
        }
    if not os.path.lexists(path):
        remedy = "Give a folder of .npy files or an .npz file."
        raise ConfigError("data.path", f"{path}: there is no such file or folder", remedy)
    if path.suffix == ".npy":
        raise DataError(str(path), "is a single array", _EXPECTED)
    return load_npz(path, wanted)


def _blocks(path: Path, arrays: Mapping[str, Any]) -> list[tuple[int, str, Any, Any]]:
    """Split, name, pictures and labels of each split that is there."""
    blocks: list[tuple[int, str, Any, Any]] = []
    for split, pairs in _KEYS.items():
        for data, labels in pairs:
            if (data in arrays) != (labels in arrays):
                there, missing = (data, labels) if data in arrays else (labels, data)
                raise DataError(str(path), f"has {there} but no {missing}", "Add it.")
            if data in arrays:
                if blocks and blocks[-1][0] == split:
                    raise DataError(
                        str(path), f"has {blocks[-1][1]} and {data}", "Keep one of them."
                    )
                blocks.append((split, data, arrays[data], arrays[labels]))
    if not blocks or blocks[0][0] != TRAIN:
        found = ", ".join(arrays) or "no arrays of a known name"
        raise DataError(str(path), f"has {found}", _EXPECTED)
    return blocks


def _channels_last(place: str, data: Any) -> Any:
    """Pictures as (samples, height, width, 1 or 3), a view."""
    if data.ndim == 3:
        data = data[..., None]
    if data.ndim == 4 and data.shape[-1] in (1, 3) and 0 not in data.shape:
        return data
    hint = "Save them as (samples, height, width), or with 1 or 3 channels last."
    if data.ndim == 4 and data.shape[1] in (1, 3):
        hint = "Move the channels last: numpy.moveaxis(array, 1, -1)."
    raise DataError(place, f"has the shape {data.shape}", hint)


def _check_same_size(path: Path, blocks: Sequence[Any], parts: Sequence[Any]) -> None:
    for (_, name, *_), part in zip(blocks, parts, strict=True):
        if part.shape[1:] != parts[0].shape[1:] or part.dtype != parts[0].dtype:
            raise DataError(
                str(path),
                f"{name} is {part.dtype} {part.shape[1:]}, {blocks[0][1]} is "
                f"{parts[0].dtype} {parts[0].shape[1:]}",
                "Save all splits in one size and type.",
            )


def _facts(part: Any) -> list[Any]:
    """What stands for a part in the fingerprint: shape, and a sample of pictures."""
    rows = np.unique(np.linspace(0, len(part) - 1, _SAMPLE).astype(int))
    return [np.array(part.shape, np.int64), part[rows]]
