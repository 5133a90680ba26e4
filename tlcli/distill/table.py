"""Stored logits as teacher."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from tlcli.contracts.distillation import Outputs
from tlcli.contracts.teacher import BuiltTeacher, Target
from tlcli.errors import DataError
from tlcli.system import files


@dataclass
class Stored:
    """What a file holds, checked.

    Attributes:
        path: The file.
        ids: str (images,), all different.
        logits: float32 (images, classes), in the student's class order.
        classes: How its columns became the student's classes, in words.
    """

    path: Path
    ids: Any
    logits: Any
    classes: str

    def refuse_missing(self, wanted: Any) -> None:
        """Say which images the file lacks.

        Raises:
            DataError: Always.
        """
        held = set(self.ids.tolist())
        missing = [i for i in wanted.tolist() if i not in held]
        raise DataError(
            str(self.path),
            f"lacks {len(missing)} of {len(wanted)} training images: {shown(missing)}; "
            f"its {len(self.ids)} rows are called {shown(self.ids, 2)}",
            "Give a row for each id that split.csv calls train.",
        )

    def rows(self, ids: Any) -> Any:
        """Logits of some ids, or None where one is missing."""
        place = {name: index for index, name in enumerate(self.ids.tolist())}
        found = [place.get(str(name)) for name in ids]
        return None if None in found else self.logits[found]


class TableTeacher(BuiltTeacher):
    """Gives each training image its stored logits.

    Attributes:
        names: `teacher_logits`.
        tabular: True: it is a table.
    """

    names = ("teacher_logits",)
    tabular = True
    remedy = "Check that each row stands beside its own id, and the order of the columns."

    def __init__(self, stored: Stored, target: Target) -> None:
        self.stored, self.target = stored, target
        self.label, self.classes = f"file {stored.path}", stored.classes
        self.shapes = {"teacher_logits": stored.logits.shape[1:]}
        self.table_bytes = stored.logits[:1].nbytes * len(target.rows)
        self.table = stored.rows(target.manifest.ids[target.rows])

    def outputs(self, batch: Mapping[str, Any]) -> Outputs:
        """Logits of a batch, by training row."""
        if "teacher_logits" in batch:
            return Outputs(batch["teacher_logits"])
        return Outputs(tf.gather(tf.constant(self.table), batch["rows"]))

    def compute(self, views: Any, rows: Any, count: int) -> dict[str, Any]:
        """The table of some rows, arrays (rows, classes); there is one view."""
        return {"teacher_logits": self.logits(views, rows)}

    def feed(self) -> Any:
        """None: a step finds its rows."""
        return None

    def logits(self, views: Any, rows: Any) -> Any:
        """float32 (rows, classes), or None where the file lacks a row."""
        return self.stored.rows(views.manifest.ids[rows])

    def reference(self) -> dict[str, Any]:
        """Where it came from."""
        path = self.stored.path
        return {"file": str(path.resolve()), "sha256": files.sha256(path)}


def shown(ids: Any, most: int = 5) -> str:
    """Names for a message: the first few, and how many there are."""
    ids = [str(i) for i in ids]
    return ", ".join(ids[:most]) + (f", … ({len(ids)} in all)" if len(ids) > most else "")
