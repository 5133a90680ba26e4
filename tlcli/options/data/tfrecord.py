"""Pictures in TFRecord shards of tf.train.Example, as TensorFlow's image tools write them."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tlcli.contracts.data import Manifest
from tlcli.data import prepared, records
from tlcli.data.hash_memory import memory_file
from tlcli.data.ids import Ids, as_ids
from tlcli.data.labels import labels_file, same_form
from tlcli.data.manifest import settle
from tlcli.data.packed import Files, Records, Told, without_faults
from tlcli.data.readable import leave_out
from tlcli.data.samples import SPLIT_WORDS, Samples
from tlcli.data.split_files import names_split, splits_of
from tlcli.data.stamps import stamps
from tlcli.data.stored import Index, index_files, problems_of
from tlcli.errors import ConfigError, DataError, require
from tlcli.lazy import np
from tlcli.options.data._read import ReadTested
from tlcli.system.located import located

_ASIDE = (".txt", ".json", ".pbtxt", ".md", ".csv")


@dataclass(frozen=True)
class Data(ReadTested):
    """Shards with train, validation or test in their names; they are only read.

    Each record has image/encoded and image/class/label, and may have image/class/text.

    Attributes:
        class_names: In the order of the labels; null for labels.txt beside the shards, else
            image/class/text, else the numbers.
        label_offset: Subtracted from every label: 1 where labels start at 1.
    """

    class_names: tuple[str, ...] | None
    label_offset: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.label_offset >= 0, "data.label_offset", self.label_offset, "Give 0 or more.")

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Index the shards and complete the splits.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where the index is kept.

        Raises:
            ConfigError: There are no such shards.
            DataError: A shard or label that cannot be used, or what holds for folders as well.
        """
        folder = located(self.path, "data.path")
        if (facts := prepared.read_facts(folder)) is not None:
            return self._prepared(folder, facts, cache_dir)
        shards = _shards(self.path)
        splits, notes = splits_of([shard.name for shard in shards], shards[0].parent)
        listed = stamps(shards)
        indexes = index_files(records.FORMAT, shards, self.max_pixels, cache_dir)
        samples = self._samples(shards, indexes, splits)
        samples, rows, skipped = leave_out(samples, problems_of(indexes), self.on_error)
        how = self.how()
        samples = settle(samples, how.fractions, seed, how.groups)
        memory = memory_file(os.path.abspath(folder), cache_dir)
        stored = _wide(Records.of(Files(shards, listed, memory), indexes, rows))
        return without_faults(samples, stored, Told(self.path, skipped, notes), how, cache_dir)

    def _prepared(self, folder: Path, facts: dict[str, Any], cache_dir: Path) -> Manifest:
        """Manifest of what `tl prepare` made; its splits stay as they are."""
        listed = stamps([folder / f"{name}.tfrecord" for name in facts["shards"]])
        parts = prepared.read_parts(folder, facts, cache_dir)
        names = self.class_names or tuple(facts["class_names"])
        if len(names) != len(facts["class_names"]):
            raise ConfigError(
                "data.class_names",
                f"has {len(names)} names for {len(facts['class_names'])} classes",
                "Give one name a class, or null.",
            )
        prepared.check_labels(folder, parts, len(names))
        counts = [len(part.ids) for part in parts]
        words = [SPLIT_WORDS[name.split("-", 1)[0]] for name in facts["shards"]]
        samples = Samples(
            where=str(folder),
            ids=Ids.joined([as_ids(part.ids) for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            splits=np.repeat(np.array(words, np.int8), counts),
            class_names=tuple(names),
        )
        columns = {
            name: np.concatenate([part.columns[name].astype(kind) for part in parts])
            for name, kind in prepared.TYPES.items()
        }
        shards = [folder / f"{name}.tfrecord" for name in facts["shards"]]
        numbers = np.repeat(np.arange(len(shards), dtype=np.int32), counts)
        how = self.how()
        samples = settle(samples, (0.0, 0.0), 0, how.groups)
        memory = memory_file(str(folder.resolve()), cache_dir)
        stored = _wide(Records(Files(shards, listed, memory), numbers, columns))
        told = Told(self.path, [], [f"prepared from {facts['source']}"])
        return without_faults(samples, stored, told, how, cache_dir)

    def _samples(
        self, shards: Sequence[Path], indexes: Sequence[Index], splits: Sequence[int]
    ) -> Samples:
        """Samples of all shards."""
        labels = np.concatenate([index.labels for index in indexes])
        if ((labels >= 0) & (labels < self.label_offset)).any():
            raise ConfigError(
                "data.label_offset",
                f"got {self.label_offset}, but there are labels below it",
                "Give 0.",
            )
        if labels.max(initial=0) > 2**31 - 1:
            raise DataError(
                self.path, f"has the label {labels.max()}", "Number the classes from 0."
            )
        if not self.label_offset and labels.max(initial=0) > 0 and 0 not in labels:
            least = labels[labels >= 0].min()
            raise DataError(
                self.path, f"has labels from {least} to {labels.max()}, and none of class 0",
                "Set data.label_offset=1, if labels begin at 1."
            )  # fmt: skip
        labels = np.where(labels < 0, -1, labels - self.label_offset)
        names = self.class_names or labels_file(shards[0].parent) or _names(labels, indexes)
        (labels,), class_names = same_form(self.path, [labels.astype(np.int32)], names)
        counts = [len(index.counts) for index in indexes]
        return Samples(
            where=self.path,
            ids=Ids.numbered([shard.name for shard in shards], counts),
            labels=labels,
            splits=np.repeat(np.array(splits, np.int8), counts),
            class_names=class_names,
        )


def _shards(pattern: str) -> list[Path]:
    """Shards of a folder or pattern, sorted by name.

    Raises:
        ConfigError: There are none.
    """
    path = located(pattern, "data.path")
    if path.is_dir():
        found = [shard for shard in path.iterdir() if names_split(shard.name)]
    else:
        found = [Path(name) for name in glob.glob(str(path))]
    shards = sorted(
        shard
        for shard in found
        if shard.is_file() and not shard.name.startswith(".") and shard.suffix not in _ASIDE
    )
    if not shards:
        raise ConfigError(
            "data.path",
            f"{path}: there are no shards",
            "Give a folder of files with train, validation or test in their names, or a pattern.",
        )
    twice = [name for name, count in Counter(shard.name for shard in shards).items() if count > 1]
    if twice:
        raise ConfigError(
            "data.path", f"{twice[0]} is there more than once", "Give each shard its own name."
        )
    return shards


def _wide(records: Records) -> Records:
    """The same with checksums as the fingerprints of such data have always had them."""
    checksums = records.columns["checksums"].astype(np.int64)
    return replace(records, columns={**records.columns, "checksums": checksums})


def _names(labels: Any, indexes: Sequence[Index]) -> tuple[str, ...] | None:
    """Class names of image/class/text, where every label has one of its own."""
    if all(index.texts.are_empty for index in indexes):
        return None
    pairs = set(zip(map(int, labels), chain.from_iterable(i.texts for i in indexes), strict=True))
    names = dict(pair for pair in pairs if pair[0] >= 0 and pair[1])
    count = int(labels.max(initial=-1)) + 1
    if len(names) != count or len(set(names.values())) != count or len(pairs) != count:
        return None
    return tuple(names[label] for label in range(count))
