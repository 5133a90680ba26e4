"""A published ImageNet classifier, with its own head."""

from dataclasses import dataclass
from typing import Any

from tlcli.config import registry
from tlcli.contracts.backbone import Classifier
from tlcli.contracts.teacher import Target
from tlcli.distill.class_places import imagenet_places
from tlcli.errors import ConfigError, nearest
from tlcli.lazy import keras
from tlcli.options.teacher._common import Computed


@dataclass(frozen=True)
class Teacher(Computed):
    """A backbone option with the 1,000-class head that its weights come with.

    Attributes:
        backbone: Name of a backbone option.
        weights: "imagenet", or the path of the whole classifier's weights.
        classes: ImageNet label or WordNet id of each of the student's classes; None when the
            class names are such labels themselves.
    """

    backbone: str
    weights: str
    classes: dict[str, str] | None

    def known_classes(self) -> tuple[str, ...] | None:
        """Those that `classes` maps."""
        return None if self.classes is None else tuple(self.classes)

    def build(self, target: Target) -> Any:
        """The teacher.

        Raises:
            ConfigError: No such backbone, one without a classifier, or classes it does not know.
        """
        from tlcli.distill.network import float32_policy
        from tlcli.distill.network_teacher import NetworkTeacher

        with float32_policy():
            return NetworkTeacher(self._network(target), target, self)

    def _network(self, target: Target) -> Any:
        from tlcli.distill.class_places import mapping_text
        from tlcli.distill.network import Network
        from tlcli.models.frozen.network import weights_hash
        from tlcli.models.imagenet import class_names

        option = self._option()
        places = self.places(target.manifest.class_names)
        if target.manifest.multi_label:
            raise ConfigError(
                "teacher", "an ImageNet classifier gives one label an image", "Give teacher=run."
            )
        side = option.default_image_size
        images = keras.Input((side, side, 3), dtype="uint8", name="images")
        pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(images)
        from tlcli.models.graph.trace import rerun

        # Built on an input of its own: Keras follows other tensors back to theirs.
        own = keras.Input((side, side, 3), dtype="float32", name="body_images")
        classifier = option.build_classifier(own)
        model = keras.Model(images, rerun(classifier, pixels), name="classifier")
        report = option.load_classifier(model)
        reference = {
            "backbone": self.backbone, "weights": report.source,
            "sha256": weights_hash(model.variables),
        }  # fmt: skip
        return Network(
            model.inputs[0], penultimate(model), model.outputs[0], places,
            mapping_text(target.manifest.class_names, class_names(), places),
            f"{self.backbone} ({report.source})", reference,
        )  # fmt: skip

    def _option(self) -> Any:
        from omegaconf import OmegaConf

        found = registry.config_files("backbone")
        if self.backbone not in found:
            raise ConfigError(
                "teacher.backbone", f"no backbone is called {self.backbone!r}",
                nearest(self.backbone, found),
            )  # fmt: skip
        values: Any = OmegaConf.to_container(OmegaConf.load(found[self.backbone][0]))
        option = registry.option_class("backbone", values["name"])
        if not issubclass(option, Classifier):
            raise ConfigError(
                "teacher.backbone", f"{self.backbone} comes without a classifier",
                "Give one of keras.applications, as resnet50, or teacher=run.",
            )  # fmt: skip
        return registry.build("backbone", {**values, "weights": self.weights})

    def places(self, names: tuple[str, ...]) -> list[int]:
        """Column of each of the student's classes among ImageNet's (see `imagenet_places`)."""
        return imagenet_places(self.classes, names)


def penultimate(model: Any) -> Any:
    """What the classifier's last dense layer sees, (batch, dim), or None where it is a map."""
    from tlcli.models.graph.trace import trace

    dense = [c for c in trace(model).calls if isinstance(c.layer, keras.layers.Dense)]
    seen = dense[-1].inputs[0] if dense else None
    return seen.tensor if seen is not None and len(seen.shape) == 2 else None
