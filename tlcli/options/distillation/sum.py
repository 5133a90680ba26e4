"""Several methods at once: the sum of their terms."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli.contracts.distillation import NO_STATE, Batch, Outputs, Shape, Shapes, State
from tlcli.errors import ConfigError, require
from tlcli.lazy import Tensor
from tlcli.options.distillation._common import FeatureMethod, Method, scheduled

_LAYERS = ("student_layers", "teacher_layers")


@dataclass(frozen=True)
class Distillation(Method):
    """Σ weight · term of each method, in its own weights and schedule.

    Attributes:
        methods: List of names, or of mappings {name: METHOD, weight: FACTOR, OPTION: VALUE, …}; or
            one mapping {METHOD: {weight: FACTOR, OPTION: VALUE, …}, …}. `weight` is 1 when left
            out; options left out have the values of the method's YAML. `hard_weight` belongs to
            the sum alone.
        student_layers: Layers whose outputs are the student's maps, for all methods on maps.
        teacher_layers: The same of the teacher.
    """

    methods: tuple[Any, ...] | dict[str, Any]
    student_layers: tuple[str, ...] | None
    teacher_layers: tuple[str, ...] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        remedy = "Give a list, as [kd,at]."
        require(len(self.methods) > 0, "distillation.methods", self.methods, remedy)
        require(self.parts, "distillation.methods", self.methods, remedy)
        named = {k: getattr(self, k) for k in _LAYERS}
        for field, layers in named.items():
            used = layers is None or any(
                isinstance(method, FeatureMethod) for _, method in self.parts
            )
            remedy = "Leave it out: no method of the list compares maps."
            require(used, f"distillation.{field}", layers, remedy)

    @property
    def student_taps(self) -> tuple[str, ...] | None:
        """Layers that give the student's maps."""
        return self.student_layers

    @property
    def teacher_taps(self) -> tuple[str, ...] | None:
        """Layers that give the teacher's maps."""
        return self.teacher_layers

    @functools.cached_property
    def parts(self) -> tuple[tuple[float, Any], ...]:
        """Factor and method object of each part."""
        layers = {k: getattr(self, k) for k in _LAYERS}
        return tuple(_part(f"distillation.methods[{i}]", entry, layers)
                     for i, entry in enumerate(_entries(self.methods)))  # fmt: skip

    @property
    def needs(self) -> frozenset[str]:
        """Signals that any of the methods needs beyond logits."""
        return frozenset().union(*(method.needs for _, method in self.parts))

    @property
    def needs_teacher(self) -> bool:  # type: ignore[override]
        """Whether any of the methods needs a teacher."""
        return any(method.needs_teacher for _, method in self.parts)

    @property
    def projector(self) -> dict[str, Any] | None:
        """Of the first method that replaces the student's head, or None."""
        found = (method.projector for _, method in self.parts)
        return next((projector for projector in found if projector is not None), None)

    @property
    def multi_label_ok(self) -> bool:  # type: ignore[override]
        """Whether all of the methods take independent classes."""
        return all(method.multi_label_ok for _, method in self.parts)

    def checked(self, shapes: Shapes) -> None:
        """Refuse what any of the methods refuses.

        Raises:
            ConfigError: See the methods.
        """
        for _, method in self.parts:
            method.checked(shapes)

    def state(self, shapes: Shapes) -> State:
        """The states of the methods in one layer."""
        states = [method.state(shapes) for _, method in self.parts]
        if all(state is NO_STATE for state in states):
            return NO_STATE
        from tlcli.options.distillation._states import States

        return States(states)

    def compared(
        self, kind: str, student: Sequence[Shape], teacher: Sequence[Shape]
    ) -> list[tuple[int, int]] | None:
        """Those of all methods, each once."""
        found = [method.compared(kind, student, teacher) for _, method in self.parts]
        every = [pair for pairs in found for pair in pairs or ()]
        return None if None in found else list(dict.fromkeys(every))

    def bridges(self, shapes: Shapes) -> list[tuple[int, int, str]]:
        """Those of all methods, each once."""
        found = [bridge for _, method in self.parts for bridge in method.bridges(shapes)]
        return list(dict.fromkeys(found))

    def term(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any) -> Tensor:
        """Weighted sum of the methods' terms, float32 (batch,)."""
        total = 0.0
        for index, (weight, method) in enumerate(self.parts):
            part = _of(state, index)
            total += weight * method.loss(batch, student, teacher, part)
        return total

    def terms(self, batch: Batch, student: Outputs, teacher: Any, state: Any) -> dict[str, Tensor]:
        """Weighted term of each method by name, numbered where one comes again."""
        outer = self.full_weight * scheduled(self.warmup_epochs, self.decay, batch)
        found: dict[str, Tensor] = {}
        for index, (weight, method) in enumerate(self.parts):
            part = _of(state, index)
            for name, values in method.terms(batch, student, teacher, part).items():
                key = name if name not in found else f"{name}#{index + 1}"
                found[key] = outer * weight * values
        return found

    @property
    def shares(self) -> Mapping[str, float]:
        """The share of each method, its weight here in it."""
        found: dict[str, float] = {}
        for index, (weight, method) in enumerate(self.parts):
            for name, share in method.shares.items():
                key = name if name not in found else f"{name}#{index + 1}"
                found[key] = self.full_weight * weight * share
        return found

    @property
    def settled_after(self) -> float:
        """Epochs of the longest rise."""
        longest: float = max((method.settled_after for _, method in self.parts), default=0.0)
        return max(self.warmup_epochs, longest)

    def weighed(self, gradients: Mapping[str, float], labels: float) -> dict[str, Any]:
        """The methods with the weights that each chooses for itself.

        A method's `weight` here and the sum's own factor go on top of what it chooses.
        """
        names, waits = list(gradients), False
        entries = [dict(_named(entry)) for entry in _entries(self.methods)]
        for index, (weight, method) in enumerate(self.parts):
            outer = self.full_weight * weight
            own = {n: g / outer for n, g in gradients.items() if n == names[index] and outer}
            found = method.weighed(own, labels)
            waits = waits or bool(found)
            entries[index] |= found
        return {"methods": entries} if waits else {}

    def update(self, batch: Batch, student: Outputs, teacher: Outputs, state: Any = None) -> None:
        """Move the memories of every method."""
        for index, (_, method) in enumerate(self.parts):
            method.update(batch, student, teacher, _of(state, index))

    def advance(self, batch: Batch, state: Any = None) -> list[tuple[Any, Tensor]]:
        """What follows the student in any of the methods."""
        return [pair for index, (_, method) in enumerate(self.parts)
                for pair in method.advance(batch, _of(state, index))]  # fmt: skip


