"""What metadata.json says of a run, with a type: read without trusting the file."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from tlcli.data.resize import Resize
from tlcli.errors import ConfigError, DataError

FORMAT: Final = 1
# Left out of the file where they are None: not every run has them.
SOMETIMES = frozenset({"temperature", "validation_ece_before", "validation_ece_after",
                       "thresholds", "generations"})  # fmt: skip


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
        validation_ece_before: Calibration error without it.
        validation_ece_after: Calibration error with it.
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
    validation_ece_before: float | None = None
    validation_ece_after: float | None = None
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
        found = {}
        for name, reader in READERS.items():
            if name in values:
                try:
                    found[name] = reader(values[name])
                except ConfigError as error:
                    raise DataError(str(path), f"{error.where}: {error.problem}", REMEDY) from None
                except ValueError as problem:
                    raise DataError(str(path), f"{name} {problem}", REMEDY) from None
            elif name in REQUIRED:
                raise DataError(str(path), f"lacks {name}", REMEDY)
        facts = cls(**found)
        if facts.thresholds is not None and len(facts.thresholds) != len(facts.class_names):
            numbers = f"{len(facts.thresholds)} for {len(facts.class_names)} classes"
            raise DataError(str(path), f"thresholds are {numbers}", REMEDY)
        return facts

    def as_json(self) -> dict[str, Any]:
        """The content of the file, plain values."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}
        plain["resize"] = self.resize.as_dict()
        return {k: v for k, v in plain.items() if v is not None or k not in SOMETIMES}


REMEDY = "Restore or train again."
REQUIRED = ("class_names", "multi_label", "resize")
Reader = Callable[[Any], Any]


def _wrong(value: Any, wanted: str) -> ValueError:
    shown = repr(value)
    return ValueError(f"is {shown if len(shown) < 60 else shown[:56] + '…'}, and not {wanted}")


def _of(kinds: type | tuple[type, ...], wanted: str) -> Reader:
    """Takes values of some types as they are; a bool is no number."""
    known = kinds if isinstance(kinds, tuple) else (kinds,)

    def read(value: Any) -> Any:
        if not isinstance(value, known) or (isinstance(value, bool) and bool not in known):
            raise _wrong(value, wanted)
        return value

    return read


def _number(low: float, high: float = math.inf, above: bool = False) -> Reader:
    """Takes finite numbers of a range; its lower end is left out where `above`."""
    wanted = f"a number above {low:g}" if above else f"a number from {low:g}"
    wanted += "" if high == math.inf else f" to {high:g}"

    def read(value: Any) -> Any:
        _of((int, float), wanted)(value)
        if not (math.isfinite(value) and low <= value <= high) or (above and value == low):
            raise _wrong(value, wanted)
        return value

    return read


def _or_none(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def _each(reader: Reader) -> Reader:
    """Takes lists; gives a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong(value, "a list")
        return tuple(map(reader, value))

    return read


def _by_name(reader: Reader) -> Reader:
    """Takes mappings."""

    def read(value: Any) -> dict[str, Any]:
        return {name: reader(one) for name, one in _MAPPING(value).items()}

    return read


def _names(value: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = _each(_TEXT)(value)
    if not names or len(set(names)) != len(names):
        raise _wrong(value, "a list of different names")
    return names


def _plugin(value: Any) -> Mapping[str, str]:
    found: Mapping[str, str] = _by_name(_TEXT)(value)
    if missing := {"group", "option", "package", "version"} - found.keys():
        raise ValueError(f"names no {_listed(missing)}")
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


_TEXT = _of(str, "a text")
_MAPPING = _of(dict, "a mapping")
_NUMBER = _of((int, float), "a number")
_WHOLE = _of(int, "a whole number")
READERS: dict[str, Reader] = {
    "format": _WHOLE,
    "tlcli": _TEXT,
    "class_names": _names,
    "multi_label": _of(bool, "true or false"),
    "resize": lambda value: Resize.from_dict(_MAPPING(value)),
    "head": _or_none(_MAPPING),
    "abstain_below": _or_none(_number(0.0, 1.0)),
    "temperature": _or_none(_number(0.0, above=True)),
    "validation_ece_before": _or_none(_NUMBER),
    "validation_ece_after": _or_none(_NUMBER),
    "thresholds": _or_none(_each(_number(0.0, 1.0))),
    "seed": _or_none(_WHOLE),
    "data_fingerprint": _or_none(_TEXT),
    "data_root": _or_none(_TEXT),
    "parameters": _or_none(_WHOLE),
    "metrics": _by_name(_MAPPING),
    "versions": _by_name(_TEXT),
    "git_commit": _or_none(_TEXT),
    "best_epoch": lambda value: () if value is None else _each(_WHOLE)(value),
    "mixing": _or_none(_number(0.0, 1.0)),
    "teacher": _or_none(_MAPPING),
    "fidelity": _or_none(_MAPPING),
    "peers": _or_none(_MAPPING),
    "seconds": _or_none(_number(0.0)),
    "plugins": lambda value: () if value is None else _each(_plugin)(value),
    "sha256": lambda value: {} if value is None else _by_name(_TEXT)(value),
    "generations": _or_none(_MAPPING),
}
