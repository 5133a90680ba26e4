"""Teachers: trained classifiers, or their stored logits, that a student learns from.

Each option has

    is_teacher: bool            class variable; False for `none` alone
    minimum_accuracy: float | None
        field; validation accuracy below which the training is refused; null asks for more than
        chance
    cache: "auto" | "off" | folder
        field of those that are run (see `_common.Computed`); where outputs are stored

    def known_classes(self) -> names or None
        The teacher's classes, for photos that have none.

    def build(self, target: Target) -> built teacher (see `_network.NetworkTeacher`)
        Reads the teacher, brings its classes into the student's order, freezes it. A built teacher
        gives `outputs(batch)` in the step, `compute(views, rows, count)` for tables, `feed()` for
        what tf.data adds to a batch (or None), `logits(views, rows)` for figures, `reference()`
        for metadata, `label` for the plan.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a teacher has to fit.

    Attributes:
        manifest: The student's data.
        side: Pixels of a side of the images that the student sees.
        rows: Manifest rows of the training split, int64 (samples,).
        views: The student's training views.
        needs: Signals that the method wants beyond logits.
        tables: Cache of frozen outputs.
        memory: Bytes that tables may take.
        plain: The evaluation views of the same data.
        layers: Layers of the teacher that give its maps, or None for one a stage.
    """

    manifest: Any
    side: int
    rows: Any
    views: Any
    needs: frozenset[str]
    tables: Any
    memory: float
    plain: Any = None
    layers: tuple[str, ...] | None = None
