"""Logits or probabilities that another program computed for the training images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.errors import ConfigError, require
from tlcli.lazy import np
from tlcli.teacher import Target
from tlcli.teacher._common import Base


@dataclass(frozen=True)
class Teacher(Base):
    """A file of one row an image, matched by the ids that split.csv lists.

    Attributes:
        path: .npz with `ids` (str), `logits` or `probabilities` (float (images, classes)) and
            perhaps `class_names` (str); or .npy of logits.
        ids: Text file with the id of each row of a .npy, one a line.
    """

    path: str
    ids: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        suffix = Path(self.path).suffix
        require(suffix in (".npz", ".npy"), "teacher.path", self.path, "Give a .npz or .npy file.")
        if suffix == ".npy" and self.ids is None:
            raise ConfigError(
                "teacher.ids", "a .npy does not say which image a row belongs to",
                "Give teacher.ids=FILE, a text file with the id of each row, or a .npz with ids.",
            )  # fmt: skip

    def build(self, target: Target) -> Any:
        """The teacher: one row of logits for each training image.

        Raises:
            ConfigError: A method or an augmentation that one row an image cannot serve.
            DataError: A file that cannot be read, or that lacks images.
        """
        from tlcli.teacher._table import TableTeacher, read

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
        path = Path(self.path).expanduser()
        found = read(path, Path(self.ids).expanduser() if self.ids else None, target)
        if not np.isin(target.manifest.ids[target.rows].astype(str), found.ids).all():
            found.refuse_missing(target.manifest.ids[target.rows].astype(str))
        return TableTeacher(found, target)
