"""Feature maps of two models brought together: layout, size and the choice of stages."""

import functools
import math
from typing import Any, Literal

from tlcli.contracts.distillation import Shape
from tlcli.errors import ConfigError
from tlcli.lazy import Tensor, np, ops

# Where two maps of different sizes meet: at the teacher's, at the smaller of both, or nowhere.
Meeting = Literal["teacher", "smaller", "apart"]


def grid(tokens: int) -> tuple[int, int]:
    """Side of the square that tokens fill, and how many class tokens (0 or 1) precede it.

    Raises:
        ConfigError: Neither `tokens` nor `tokens - 1` is a square.
    """
    for extra in (0, 1):
        side = math.isqrt(tokens - extra)
        if side and side * side == tokens - extra:
            return side, extra
    raise ConfigError(
        "distillation",
        f"a feature of {tokens} tokens is not a square grid",
        "Choose stages that are maps, or a method on embeddings.",
    )


def to_map(features: Tensor) -> Tensor:
    """A map (batch, height, width, channels) as it is, or tokens laid out as one.

    Args:
        features: Map, or tokens (batch, tokens, channels); a leading class token is dropped.
    """
    if len(features.shape) == 4:
        return features
    side, extra = grid(features.shape[1])
    return ops.reshape(features[:, extra:], (-1, side, side, features.shape[2]))


def map_shape(shape: Shape) -> tuple[int, int, int]:
    """(height, width, channels) of what `to_map` makes of a shape without its batch.

    Raises:
        ConfigError: Neither a map nor tokens of a square grid.
    """
    if len(shape) not in (2, 3):
        raise ConfigError(
            "distillation", f"an output of shape {shape} is no map",
            "Name layers that give maps (height, width, channels) or tokens (tokens, channels).",
        )  # fmt: skip
    if len(shape) == 3:
        return (int(shape[0]), int(shape[1]), int(shape[2]))
    side, _ = grid(shape[0])
    return (side, side, int(shape[1]))


@functools.lru_cache(maxsize=256)
def resize_matrix(before: int, after: int, nearest: bool = False) -> Any:
    """Weights (after, before) that resize one axis, rows sum to 1, float32.

    Shrinking averages over adaptive bins, so that no pixel is skipped; growing is bilinear with
    half-pixel centres. `nearest` repeats pixels in both directions.
    """
    weights = np.zeros((after, before), "float32")
    for row in range(after):
        if nearest:
            weights[row, row * before // after] = 1.0
        elif after < before:
            first, last = row * before // after, -(-(row + 1) * before // after)
            weights[row, first:last] = 1.0 / (last - first)
        else:
            centre = min(max((row + 0.5) * before / after - 0.5, 0.0), before - 1.0)
            left = min(int(centre), max(before - 2, 0))
            weights[row, left] += 1.0 - (centre - left)
            weights[row, min(left + 1, before - 1)] += centre - left
    return weights


def resized(features: Tensor, height: int, width: int, nearest: bool = False) -> Tensor:
    """The map at another size, float (batch, height, width, channels); see `resize_matrix`."""
    if features.shape[1] != height:
        rows = resize_matrix(features.shape[1], height, nearest)
        features = ops.einsum("bhwc,yh->bywc", features, rows)
    if features.shape[2] != width:
        columns = resize_matrix(features.shape[2], width, nearest)
        features = ops.einsum("bhwc,xw->bhxc", features, columns)
    return features


def common_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps at the smaller height and width of both; the bigger is averaged down."""
    height = min(first.shape[1], second.shape[1])
    width = min(first.shape[2], second.shape[2])
    return resized(first, height, width), resized(second, height, width)


def stage_pairs(
    student: tuple[Shape, ...],
    teacher: tuple[Shape, ...],
    stages: tuple[int, ...] | None,
    default: tuple[int, ...],
) -> list[tuple[int, int]]:
    """Indices of the student's and the teacher's maps that are compared.

    `stages` counts the student's maps, negative from the deepest. The teacher's partner has the
    same index when both have as many maps; else it is the map nearest in spatial size (ratio of
    areas), the deepest of equals.

    Args:
        student: Shape of each of the student's maps.
        teacher: Shape of each of the teacher's maps.
        stages: Chosen stages, or None for those of `default` that exist.
        default: Negative indices.

    Raises:
        ConfigError: A chosen stage does not exist.
    """
    count = len(student)
    if stages is None:
        stages = tuple(i for i in default if -i <= count) or (-1,)
    for stage in stages:
        if not -count <= stage < count:
            raise ConfigError(
                "distillation.stages",
                f"got {stage}, and the student has {count} maps",
                f"Give numbers from {-count} to {count - 1}.",
            )
    chosen = [stage % count for stage in stages]
    if len(teacher) == count:
        return [(stage, stage) for stage in chosen]
    return [(stage, _nearest(map_shape(student[stage]), teacher)) for stage in chosen]


def _nearest(shape: Shape, candidates: tuple[Shape, ...]) -> int:
    """Index of the candidate of the nearest area; the last of equals."""
    area = math.log(shape[0] * shape[1])
    distances = [abs(math.log(h * w) - area) for h, w, _ in map(map_shape, candidates)]
    return max(i for i, d in enumerate(distances) if d <= min(distances) + 1e-9)


def bridge_text(student: Shape, teacher: Shape, connects: bool, meets: Meeting) -> str:
    """How a student's map and a teacher's are brought together, for the plan.

    Args:
        student: Shape of the student's map or tokens.
        teacher: The same of the teacher's.
        connects: Whether learned convolutions change the student's channels.
        meets: Where sizes that differ meet.
    """
    notes = []
    for name, shape in (("student", student), ("teacher", teacher)):
        if len(shape) == 2:
            notes.append("{}'s tokens as {}x{}".format(name, *map_shape(shape)))
    ours, theirs = map_shape(student), map_shape(teacher)
    if ours[2] != theirs[2]:
        learned = f"{ours[2]} to {theirs[2]} channels by convolution"
        notes.append(learned if connects else "channels may differ")
    if ours[:2] != theirs[:2]:
        size = theirs if meets == "teacher" else tuple(map(min, ours, theirs))
        who = "student resized" if meets == "teacher" else "averaged"
        told = "sizes may differ" if meets == "apart" else "{} to {}x{}".format(who, *size[:2])
        notes.append(told)
    return ", ".join(notes) or "alike"
