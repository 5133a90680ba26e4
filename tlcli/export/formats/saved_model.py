"""TensorFlow's SavedModel, in the layout of TF Serving: a folder for each version."""

from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format
from tlcli.lazy import keras, np, tf

FILE = "saved_model/1"


def write(network: Any, folder: Path, _quantize: str, _images: Any) -> None:
    """Write the network with the signature `serving_default` of uint8 pixels."""
    save(network, folder / FILE)


def save(network: Any, place: Path) -> None:
    """A SavedModel of a network, at a place."""
    # Not above: who runs a file needs no network.
    from tlcli.export.network import function

    archive = keras.export.ExportArchive()
    archive.track(network)
    call = function(network)
    archive.add_endpoint("serving_default", call.python_function, call.input_signature)
    archive.write_out(str(place), verbose=False)


def engine(folder: Path) -> Engine:
    """Run the signature."""
    module = tf.saved_model.load(str(folder / FILE))
    call = module.signatures["serving_default"]

    def answers(images: Any) -> tuple[Any, Any]:
        found = call(images=tf.constant(images))
        return np.asarray(found["logits"]), np.asarray(found["probabilities"])

    return answers


FORMAT = Format("saved_model", FILE, ("none",), (), ("tensorflow",), write, engine)
