"""Which part of a picture a class was read from.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) and Grad-CAM++ (Chattopadhay et al. 2018,
arXiv:1710.11063) for networks that end in maps; gradient x input, a first-order estimate of what a
token or a pixel adds to the logit, elsewhere; and occlusion (Zeiler and Fergus 2014,
arXiv:1311.2901), which looks at logits alone and so checks the others.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tlcli.models.graph.last_map import Place, last_place

Method = Literal["auto", "grad_cam", "grad_cam_pp", "gradient", "occlusion"]
# Windows along a side, and how much of the side one hides; images at a time.
WINDOWS, HIDDEN, AT_ONCE = 8, 0.25, 64
GREY = 128


@dataclass(frozen=True, eq=False)
class Explainer:
    """Explains the answers of one network.

    Attributes:
        model: uint8 images (batch, side, side, 3) to logits.
        place: The tensor that gradients are taken at; None takes the pixels.
    """

    model: Any
    place: Place | None

    @classmethod
    def of(cls, model: Any) -> "Explainer":
        """An explainer that reads the network's last map or tokens."""
        return cls(model, last_place(model))

    @functools.cached_property
    def _gradients(self) -> Any:
        # Once: a graph for each call would take a second, and memory that stays.
        assert self.place is not None
        return gradients_of(self.place.model)

    def method(self, asked: Method) -> Method:
        """The method that is used where one is asked for; maps alone have a Grad-CAM."""
        maps = self.place is not None and self.place.is_map
        if asked in ("grad_cam", "grad_cam_pp") and not maps:
            return "gradient"
        return ("grad_cam" if maps else "gradient") if asked == "auto" else asked

    def heat(self, images: Any, classes: Any, asked: Method = "auto") -> Any:
        """What speaks for a class, by place.

        Args:
            images: uint8 (batch, side, side, 3).
            classes: Class of each image that is asked about, integers (batch,).
            asked: The method.

        Returns:
            float32 (batch, side, side), 0 to 1, the strongest place of each image 1; all 0 where
            nothing speaks for the class.
        """
        images, classes = np.asarray(images), np.asarray(classes, np.int32)
        method = self.method(asked)
        if method == "occlusion":
            return scaled(occlusion(self.model, images, classes))
        if self.place is None:
            return scaled(of_pixels(self.model, images, classes))
        features, gradients = self._gradients(images, classes)
        maps = {"grad_cam": grad_cam, "grad_cam_pp": grad_cam_pp, "gradient": gradient_input}
        found = maps[method](features, gradients)
        found = found if self.place.is_map else squared(found)
        return scaled(enlarged(found, images.shape[1]))


