"""What metadata.json says of a run, with a type: read without trusting the file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from tlcli.data.resize import Resize
from tlcli.errors import DataError
from tlcli.evaluation.conformal import Sets
from tlcli.evaluation.scaling import Scaling
from tlcli.runs.schema import (
    Reader,
    by_name,
    each,
    mapping,
    number,
    of,
    or_none,
    text,
    values_of,
    whole,
    wrong,
)

FORMAT: Final = 1
# Left out of the file where they are None: not every run has them.
SOMETIMES = frozenset({"temperature", "vector_scale", "vector_bias", "validation_ece_before",
                       "validation_ece_after", "conformal", "thresholds",
                       "generations"})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All of metadata.json, in the order of its keys; what a file of old lacks has its default.

    Attributes:
        format: Of the run folder.
        tlcli: Version that wrote it.
        class_names: In index order, all different.
        multi_label: Whether a picture may have several classes.
        resize: How pictures become squares.
        head: The head that it borrowed from its teacher, as `borrowed_head` writes it, or None.
        abstain_below: Confidence, in [0, 1], below which no class is named, or None.
        temperature: Divisor of the logits, above 0, fitted on validation; None when it was not.
        vector_scale: Factor of each class's logit, above 0, fitted on validation in place of a
            temperature, or None.
        vector_bias: What is added to it then, or None.
        validation_ece_before: Calibration error without it.
        validation_ece_after: Calibration error with it.
        conformal: What decides which classes the set of an image holds, or None.
        thresholds: One a class, in [0, 1], of a multi-label model; None when they were not fitted.
        seed: Of the training.
        data_fingerprint: Hash of the data.
        data_root: Where they lay.
        parameters: Weights of the model.
        metrics: Figures by split.
        versions: Of what it was made with.
        git_commit: Of the folder that the command was typed in, or None.
        best_epoch: Phase and epoch of the weights, or empty.
        mixing: Factor of WiSE-FT, in [0, 1], or None.
        teacher: Where the teacher came from, or None.
        fidelity: How near it is to its teacher, or None.
        peers: Figures of networks that were trained beside it, or None.
        seconds: Duration of the training, or None.
        plugins: Options of other packages, each `group`, `option`, `package` and `version`.
        sha256: Hash of each file by its name.
        generations: Figures of students in a row, or None.
    """

    format: int = FORMAT
    tlcli: str = ""
    class_names: tuple[str, ...]
    multi_label: bool
    resize: Resize
    head: Mapping[str, Any] | None = None
    abstain_below: float | None = None
    temperature: float | None = None
    vector_scale: tuple[float, ...] | None = None
    vector_bias: tuple[float, ...] | None = None
    validation_ece_before: float | None = None
    validation_ece_after: float | None = None
    conformal: Sets | None = None
    thresholds: tuple[float, ...] | None = None
    seed: int | None = None
    data_fingerprint: str | None = None
    data_root: str | None = None
    parameters: int | None = None
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    best_epoch: tuple[int, ...] = ()
    mixing: float | None = None
    teacher: Mapping[str, Any] | None = None
    fidelity: Mapping[str, Any] | None = None
    peers: Mapping[str, Any] | None = None
    seconds: float | None = None
    plugins: tuple[Mapping[str, str], ...] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    generations: Mapping[str, Any] | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any], path: Path) -> "Facts":
        """The facts of a file.

        Args:
            values: Its content; keys that are unknown here are passed over.
            path: The file, for messages.

        Raises:
            DataError: It is of another format, or a value is missing, of another type or out of
                its range.
        """
        if values.get("format") != FORMAT:
            raise DataError(
                str(path), f"has format {values.get('format')!r}",
                f"This tl reads format {FORMAT}; update it.",
            )  # fmt: skip
        try:
            found = values_of(values, READERS, REQUIRED)
        except ValueError as problem:
            raise DataError(str(path), str(problem), REMEDY) from None
        facts = cls(**found)
        classes = len(facts.class_names)
        for name in ("thresholds", "vector_scale", "vector_bias"):
            numbers = getattr(facts, name)
            if numbers is not None and len(numbers) != classes:
                told = f"{name} are {len(numbers)} for {classes} classes"
                raise DataError(str(path), told, REMEDY)
        if facts.conformal is not None and len(facts.conformal.thresholds) != classes:
            told = f"conformal has {len(facts.conformal.thresholds)} thresholds for {classes}"
            raise DataError(str(path), f"{told} classes", REMEDY)
        if (facts.vector_scale is None) != (facts.vector_bias is None):
            raise DataError(str(path), "has one of vector_scale and vector_bias", REMEDY)
        return facts

    @property
    def scaling(self) -> Scaling:
        """What calibrates the logits."""
        return Scaling(self.temperature or 1.0, self.vector_scale, self.vector_bias)

    def as_json(self) -> dict[str, Any]:
        """The content of the file, plain values."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}
        plain["resize"] = self.resize.as_dict()
        plain["conformal"] = self.conformal and self.conformal.as_json()
        return {k: v for k, v in plain.items() if v is not None or k not in SOMETIMES}


REMEDY = "Restore or train again."
REQUIRED = ("class_names", "multi_label", "resize")


def _names(value: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = each(text)(value)
    if not all(names) or not names or len(set(names)) != len(names):
        raise wrong(value, "a list of different names")
    return names


def _plugin(value: Any) -> Mapping[str, str]:
    found: Mapping[str, str] = by_name(text)(value)
    if missing := {"group", "option", "package", "version"} - found.keys():
        raise ValueError(f"names no {_listed(missing)}")
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _resize(value: Any) -> Resize:
    values = mapping(value)
    # Bounds before a network of that size is built.
    whole(1, LARGEST_SIDE)(values.get("size", 1))
    return Resize.from_dict(values)


def _sets(value: Any) -> Sets:
    found = values_of(mapping(value), SETS, tuple(SETS))
    if len(found["own"]) != len(found["thresholds"]):
        raise ValueError("has another number of own than of thresholds")
    return Sets.of(found)


def _hash(value: Any) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text(value)):
        raise wrong(value, "64 digits of 0-9 and a-f")
    return str(value)


LARGEST_SIDE = 4096
SETS: dict[str, Reader] = {
    "coverage": number(0.0, 1.0),
    "penalty": number(0.0, 1e6),
    "free": whole(0, 2**31 - 1),
    "thresholds": each(or_none(number(0.0, 1e12))),
    "own": each(of(bool, "true or false")),
}
# Figures are told, not computed with.
_SHARE = or_none(number(0.0, 1.0))
READERS: dict[str, Reader] = {
    "format": whole(1, FORMAT),
    "tlcli": text,
    "class_names": _names,
    "multi_label": of(bool, "true or false"),
    "resize": _resize,
    "head": or_none(mapping),
    "abstain_below": _SHARE,
    "temperature": or_none(number(0.0, 1e6, above=True)),
    "vector_scale": or_none(each(number(0.0, 1e6, above=True))),
    "vector_bias": or_none(each(number(-1e6, 1e6))),
    "validation_ece_before": _SHARE,
    "validation_ece_after": _SHARE,
    "conformal": or_none(_sets),
    "thresholds": or_none(each(number(0.0, 1.0))),
    "seed": or_none(whole(0, 2**31 - 1)),
    "data_fingerprint": or_none(text),
    "data_root": or_none(text),
    "parameters": or_none(whole(0, 2**50)),
    "metrics": by_name(by_name(number())),
    "versions": by_name(text),
    "git_commit": or_none(text),
    "best_epoch": lambda value: () if value is None else each(whole(0, 2**50))(value),
    "mixing": _SHARE,
    "teacher": or_none(mapping),
    "fidelity": or_none(mapping),
    "peers": or_none(mapping),
    "seconds": or_none(number(0.0)),
    "plugins": lambda value: () if value is None else each(_plugin)(value),
    "sha256": lambda value: {} if value is None else by_name(_hash)(value),
    "generations": or_none(mapping),
}
