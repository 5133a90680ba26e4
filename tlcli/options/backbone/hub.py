"""Backbones of KerasHub, from a preset's name or a local preset folder."""

from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import backbone
from tlcli.contracts.backbone import LoadReport
from tlcli.errors import ConfigError, TlError, require
from tlcli.lazy import Tensor, keras
from tlcli.system import download
from tlcli.system.files import expanded
from tlcli.system.opened import open_regular


@dataclass(frozen=True)
class Backbone(backbone.Backbone):
    """An image backbone of KerasHub.

    Attributes:
        preset: Name, as dinov2_small, handle, as kaggle://…, or a folder with `config.json`.
        default_image_size: Pixels of a side that the weights were trained at.
        weights: "preset", "none", or the path of a `.weights.h5` file.
        output_layer: Name of the layer where the backbone is cut; null for its last one.
        preprocessing: What the weights expect of RGB 0-255; "preset" asks the preset's image
            converter, "inside" passes the images as they are.
        batch_norm: What the training loop does with the statistics.
    """

    preset: str
    default_image_size: int
    weights: str
    output_layer: str | None
    preprocessing: Literal["preset", "caffe", "tf", "torch", "inside"]
    batch_norm: Literal["frozen", "train", "adapt"]

    def __post_init__(self) -> None:
        require(
            self.default_image_size > 0,
            "backbone.default_image_size",
            self.default_image_size,
            "Give a number above 0.",
        )

    def build(self, images: Tensor) -> Any:
        """The backbone, cut at `output_layer`, randomly initialised.

        Args:
            images: KerasTensor float32 (batch, side, side, 3), RGB 0-255.

        Returns:
            Functional model images → features, maps or tokens.

        Raises:
            ConfigError: KerasHub is not installed, or there is no such image preset.
        """
        from tlcli.options.backbone._graph import cut, fresh_names

        with fresh_names():
            original = self._original(images.shape[1:], load_weights=False)
            model = _on(original, images, self._prepared(images))
        return cut(model, self.output_layer)

    def load(self, model: Any) -> LoadReport:
        """Put the preset's weights into what `build` made.

        Raises:
            ConfigError: The weights cannot be fetched or read, or none fit.
        """
        if self.weights == "none":
            return LoadReport("random")
        from tlcli.models.by_name import copy_by_name, load_by_name
        from tlcli.options.backbone._graph import fresh_names

        if self.weights != "preset":
            return load_by_name(model, self.weights)
        with fresh_names():
            source = self._original(model.inputs[0].shape[1:], load_weights=True)
        return copy_by_name(source, model, f"preset {self.preset}")

    def _original(self, shape: tuple[int, ...], load_weights: bool) -> Any:
        """The backbone as KerasHub builds it, on an input of its own."""
        self._check_offline()
        self._check_files()
        from tlcli.models.bounded import built_within

        hub, folder = _keras_hub(), expanded(self.preset, "backbone.preset")
        filled = sorted(folder.glob("*.weights.h5")) if self.weights == "preset" else []
        try:
            with built_within(*filled, config=folder / "config.json"):
                return hub.models.Backbone.from_preset(
                    self.preset, load_weights=load_weights, image_shape=tuple(shape)
                )
        except TlError:
            raise
        except Exception as error:  # a stranger's folder may hold anything
            raise self._refused(error) from error

    def _check_offline(self) -> None:
        """Refuse to ask KaggleHub, which knows no word for staying offline, as HuggingFace does."""
        local = expanded(self.preset, "backbone.preset").is_dir()
        if download.is_offline() and not local and not self.preset.startswith("hf://"):
            raise ConfigError(
                "backbone.preset", f"{self.preset} is asked for on the network, and offline=true",
                "Give a folder written by save_to_preset, or leave offline out if KaggleHub's "
                "cache has it.",
            )  # fmt: skip

    def _check_files(self) -> None:
        """Refuse a preset folder with a pipe or a device in it, which KerasHub would wait for.

        Raises:
            DataError: There is one, or a file is too large.
        """
        folder = expanded(self.preset, "backbone.preset")
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not path.is_dir():
                open_regular(path, "json" if path.suffix == ".json" else "weights").close()

    def _prepared(self, images: Tensor) -> Tensor:
        from tlcli.models.preprocessing import Affine, preprocess

        if self.preprocessing != "preset":
            return preprocess(images, self.preprocessing)
        hub = _keras_hub()
        try:
            converter = hub.layers.ImageConverter.from_preset(self.preset)
        except Exception as error:  # a stranger's folder may hold anything
            raise ConfigError(
                "backbone.preprocessing",
                f"{self.preset} has no image converter",
                "Give one of caffe, tf, torch, inside.",
            ) from error
        scale = 1.0 if converter.scale is None else converter.scale
        offset = 0.0 if converter.offset is None else converter.offset
        return Affine(scale, offset, name="preprocess")(images)

    def _refused(self, error: Exception) -> ConfigError:
        reason = " ".join(str(error).split()).partition(". ")[0][:200]
        local = expanded(self.preset, "backbone.preset")
        remedy = (
            "Give a folder written by save_to_preset"
            if local.exists() or self.preset.startswith((".", "/", "~"))
            else "Give the name of an image preset of KerasHub, or a local preset folder"
        )
        return ConfigError("backbone.preset", f"cannot use {self.preset} ({reason})", f"{remedy}.")


def _keras_hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise ConfigError(
            "backbone", f"KerasHub is not there ({error})", "Run pip install 'tlcli[hub]'."
        ) from error
    return keras_hub


def _on(original: Any, images: Tensor, prepared: Tensor) -> Any:
    """KerasHub's layers on `images`, behind the preprocessing."""
    from tlcli.options.backbone._graph import replay

    if not isinstance(original.output, keras.KerasTensor) or len(original.inputs) != 1:
        raise ConfigError(
            "backbone.preset",
            f"{original.name} does not turn one image into one tensor",
            "Give the preset of an image backbone.",
        )
    return replay(original, images, prepared)
