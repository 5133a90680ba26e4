"""Handwritten digits, 1,797 scans of 8x8 pixels (Alpaydin and Kaynak 1998, UCI, CC BY 4.0)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts.data import TRAIN, Manifest
from tlcli.data.arrays import ArrayImages
from tlcli.data.choosing import Choosing
from tlcli.data.grouping import by_expression, numbered, split_groups
from tlcli.data.samples import Samples, fingerprint
from tlcli.data.split import check_fractions, split_labels
from tlcli.errors import require
from tlcli.lazy import np

FILE = Path(__file__).with_name("digits.npz")


@dataclass(frozen=True)
class Data(Choosing):
    """Some of the ten digits, in a stratified split.

    Attributes:
        classes: Digits to tell apart, two or more of 0 to 9; class order is as given.
        images_per_class: Training images kept of each class; null for all. The other splits stay.
        validation_fraction: Share of each class for validation.
        test_fraction: Share of each class for test.
    """

    classes: tuple[int, ...]
    images_per_class: int | None
    validation_fraction: float
    test_fraction: float

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = len(set(self.classes)) == len(self.classes) > 1
        fits = fits and all(0 <= digit <= 9 for digit in self.classes)
        require(
            fits, "data.classes", list(self.classes), "Give two or more different digits, as [0,1]."
        )
        require(
            self.images_per_class is None or self.images_per_class > 0,
            "data.images_per_class",
            self.images_per_class,
            "Give a number above 0, or null for all.",
        )
        check_fractions(self.validation_fraction, self.test_fraction)

    def listed(self, seed: int, cache_dir: Path) -> Manifest:
        """Choose and split the digits.

        Args:
            seed: Decides the split and which training images are kept.
            cache_dir: Not used: the data come with the program.
        """
        with np.load(FILE, allow_pickle=False) as file:
            scans, digits = file["images"], file["labels"]
        # Split all ten digits before choosing, so that a digit's split is the same in any choice.
        fractions = (self.validation_fraction, self.test_fraction)
        splits = self._split(digits.astype(np.int32), fractions, seed)
        rows = np.flatnonzero(np.isin(digits, self.classes) & self._kept(digits, splits, seed))
        index = np.zeros(10, np.int32)
        index[list(self.classes)] = np.arange(len(self.classes))
        array = np.round(scans[rows] * (255 / 16)).astype(np.uint8)[..., None]
        ids = np.array([f"digits/{row:04d}" for row in rows], object)
        labels, splits = index[digits[rows]], splits[rows]
        names = tuple(map(str, self.classes))
        samples = Samples("data", ids, labels, splits, names)
        return Manifest(
            ids=ids,
            labels=labels,
            splits=splits,
            class_names=names,
            images=ArrayImages(array),
            root="UCI optical digits",
            fingerprint=fingerprint(samples, [array]),
            report={"skipped": [], "duplicates": [], "sizes": "all 8x8", "notes": []},
        )

    def _split(self, digits: Any, fractions: tuple[float, float], seed: int) -> Any:
        """Split of each scan, int8 (scans,)."""
        groups = by_expression(self.groups)
        if groups is None:
            return split_labels(digits, fractions, seed)
        names = groups([f"digits/{row:04d}" for row in range(len(digits))])
        return split_groups(digits, numbered(names), fractions, seed)

    def _kept(self, digits: Any, splits: Any, seed: int) -> Any:
        """Which samples images_per_class lets through, bool (samples,)."""
        kept = np.ones(len(digits), bool)
        if self.images_per_class is None:
            return kept
        for digit in range(10):
            train = np.flatnonzero((digits == digit) & (splits == TRAIN))
            order = np.random.default_rng([seed, digit, 1]).permutation(train)
            kept[order[self.images_per_class :]] = False
        return kept
