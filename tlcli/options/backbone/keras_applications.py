"""The 40 ImageNet classifiers of keras.applications, by constructor name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tlcli.contracts import backbone
from tlcli.contracts.backbone import LoadReport
from tlcli.errors import ConfigError, nearest, require
from tlcli.lazy import Tensor, keras

CONSTRUCTORS = (
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201",
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3",
    "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7",
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3",
    "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
    "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small",
    "NASNetLarge", "NASNetMobile",
    "ResNet101", "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2",
    "VGG16", "VGG19", "Xception",
)  # fmt: skip
WIDTHS = {
    "MobileNet": (0.25, 0.5, 0.75, 1.0),
    "MobileNetV2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    "MobileNetV3Large": (0.75, 1.0),
    "MobileNetV3Small": (0.75, 1.0),
}
# Only these have a weights file a size; every other size takes the file of 224.
SIZES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone(backbone.Classifier):
    """A convolutional network trained on ImageNet, without its top.

    Attributes:
        constructor: Name of the function in keras.applications.
        default_image_size: Pixels of a side that the weights were trained at.
        weights: "imagenet", "none", or the path of a `.h5` or `.weights.h5` file.
        alpha: Width multiplier of the MobileNets; null for all others.
        output_layer: Name of the layer where the backbone is cut; null for its last one.
        preprocessing: What the weights expect of RGB 0-255; "inside" if the network does it.
        batch_norm: What the training loop does with the statistics.
    """

    constructor: str
    default_image_size: int
    weights: str
    alpha: float | None
    output_layer: str | None
    preprocessing: Literal["caffe", "tf", "torch", "inside"]
    batch_norm: Literal["frozen", "train", "adapt"]

    resizable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(
            self.constructor in CONSTRUCTORS,
            "backbone.constructor",
            self.constructor,
            nearest(self.constructor, CONSTRUCTORS),
        )
        smallest = SMALLEST.get(self.constructor, 32)
        require(
            self.default_image_size >= smallest,
            "backbone.default_image_size",
            self.default_image_size,
            f"Give {smallest} or more.",
        )
        if self.constructor in WIDTHS:
            self._check_width()
        else:
            require(self.alpha is None, "backbone.alpha", self.alpha, "Give null: one width only.")

    def _check_width(self) -> None:
        widths = WIDTHS[self.constructor]
        require(
            self.alpha is not None and self.alpha > 0,
            "backbone.alpha",
            self.alpha,
            "Give a number above 0.",
        )
        require(
            self.weights != "imagenet" or self.alpha in widths,
            "backbone.alpha",
            self.alpha,
            f"With weights=imagenet give one of {', '.join(map(str, widths))}.",
        )

    def build(self, images: Tensor) -> Any:
        """The network without its top, cut at `output_layer`, randomly initialised.

        Args:
            images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.

        Returns:
            Functional model images → features (batch, height, width, channels).
        """
        from tlcli.options.backbone._graph import cut

        return cut(self._network(images, include_top=False), self.output_layer)

    def load(self, model: Any) -> LoadReport:
        """Put the pretrained weights into what `build` made.

        Raises:
            ConfigError: No such file, or none of its layers fit.
        """
        return self._load(model, include_top=False)

    def build_classifier(self, images: Tensor) -> Any:
        """The network with its ImageNet top, randomly initialised; the softmax is left out.

        Args:
            images: KerasTensor float32 (batch, height, width, 3), RGB 0-255.

        Returns:
            Functional model images → logits float32 (batch, 1000).
        """
        network = self._network(images, include_top=True)
        logits = keras.layers.Activation("linear", dtype="float32", name="classifier_logits")
        return keras.Model(network.inputs, logits(network.output), name=network.name)

    def load_classifier(self, model: Any) -> LoadReport:
        """Put the pretrained weights, top included, into what `build_classifier` made.

        Raises:
            ConfigError: No such file, or the file lacks layers of the classifier.
        """
        report = self._load(model, include_top=True)
        if report.missing and self.weights != "none":
            raise ConfigError(
                "backbone.weights",
                f"{report.source} gives no weights to {', '.join(report.missing[:3])}",
                "Give the weights of the whole classifier, top included, at its own image size.",
            )
        return report

    def _constructor(self) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(keras.applications, self.constructor)
        return found

    def _arguments(self) -> dict[str, Any]:
        return {} if self.alpha is None else {"alpha": self.alpha}

    def _network(self, images: Tensor, include_top: bool) -> Any:
        from tlcli.models.preprocessing import preprocess
        from tlcli.options.backbone._graph import fresh_names

        self._check_side(images.shape[1], include_top)
        top = {"classifier_activation": None} if include_top else {}
        with fresh_names():
            network = self._constructor()(
                weights=None,
                include_top=include_top,
                input_tensor=preprocess(images, self.preprocessing),
                **self._arguments(),
                **top,
            )
        return self._with_deviations(network, images)

    def _check_side(self, side: int | None, include_top: bool) -> None:
        smallest = SMALLEST.get(self.constructor, 32)
        require(
            side is None or side >= smallest,
            "data.image_size",
            side,
            f"{self.constructor} takes {smallest} or more.",
        )
        if include_top and self.constructor.startswith("VGG"):
            require(side == 224, "data.image_size", side, "The classifier takes 224 only.")

    def _with_deviations(self, network: Any, images: Tensor) -> Any:
        """EfficientNet B0-B7 with the division by sqrt(std) that its ImageNet weights expect.

        Keras adds it only when it fetches the weights itself; the same file given by path would
        meet inputs of another scale. Here it is always part of the graph.
        """
        from tlcli.options.backbone._graph import replay

        if not self.constructor.startswith("EfficientNetB"):
            return network
        scale = [1 / math.sqrt(deviation) for deviation in IMAGENET_STD]

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            outputs = layer(*args, **kwargs)
            if isinstance(layer, keras.layers.Normalization):
                return keras.layers.Rescaling(scale, name="rescaling_1")(outputs)
            return outputs

        return replay(network, images, images, call)

    def _load(self, model: Any, include_top: bool) -> LoadReport:
        if self.weights == "none":
            return LoadReport("random")
        if self.weights == "imagenet":
            return self._load_imagenet(model, include_top)
        from tlcli.models.by_name import load_by_name

        return load_by_name(model, self.weights)

    def _load_imagenet(self, model: Any, include_top: bool) -> LoadReport:
        from tlcli.config import published
        from tlcli.models import weight_cache
        from tlcli.models.by_name import copy_by_name
        from tlcli.options.backbone._graph import fresh_names
        from tlcli.system import console, opened

        side, option = model.inputs[0].shape[1] or 224, published.option_of(self.constructor)
        wanted = published.files_of(option, self.alpha, include_top, side)
        with console.fetching() as told:
            found = weight_cache.ready(wanted, told)
        path = weight_cache.folder() / found.file
        shape = (found.pixels, found.pixels, 3) if self.constructor in SIZES else None
        # Keras fits a file's layers in order: its automatic names depend on the process that wrote.
        with fresh_names(), opened.reading(path, "Run tl weights verify."):
            source = self._constructor()(
                weights=str(path), include_top=include_top, input_shape=shape, **self._arguments()
            )
        instead = "" if found == wanted[0] else f", its file of {found.pixels} px"
        return copy_by_name(source, model, f"imagenet ({self.constructor}{instead})")
