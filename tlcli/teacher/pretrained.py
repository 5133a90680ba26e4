"""A published ImageNet classifier, with its own head."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tlcli import options
from tlcli.errors import ConfigError
from tlcli.lazy import keras
from tlcli.teacher import Target
from tlcli.teacher._common import Computed


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
        from tlcli.teacher._network import NetworkTeacher, float32_policy

        with float32_policy():
            return NetworkTeacher(self._network(target), target, self)

    def _network(self, target: Target) -> Any:
        from tlcli import cache, imagenet
        from tlcli.teacher._network import Network, mapping_text

        option = self._option()
        places = self.places(target.manifest.class_names)
        if target.manifest.multi_label:
            raise ConfigError(
                "teacher", "an ImageNet classifier gives one label an image", "Give teacher=run."
            )
        side = option.default_image_size
        images = keras.Input((side, side, 3), dtype="uint8", name="images")
        pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(images)
        from tlcli import graph

        # Built on an input of its own: Keras follows other tensors back to theirs.
        own = keras.Input((side, side, 3), dtype="float32", name="body_images")
        classifier = option.build_classifier(own)
        model = keras.Model(images, graph.rerun(classifier, pixels), name="classifier")
        report = option.load_classifier(model)
        reference = {
            "backbone": self.backbone, "weights": report.source,
            "sha256": cache.weights_hash(model.variables),
        }  # fmt: skip
        return Network(
            model.inputs[0], penultimate(model), model.outputs[0], places,
            mapping_text(target.manifest.class_names, imagenet.class_names(), places),
            f"{self.backbone} ({report.source})", reference,
        )  # fmt: skip

    def _option(self) -> Any:
        from omegaconf import OmegaConf

        found = options.config_files("backbone")
        if self.backbone not in found:
            raise ConfigError(
                "teacher.backbone", f"no backbone is called {self.backbone!r}",
                options.nearest(self.backbone, found),
            )  # fmt: skip
        values: Any = OmegaConf.to_container(OmegaConf.load(found[self.backbone][0]))
        option = options.option_class("backbone", values["name"])
        if not hasattr(option, "build_classifier"):
            raise ConfigError(
                "teacher.backbone", f"{self.backbone} comes without a classifier",
                "Give one of keras.applications, as resnet50, or teacher=run.",
            )  # fmt: skip
        return options.build("backbone", {**values, "weights": self.weights})

    def places(self, names: tuple[str, ...]) -> list[int]:
        """Column of each of the student's classes among ImageNet's (see `imagenet_places`)."""
        return imagenet_places(self.classes, names)


def imagenet_places(classes: dict[str, str] | None, names: tuple[str, ...]) -> list[int]:
    """Column of each of the student's classes among ImageNet's.

    Args:
        classes: ImageNet label or WordNet id of each class; None when the names are such.
        names: The student's classes.

    Raises:
        ConfigError: A class without an ImageNet label, or with one that two classes share.
    """
    from tlcli import imagenet
    from tlcli.teacher._network import class_places

    given = classes if classes is not None else {name: name for name in names}
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(
            "teacher.classes", f"has no entry for {', '.join(missing[:8])}",
            "Give each class an ImageNet label or WordNet id.",
        )  # fmt: skip
    labels, ids = imagenet.class_names(), imagenet.wnids()
    counts = Counter(labels)
    wanted = [given[name] for name in names]
    shared = [label for label in wanted if counts[label] > 1]
    if shared:
        raise ConfigError(
            "teacher.classes", f"two ImageNet classes are called {shared[0]}",
            f"Give the WordNet id: {ids[labels.index(shared[0])]} is the first.",
        )  # fmt: skip
    as_labels = [labels[ids.index(word)] if word in ids else word for word in wanted]
    found = class_places(as_labels, labels, "teacher.classes")
    return [ids.index(w) if w in ids else p for w, p in zip(wanted, found, strict=True)]


def penultimate(model: Any) -> Any:
    """What the classifier's last dense layer sees, (batch, dim), or None where it is a map."""
    from tlcli import graph

    dense = [c for c in graph.trace(model).calls if isinstance(c.layer, keras.layers.Dense)]
    seen = dense[-1].inputs[0] if dense else None
    return seen.tensor if seen is not None and len(seen.shape) == 2 else None