def gradients_of(model: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A function to a tensor within a network and the gradient of logits in respect of it.

    Args:
        model: Images to [tensor, logits].

    Returns:
        A function of images, uint8 (batch, side, side, 3), and of the classes whose logits are
        meant, int32 (batch,), to two float32 arrays of the tensor's shape.
    """

    @tf.function(autograph=False)
    def both(pictures: Any, chosen: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            if pictures.dtype.is_floating:
                tape.watch(pictures)
            features, logits = model(pictures, training=False)
            told = tf.gather(tf.cast(logits, tf.float32), chosen, axis=1, batch_dims=1)
        gradient = tape.gradient(told, features, unconnected_gradients="zero")
        return tf.cast(features, tf.float32), tf.cast(gradient, tf.float32)

    def found(images: Any, classes: Any) -> tuple[Any, Any]:
        parts = [
            both(tf.constant(images[i : i + AT_ONCE]), tf.constant(classes[i : i + AT_ONCE]))
            for i in range(0, len(images), AT_ONCE)
        ]
        features, gradients = zip(*parts, strict=True)
        return np.concatenate(features), np.concatenate(gradients)

    return found


def grad_cam(features: Any, gradients: Any) -> Any:
    """Channels weighted by their mean gradient; what speaks against is 0, float (batch, h, w)."""
    weights = gradients.mean((1, 2), keepdims=True)
    return np.maximum((weights * features).sum(-1), 0)


def grad_cam_pp(features: Any, gradients: Any) -> Any:
    """Grad-CAM++: positions of a channel count by their second and third derivatives.

    Those are of the exponential of the logit, whose own factor a map that is scaled loses.
    """
    square = gradients**2
    below = 2 * square + (features * square * gradients).sum((1, 2), keepdims=True)
    shares = np.where(below != 0, square / np.where(below != 0, below, 1), 0)
    weights = (shares * np.maximum(gradients, 0)).sum((1, 2), keepdims=True)
    return np.maximum((weights * features).sum(-1), 0)


def gradient_input(features: Any, gradients: Any) -> Any:
    """What each position adds to the logit, to first order; what it takes away is 0."""
    return np.maximum((features * gradients).sum(-1), 0)


def of_pixels(model: Any, images: Any, classes: Any) -> Any:
    """Gradient x input at the pixels, apart from mid-grey, float (batch, side, side)."""
    pixels = keras.Input(tuple(images.shape[1:]), dtype="float32")
    inner = _from_floats(model, pixels)
    model = keras.Model(pixels, [pixels, inner])
    found, gradients = gradients_of(model)(images.astype(np.float32), classes)
    return np.abs(((found - GREY) * gradients).sum(-1))


def _from_floats(model: Any, pixels: Any) -> Any:
    """The network's logits as a function of pixels that have a gradient."""
    from tlcli.models.graph.trace import rerun

    return rerun(model, pixels)


def occlusion(model: Any, images: Any, classes: Any) -> Any:
    """How much the logit falls where a grey window hides a place, float (batch, side, side).

    Each pixel has the mean over the windows that hide it; where the logit rises it is 0.
    """
    side, found = images.shape[1], []
    boxes = windows(side)
    call = tf.function(lambda x: tf.cast(model(x, training=False), tf.float32), autograph=False)
    for image, chosen in zip(images, classes, strict=True):
        hidden = np.repeat(image[None], len(boxes) + 1, 0)
        count = np.zeros((side, side), np.float32)
        for number, (top, left, end, right) in enumerate(boxes):
            hidden[number, top:end, left:right] = GREY
            count[top:end, left:right] += 1
        logits = np.concatenate(
            [np.asarray(call(hidden[i : i + AT_ONCE])) for i in range(0, len(hidden), AT_ONCE)]
        )[:, chosen]
        total = np.zeros((side, side), np.float32)
        for (top, left, end, right), logit in zip(boxes, logits[:-1], strict=True):
            total[top:end, left:right] += logits[-1] - logit
        found.append(np.maximum(total / np.maximum(count, 1), 0))
    return np.stack(found)


def windows(side: int) -> list[tuple[int, int, int, int]]:
    """Top, left, bottom and right of windows that cover a square together."""
    width = max(1, round(HIDDEN * side))
    steps = np.unique(np.linspace(0, side - width, min(WINDOWS, side)).round().astype(int))
    return [(int(t), int(s), int(t) + width, int(s) + width) for t in steps for s in steps]


def squared(tokens: Any) -> Any:
    """Tokens as a map, (batch, tokens) to (batch, h, h); those of no place come first."""
    side = int(tokens.shape[1] ** 0.5)
    return tokens[:, tokens.shape[1] - side * side :].reshape(-1, side, side)


def enlarged(maps: Any, side: int) -> Any:
    """Maps at the size of the images, float32 (batch, side, side), bilinear."""
    resized = tf.image.resize(np.asarray(maps, np.float32)[..., None], (side, side))
    return np.asarray(resized)[..., 0]


def scaled(maps: Any) -> Any:
    """Each map divided by its largest value; one that is 0 throughout stays so."""
    largest = maps.max((1, 2), keepdims=True)
    return np.where(largest > 0, maps / np.where(largest > 0, largest, 1), 0).astype(np.float32)
