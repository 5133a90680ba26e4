"""Logits or probabilities that another program computed for the training images."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tlcli.contracts.teacher import Target
from tlcli.errors import ConfigError, require
from tlcli.lazy import np
from tlcli.options.teacher._common import Base
from tlcli.system.files import expanded

SUFFIXES = (".npz", ".npy", ".tfrecord", ".parquet")


@dataclass(frozen=True)
class Teacher(Base):
    """A file of one row an image, matched by the ids that split.csv lists, or by path.

    Attributes:
        path: A .npz, .npy, .tfrecord or .parquet (see `_reading`).
        ids: Text file with the id of each row, one a line, for a file that has none.
        rows: What the rows of a file without ids are, in the order of split.csv: "train" its
            training images, "all" every line. Such a file is measured on the training images and
            refused when it knows them no better than in another order.
        kind: What the numbers are; "auto" goes by the name of the array, a .npy has logits.
        class_names: Class of each column, where the file does not tell; None when they are the
            student's.
        sha256: What the file's hash must be, or None.
    """

    path: str
    ids: str | None
    rows: Literal["train", "all"] | None
    kind: Literal["auto", "logits", "probabilities"]
    class_names: tuple[str, ...] | None
    sha256: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        good = Path(self.path).suffix in SUFFIXES
        require(good, "teacher.path", self.path, f"Give a {', '.join(SUFFIXES)} file.")
        both = self.ids is not None and self.rows is not None
        require(not both, "teacher.rows", self.rows, "Leave it out; teacher.ids tells the rows.")
        digest = self.sha256
        whole = digest is None or re.fullmatch("[0-9a-f]{64}", digest)
        require(whole, "teacher.sha256", digest, "Give 64 digits of 0-9 and a-f, or null.")

    def known_classes(self) -> tuple[str, ...] | None:
        """Those that were listed, or that the file tells."""
        from tlcli.distill import reading

        return self.class_names or reading.class_names(expanded(self.path, "teacher.path"))

    def build(self, target: Target) -> Any:
        """The teacher: one row of logits for each training image.

        Raises:
            ConfigError: A method or an augmentation that one row an image cannot serve.
            DataError: A file that cannot be read, or that lacks images.
        """
        from tlcli.distill.table import TableTeacher
        from tlcli.distill.table_reading import read

        inside = target.needs - {"indices"}
        if inside:
            raise ConfigError(
                "teacher", f"a file has logits alone, and the method needs {min(inside)}",
                "Give teacher=run, or a method on logits as kd.",
            )  # fmt: skip
        if target.views.finite != 1:
            raise ConfigError(
                "teacher", "the file has one row an image, and the augmentation shows many views",
                "Give augmentation=none, or teacher=run, which sees each view.",
            )  # fmt: skip
        found = read(self, target)
        wanted = target.manifest.ids[target.rows].astype(str)
        if not np.isin(wanted, found.ids).all():
            found.refuse_missing(wanted)
        return TableTeacher(found, target)