def _of(state: State | None, index: int) -> State:
    """The state of one method."""
    return NO_STATE if state is None else state.of_method(index)


def _entries(methods: Any) -> list[Any]:
    """The methods as a list of names or mappings with a name."""
    if not isinstance(methods, Mapping):
        return list(methods)
    entries = []
    for name, options in methods.items():
        place = f"distillation.methods.{name}"
        good = options is None or isinstance(options, Mapping)
        require(good, place, options, "Give its options as a mapping, or {}.")
        entries.append({"name": name, **(options or {})})
    return entries


def _named(entry: Any) -> Any:
    """An entry as a mapping with a name."""
    return {"name": entry} if isinstance(entry, str) else entry


def _part(where: str, entry: Any, layers: dict[str, Any]) -> tuple[float, Any]:
    """Factor and checked method of one entry, options over its YAML's.

    Args:
        where: Its place in the configuration.
        entry: A name or a mapping.
        layers: What every method on maps gets.

    Raises:
        ConfigError: Unknown method or option, wrong type or range.
    """
    given = _named(entry)
    named = isinstance(given, Mapping) and isinstance(given.get("name"), str)
    require(named, where, entry, "Give a method's name, or {name: METHOD, …}.")
    given = dict(given)
    weight = given.pop("weight", 1.0)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool) and weight >= 0
    require(is_number, f"{where}.weight", weight, "Give a number of at least 0.")
    foreign = ["name"] if given["name"] == "sum" else []
    foreign += [key for key in ("hard_weight", *_LAYERS) if key in given]
    if foreign:
        raise ConfigError(
            f"{where}.{foreign[0]}", "belongs to the sum itself", "Leave it out here."
        )
    return float(weight), _built(where, given, layers)


def _built(where: str, given: dict[str, Any], layers: dict[str, Any]) -> Any:
    """The method object; errors name the place in the list."""
    from tlcli.config import registry

    name = given.pop("name")
    defaults = registry.defaults("distillation", name, f"{where}.name")
    shared = layers if "student_layers" in defaults else {}
    try:
        return registry.build("distillation", {**defaults, **given, **shared})
    except ConfigError as error:
        place = where + error.where.removeprefix("distillation")
        raise type(error)(place, error.problem, error.remedy) from None
