"""Fields that every teacher has, and their checks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from tlcli.config import bundled
from tlcli.errors import require


def run_classes(path: str) -> tuple[str, ...]:
    """Names of the classes of a finished run.

    Raises:
        DataError: There is no such run, or it did not finish.
    """
    from tlcli.runs import checkpoint

    return checkpoint.read_facts(bundled.located(path, "teacher.path"))[1].class_names


@dataclass(frozen=True)
class Base:
    """What all teachers share.

    Attributes:
        minimum_accuracy: Least validation accuracy, in [0, 1]; None asks for more than chance.
    """

    minimum_accuracy: float | None

    is_teacher: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = self.minimum_accuracy
        require(
            least is None or 0 <= least <= 1,
            "teacher.minimum_accuracy", least, "Give a number in [0, 1], or null.",
        )  # fmt: skip

    def known_classes(self) -> tuple[str, ...] | None:
        """Names of its classes, for data that has none; None where it cannot tell."""
        return None


@dataclass(frozen=True)
class Computed(Base):
    """What all teachers share that are run on images.

    Attributes:
        cache: "auto" stores the teacher's outputs in the cache folder where views repeat, "off"
            computes them in each step; or a folder of their own.
        cache_format: "float32" is exact, "float16" is half of it; "top_k" keeps the likeliest
            classes and spreads the rest over the others (Shen & Xing 2022, arXiv:2112.01528);
            "auto" is float32 up to 256 classes and top_k above.
        cache_mass: Share of probability, in (0, 1), that top_k keeps in the mean.
        cache_classes: Most classes that top_k keeps.
    """

    cache: str
    cache_format: Literal["auto", "float32", "float16", "top_k"]
    cache_mass: float
    cache_classes: int

    def __post_init__(self) -> None:
        super().__post_init__()
        mass, most = self.cache_mass, self.cache_classes
        require(self.cache, "teacher.cache", self.cache, "Give auto, off or a folder.")
        require(0 < mass < 1, "teacher.cache_mass", mass, "Give a number in (0, 1).")
        require(most >= 1, "teacher.cache_classes", most, "Give 1 or more.")


@dataclass(frozen=True)
class Foreign(Computed):
    """What models of other programs share; pixels from 0 to 255 become (p * scale - mean) / std.

    Attributes:
        path: File or folder of the model.
        image_size: Pixels of a side that it sees; None for what its input says.
        layout: Order of its input; "auto" where the input's shape tells.
        scale: Factor of the pixels.
        mean: Subtracted from each colour.
        std: Divisor of each colour, above 0.
        output: Name of its output; None for the only one.
        kind: What the output is.
        class_names: Class of each column in order, or "imagenet"; None when they are the student's.
        classes: Name in `class_names` of each of the student's classes, where they differ.
    """

    path: str
    image_size: int | None
    layout: Literal["auto", "nchw", "nhwc"]
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str | None
    kind: Literal["logits", "probabilities"]
    class_names: Literal["imagenet"] | tuple[str, ...] | None
    classes: dict[str, str] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.image_size
        require(size is None or size >= 8, "teacher.image_size", size, "Give 8 or more, or null.")
        require(self.scale > 0, "teacher.scale", self.scale, "Give a number above 0.")
        require(len(self.mean) == 3, "teacher.mean", list(self.mean), "Give three numbers.")
        good = len(self.std) == 3 and min(self.std) > 0
        require(good, "teacher.std", list(self.std), "Give three numbers above 0.")
        alone = self.classes is not None and self.class_names is None
        require(not alone, "teacher.classes", self.classes, "Give teacher.class_names too.")

    def known_classes(self) -> tuple[str, ...] | None:
        """Those that it maps, else the names that were listed."""
        if self.classes is not None:
            return tuple(self.classes)
        return None if self.class_names in (None, "imagenet") else tuple(self.class_names or ())
