"""The backbone of an earlier run, and its head as far as the classes are the same."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tlcli.config import bundled, registry
from tlcli.contracts import backbone
from tlcli.contracts.backbone import HeadReport, LoadReport
from tlcli.errors import ConfigError, DataError, require
from tlcli.lazy import Tensor
from tlcli.runs import sealed
from tlcli.runs.facts import Facts

LARGEST_CONFIG = 1_000_000
# Of a head, what changes nothing of what its weights mean.
STARTING = ("dropout", "zero_init")


@dataclass(frozen=True)
class Backbone(backbone.Backbone):
    """Continues where `tl train` stopped, on other data or with another head.

    Attributes:
        run: Folder of the earlier run, with `config.json` and `model.weights.h5`.
        config: The earlier run's own `backbone` options; null to read them from the run.
        weights: "run", "none", or the path of a weights file.
        output_layer: Name of the layer where the backbone is cut; null for where the run cut it.
        batch_norm: What the training loop does with the statistics.
    """

    run: str
    config: dict[str, Any] | None
    weights: str
    output_layer: str | None
    batch_norm: Literal["frozen", "train", "adapt"]

    def __post_init__(self) -> None:
        require(self.run, "backbone.run", self.run, "Give the folder of an earlier run.")

    @property
    def folder(self) -> Path:
        """The run's folder, unpacked where it is one file.

        Raises:
            DataError: It is packed, and damaged.
        """
        return bundled.located(self.run, "backbone.run")

    @property
    def default_image_size(self) -> int:  # type: ignore[override]  # a field elsewhere
        """Pixels of a side that the earlier run's backbone was made for."""
        return int(self.inner().default_image_size)

    def resolved(self) -> "Backbone":
        """The same option with `config` filled in: it can be rebuilt without the earlier run."""
        return self if self.config is not None else replace(self, config=self._read_config())

    def inner(self) -> Any:
        """The earlier run's backbone option.

        Raises:
            ConfigError: The run has no readable configuration.
        """
        values = self.config if self.config is not None else self._read_config()
        return registry.build("backbone", values)

    def build(self, images: Tensor) -> Any:
        """The earlier run's backbone, cut at `output_layer`, randomly initialised.

        Args:
            images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.

        Returns:
            Functional model images → features.
        """
        from tlcli.models.bounded import built_within, is_cut
        from tlcli.options.backbone._graph import cut

        run, values = self.folder, self.config or self._read_config()
        filled = [run / "model.weights.h5"] if self.weights == "run" and not is_cut(values) else []
        with built_within(*filled, config=run / "config.json"):
            return cut(self.inner().build(images), self.output_layer)

    def load(self, model: Any) -> LoadReport:
        """Put the run's weights into what `build` made.

        Raises:
            ConfigError: The run has no weights, or not all that the backbone needs.
        """
        if self.weights == "none":
            return LoadReport("random")
        from tlcli.models.by_name import load_by_name

        if self.weights != "run":
            return load_by_name(model, self.weights)
        path = self.folder / "model.weights.h5"
        if not path.is_file():
            raise ConfigError(
                "backbone.run", f"{self.run} has no {path.name}", "Let the run finish first."
            )
        report = load_by_name(model, path, "backbone.run")
        if report.missing:
            raise DataError(
                str(path),
                f"lacks {report.missing[0]} ({len(report.missing)} layers in all)",
                "Give a run whose files belong together.",
            )
        return report

    def load_head(
        self, model: Any, head: Mapping[str, Any], class_names: Sequence[str]
    ) -> HeadReport:
        """Take over the rows of the classes that the run has too, if the head is the same."""
        if self.weights != "run":
            return HeadReport()
        values, facts = self._described()
        if facts is None:
            return HeadReport(self.run, why="the run does not name its classes")
        shared = tuple(name for name in class_names if name in facts.class_names)
        if not shared:
            return HeadReport(self.run, why="none of these classes is one of the run's")
        if self.output_layer is not None:
            return HeadReport(self.run, why="the backbone is cut elsewhere than the run's")
        other = HeadReport(self.run, why="the run has another head")
        if _meaning(facts.head or values.get("head") or {}) != _meaning(head):
            return other
        if facts.head and tuple(class_names) != facts.class_names:
            return other
        from tlcli.models.head_rows import take_over

        path = self.folder / "model.weights.h5"
        fits = take_over(model, path, facts.class_names, class_names)
        return HeadReport(self.run, shared) if fits else other

    def _read_config(self) -> dict[str, Any]:
        values, facts = self._described()
        if facts is not None:
            registry.require_plugins(facts.plugins, ("backbone",), self.run)
        backbone = values.get("backbone")
        if not isinstance(backbone, Mapping):
            path = self.folder / "config.json"
            raise DataError(str(path), "has no backbone", "Give a run of tl train.")
        return dict(backbone)

    def _described(self) -> tuple[Mapping[str, Any], Facts | None]:
        """The run's configuration and what it says of itself, if it does."""
        path = self.folder / "config.json"
        if not path.is_file():
            raise ConfigError(
                "backbone.run", f"{self.run} has no {path.name}", "Give the folder of a run."
            )
        metadata = path.with_name("metadata.json")
        if not metadata.is_file():
            if os.path.lexists(path.with_name(sealed.SEAL)):
                # A finished run, whose files nobody can compare with what was written.
                raise DataError(str(metadata), "is missing", "Restore it, or give another run.")
            return _read(path), None
        facts = Facts.from_json(_read(metadata), metadata)
        sealed.check(self.folder, facts)
        return _read(path), facts


def _meaning(head: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a head's description decides what its weights mean, as JSON has it."""
    kept = {k: v for k, v in head.items() if k not in STARTING}
    if isinstance(kept.get("head"), Mapping):  # A borrowed one.
        kept["head"] = _meaning(kept["head"])
    return dict(json.loads(json.dumps(kept)))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError("too large")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(str(path), f"not readable ({error})", "Give another run.") from error
    if not isinstance(found, Mapping):
        raise DataError(str(path), "is no JSON object", "Give a run of tl train.")
    return found
