"""From what several files of pictures say to one manifest: ids, labels, splits, places."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.data.hash_memory import memory_file
from tlcli.data.ids import Ids
from tlcli.data.labels import from_zero, same_form
from tlcli.data.manifest import settle
from tlcli.data.packed import Files, Records, Told, Unpacking, without_faults
from tlcli.data.readable import Reading, leave_out
from tlcli.data.samples import Samples, some_names
from tlcli.data.split_files import SplitFiles
from tlcli.data.stamps import stamps
from tlcli.data.stored import Format, Index, index_files, problems_of
from tlcli.data.walk import is_utf8
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np
from tlcli.system.shown import shown


@dataclass(frozen=True)
class Naming:
    """What classes are called, and whether a picture may have several.

    Attributes:
        where: What the user named.
        given: Names in the order of the labels, as the configuration has them.
        told: Those that the data tells; classes that no picture has are left out of them.
        several: Whether a picture may have several labels; None where any that has decides.
    """

    where: str
    given: tuple[str, ...] | None
    told: tuple[str, ...] | None
    several: bool | None


@dataclass(frozen=True)
class Gathering:
    """What a source says of its files.

    Attributes:
        files: The files, and their splits.
        form: How they are gone through.
        naming: Of the classes.
        how: How pictures are read.
        unpack: See Files.
    """

    files: SplitFiles
    form: Format
    naming: Naming
    how: Reading
    unpack: Unpacking | None = None

    def manifest(self, seed: int, cache_dir: Path) -> Manifest:
        """Index the files and complete the splits.

        Raises:
            ConfigError: Names that do not fit the labels.
            DataError: A file or label that cannot be used, or what holds for folders as well.
        """
        how, paths, where = self.how, self.files.paths, self.naming.where
        listed = stamps(paths)
        indexes = index_files(self.form, paths, how.max_pixels, cache_dir)
        labels, class_names, notes = labelled(indexes, self.naming)
        samples = Samples(
            where, ids_of(indexes, self.files.names), labels,
            np.repeat(np.array(self.files.splits, np.int8), [len(i.counts) for i in indexes]),
            class_names,
        )  # fmt: skip
        samples, rows, skipped = leave_out(samples, problems_of(indexes), how.on_error)
        samples = settle(samples, how.fractions, seed, how.groups)
        key = f"{self.form.key}\0{os.path.abspath(self.files.root)}"
        files = Files(paths, listed, memory_file(key, cache_dir), self.unpack)
        records = Records.of(files, indexes, rows)
        if self.unpack is not None and (records.columns["offsets"] < 0).any():
            notes = (*notes, *self.unpack.notes(paths))
        told = Told(where, skipped, [*self.files.notes, *notes])
        return without_faults(samples, records, told, how, cache_dir)


def ids_of(indexes: Sequence[Index], files: Sequence[str]) -> Ids:
    """What the pictures are called: their names where all have one of their own.

    Otherwise the file and the number of the row in it.
    """
    names = Ids.joined([index.names for index in indexes])
    if all(map(_usable, names)) and names.are_different:
        return names
    return Ids.numbered(files, [len(index.counts) for index in indexes])


def _usable(name: str) -> bool:
    """Whether a name is one of a file below some folder, the same wherever that lies."""
    odd = not name or name.startswith("/") or "\0" in name or "://" in name or "\n" in name
    return not odd and is_utf8(name)


def labelled(
    indexes: Sequence[Index], naming: Naming
) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """Labels of all rows, int32 (rows,) or multi-hot; the class names; notes.

    Raises:
        ConfigError: Names that do not fit.
        DataError: Numbers and names mixed, or numbers that are none.
    """
    words = sorted({word for index in indexes for word in index.words})
    numbered = [index for index in indexes if not index.words and len(index.values)]
    if words and numbered:
        raise DataError(
            naming.where, f"has labels that are numbers and others that are names, as {words[0]!r}",
            "Write all in one form.",
        )  # fmt: skip
    counts = np.concatenate([index.counts for index in indexes])
    naming = replace(naming, several=_several(naming, counts))
    notes: list[str] = []
    names: tuple[str, ...] | None
    if words:
        names = naming.given or tuple(words)
        places = _places(names, words)
        values = np.concatenate([_moved(index, places) for index in indexes])
    else:
        values = np.concatenate([index.values for index in indexes])
        _check_numbers(naming, values)
        values, names, notes = _numbered(naming, values)
    labels = _table(naming, counts, values, len(names or ()))
    (labels,), class_names = same_form(naming.where, [labels], names)
    return labels, class_names, tuple(notes)


def _several(naming: Naming, counts: Any) -> bool:
    most = int(counts.max(initial=0))
    if naming.several is False and most > 1:
        problem = f"has a picture with {most} labels"
        raise DataError(naming.where, problem, "Set data.multi_label=true.")
    return most > 1 if naming.several is None else naming.several


def _places(names: Sequence[str], words: Sequence[str]) -> dict[str, int]:
    """Class of each word."""
    places = {name: number for number, name in enumerate(names)}
    lacking = [word for word in words if word not in places]
    if lacking:
        problem = f"lacks {some_names(lacking)}, which are labels"
        raise ConfigError("data.class_names", problem, "Name every class, or give null.")
    if len(words) < len(names):
        unused = [name for name in names if name not in {*words}]
        problem = f"has {some_names(unused)}, which no picture is labelled with"
        raise ConfigError("data.class_names", problem, "Leave them out, or give null.")
    return places


def _moved(index: Index, places: dict[str, int]) -> Any:
    """Labels of a file as classes of all files."""
    return np.array([places[word] for word in index.words], np.int64)[index.values]


def _check_numbers(naming: Naming, values: Any) -> None:
    low, high = values.min(initial=0), values.max(initial=0)
    if low < (0 if naming.several else -1) or high > 2**31 - 1:
        raise DataError(
            naming.where, f"has labels from {low} to {high}",
            "Give class numbers from 0" + ("." if naming.several else ", or -1 for no label."),
        )  # fmt: skip


def _numbered(naming: Naming, values: Any) -> tuple[Any, tuple[str, ...] | None, list[str]]:
    """Class numbers without those that no picture has, names of the rest, notes."""
    if naming.given is not None or naming.told is None:
        (values,), names, notes = from_zero(naming.where, [values], naming.given)
        return values.astype(np.int64), names, notes
    told, used = naming.told, np.unique(values[values >= 0])
    if len(used) and used[-1] >= len(told):
        raise DataError(
            naming.where, f"has the label {used[-1]}, and names for {len(told)} classes",
            "Correct the labels, or give data.class_names.",
        )  # fmt: skip
    if len(used) == len(told):
        return values, told, []
    twice = [name for name, count in Counter(told).items() if count > 1]
    if twice:
        raise DataError(
            naming.where, f"names two classes {shown(twice[0])!r}", "Give data.class_names."
        )
    places = np.full(len(told) + 1, -1, np.int64)
    places[used] = np.arange(len(used))
    unused = [name for number, name in enumerate(told) if number not in {*used.tolist()}]
    note = f"classes without a picture are left out: {some_names(unused)}"
    return places[values], tuple(told[number] for number in used), [note]


def _table(naming: Naming, counts: Any, values: Any, classes: int) -> Any:
    """Labels of the rows, int32 (rows,) or uint8 (rows, classes)."""
    starts = np.cumsum(counts) - counts
    if naming.several:
        classes = max(classes, int(values.max(initial=-1)) + 1)
        hot = np.zeros((len(counts), classes), np.uint8)
        hot[np.repeat(np.arange(len(counts)), counts), values] = 1
        return hot
    labels = np.full(len(counts), -1, np.int32)
    labels[counts > 0] = values[starts[counts > 0]]
    return labels
