"""The network that an export holds: pixels in, calibrated probabilities out."""

from typing import Any

from tlcli.export.contract import Engine
from tlcli.lazy import keras, np, tf
from tlcli.models import fold
from tlcli.models.graph.embedding import with_embedding
from tlcli.models.graph.trace import rerun
from tlcli.models.preprocessing import MEAN_BGR, Caffe
from tlcli.runs.checkpoint import Checkpoint


def network_of(run: Checkpoint, embedded: bool = False) -> Any:
    """A run's network with its batch normalisation folded and its calibration inside.

    Args:
        run: Whose network it is.
        embedded: Whether it gives the embedding too, by which strangers are told.

    Returns:
        A model of `images`, uint8 (batch, side, side, 3), to `logits` and `probabilities`,
        float32 (batch, classes), and to `embedding`, float32 (batch, channels).
    """
    model = fold.folded(run.model) or run.model
    images = keras.Input(model.inputs[0].shape[1:], dtype="uint8", name="images")
    if not embedded:
        return _answers(run, images, model(images), {})
    logits, embedding = with_embedding(model)(images)
    return _answers(run, images, logits, {"embedding": keras.ops.cast(embedding, "float32")})


def _answers(run: Checkpoint, images: Any, logits: Any, more: dict[str, Any]) -> Any:
    ops = keras.ops
    logits = ops.cast(logits, "float32")
    if run.multi_label:
        shares = ops.sigmoid(logits)
    else:
        scaling = run.scaling
        scaled = logits / scaling.temperature
        if scaling.scale is not None:
            factor, summand = (np.asarray(v, np.float32) for v in (scaling.scale, scaling.bias))
            scaled = logits * factor + summand
        shares = ops.softmax(scaled)
    outputs = {
        name: keras.layers.Identity(name=name)(value)
        for name, value in {"logits": logits, "probabilities": shares, **more}.items()
    }
    return keras.Model(images, outputs)


def from_floats(network: Any) -> Any:
    """The same network of float32 pixels, as what computes in whole numbers is made from.

    Channels change places by a gather: LiteRT's converter gives a reversal another scale than
    what it reverses, though its kernel hands on the bytes as they are.
    """
    pixels = keras.Input(network.inputs[0].shape[1:], dtype="float32", name="images")

    def replaced(layer: Any, args: Any, kwargs: Any) -> Any:
        if not isinstance(layer, Caffe):
            return None
        return keras.ops.take(args[0], [2, 1, 0], axis=-1) - np.asarray(MEAN_BGR, np.float32)

    return keras.Model(pixels, rerun(network, pixels, replaced))


def function(network: Any) -> Any:
    """A function of `images` to outputs by name, of batches of any size."""
    given = network.inputs[0]
    spec = tf.TensorSpec((None, *given.shape[1:]), given.dtype, name="images")

    @tf.function(input_signature=[spec], autograph=False)
    def answers(images: Any) -> Any:
        found = network(images, training=False)
        return dict(found)

    return answers


def engine(network: Any) -> Engine:
    """Run the network itself."""
    call = function(network)

    def answers(images: Any) -> dict[str, Any]:
        return {name: np.asarray(value) for name, value in call(tf.constant(images)).items()}

    return answers
