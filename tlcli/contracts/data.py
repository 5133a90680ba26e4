"""Data sources, and what they give: samples that can be indexed.

A new option is a frozen dataclass `Data` that subclasses `DataSource` and has the method
`manifest`. A manifest never holds pictures: its image source decodes sample `index` inside a
tf.data graph. A source of a new kind subclasses `ImageSource` and has the method `image`.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf

TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Region:
    """Which part of a picture is shown.

    Attributes:
        box: From height and width, int32 (2,), to top, left, height and width, int32 (4,).
        fixed: Whether it follows from the sides alone; then `box` takes (..., 2) to (..., 4).
    """

    box: Callable[[Tensor], Tensor]
    fixed: bool


class ImageSource(ABC):
    """Where the pictures of a manifest come from.

    Attributes:
        array: uint8 (samples, height, width, channels 1 or 3), in memory or memory-mapped, when all
            pictures have one size and need no decoding; else None.
        encoded: Encoded picture of a row, outside of tf.data; None where pictures are not encoded.
        heeds_warnings: Whether a picture that libjpeg warns of counts as faulty.
    """

    array: Any = None
    encoded: Callable[[int], bytes] | None = None
    heeds_warnings: bool = False

    @abstractmethod
    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB, upright; runs inside tf.data.

        Args:
            index: Row of the manifest, int64 scalar.
            short_side: Pixels that the shorter side must keep: a large JPEG may come at a half, a
                quarter or an eighth of its size. 0 asks for the picture as stored.
            region: The part to return, so that the rest need not be decoded; None returns all.
        """

    def first_broken(self, rows: Any) -> DataError | None:
        """The first of some rows that does not decode, told by its name; None if all are well.

        Called when a tf.data pipeline stopped: TensorFlow's errors do not say at which picture.

        Args:
            rows: Rows of the manifest, integers (rows,).
        """
        return None

    def hashes(self, rows: Any) -> Any:
        """Hash of the whole content of each row, uint8 (rows, 16).

        A source that can tell it from the bytes as they are stored should: this decodes them.

        Args:
            rows: Rows of the manifest, integers (rows,).
        """
        found = bytearray()
        for row in np.asarray(rows, np.int64):
            pixels = np.ascontiguousarray(self.image(tf.constant(row)))
            digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
            digest.update(pixels.tobytes())
            found += digest.digest()
        return np.frombuffer(bytes(found), np.uint8).reshape(-1, 16)

    def known(self) -> Any:
        """Rows whose hash costs no reading any more, bool (rows,); None where that is not told."""
        return None


@dataclass(frozen=True)
class Manifest:
    """Samples in a stable order.

    Attributes:
        ids: Stable sample ids, str (samples,): path below the root, or "train/17".
        labels: Class indices, int32 (samples,), -1 where unlabelled; or multi-hot uint8
            (samples, classes).
        splits: 0 train, 1 validation, 2 test; int8 (samples,).
        class_names: Names in index order; empty where only a teacher can tell them.
        images: Decodes a sample.
        root: What the ids are relative to, for people.
        fingerprint: Hash of ids, labels, splits and what the first look at the source tells, hex;
            `identity` adds the whole content.
        report: Facts of the scan for the plan and the log: "skipped" [(id, reason)],
            "duplicates" [(id, id)] across splits, "sizes" text, "notes" [text].
        own: Fingerprint of what the data option alone gives, where something was added to it.
        own_count: Number of its samples, which come first; None where nothing was added.
        listed: Fingerprint with the pictures that were left out as faulty, whichever these are;
            None where none were.
    """

    ids: Any
    labels: Any
    splits: Any
    class_names: tuple[str, ...]
    images: ImageSource
    root: str
    fingerprint: str
    report: Mapping[str, Any] = field(default_factory=dict)
    own: str | None = None
    own_count: int | None = None
    listed: str | None = None

    def content(self, rows: Any) -> str:
        """Hash of the whole content of some rows in order, hex; what is not known is read."""
        found = np.ascontiguousarray(self.images.hashes(rows))
        return hashlib.blake2b(found.tobytes(), digest_size=16).hexdigest()

    def identity(self) -> str:
        """What tells the data option's data from any other, wherever it lies.

        Samples in no split are none of it.
        """
        rows = np.flatnonzero(self.splits[: self.own_count] <= TEST)
        return f"{self.own or self.fingerprint}.{self.content(rows)}"

    def same_data(self, identity: str) -> bool:
        """Whether an `identity` is that of this data; one without content is of an older run."""
        if "." not in identity:
            return identity == (self.own or self.fingerprint)
        listed = identity.split(".")[0] == (self.own or self.fingerprint)
        return listed and identity == self.identity()

    @property
    def multi_label(self) -> bool:
        """Whether a sample may have several classes."""
        return bool(self.labels.ndim == 2)

    def rows(self, split: int) -> Any:
        """Rows of a split, int64 (rows,)."""
        return (self.splits == split).nonzero()[0]

    def labelled(self, split: int) -> Any:
        """Rows of a split that have a label; of independent classes every row has."""
        rows = self.rows(split)
        return rows if self.multi_label else rows[self.labels[rows] >= 0]


class DataSource(ABC):
    """What every option has."""

    @abstractmethod
    def manifest(self, seed: int, cache_dir: Path) -> Manifest:
        """Find the samples, and complete the splits that are not given.

        Args:
            seed: Decides what is carved from train.
            cache_dir: Where a scan may be kept.

        Raises:
            ConfigError: There is no such source.
            DataError: What is there cannot be used.
        """


class StepBatch(TypedDict, total=False):
    """One batch of a training step; beside these keys, the teacher's signals by their names.

    Attributes:
        images: The pictures as the student sees them, uint8 or (mixed) float32 (batch, side, side,
            3). Absent where the frozen part of the network was computed before.
        inputs: Tensors (batch, ...) where the trained part of the network begins.
        labels: float32 (batch, classes): one-hot, soft or multi-hot; zeros where there is none.
        rows: Row of each image in the training set, int64 (batch,).
        views: View of each image, int64 (batch,).
        step: Number of the step, int64 scalar.
    """

    images: Tensor
    inputs: tuple[Tensor, ...]
    labels: Tensor
    rows: Tensor
    views: Tensor
    step: Tensor
