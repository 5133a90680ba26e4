"""TensorFlow's SavedModel, in the layout of TF Serving: a folder for each version."""

from pathlib import Path
from typing import Any

from tlcli.data.resize import Resize
from tlcli.errors import TlError
from tlcli.export.contract import Engine, Format, Wanted
from tlcli.lazy import keras, np, tf

FILE = "saved_model/1"
CLOSE = 1e-4


def write(wanted: Wanted, folder: Path) -> None:
    """Write the network with two signatures: pixels, `serving_default`; and `encoded` pictures."""
    save(wanted.network, folder / FILE, encoded=of_bytes(wanted))
    check(folder, wanted.resize)


def save(network: Any, place: Path, **more: Any) -> None:
    """A SavedModel of a network, at a place.

    Args:
        network: Whose signature is `serving_default`.
        place: A folder to make.
        **more: Further signatures by name.
    """
    # Not above: who runs a file needs no network.
    from tlcli.export.network import function

    archive = keras.export.ExportArchive()
    archive.track(network)
    for name, call in {"serving_default": function(network), **more}.items():
        archive.add_endpoint(name, call.python_function, call.input_signature)
    archive.write_out(str(place), verbose=False)


def of_bytes(wanted: Wanted) -> Any:
    """A function of encoded pictures, which are decoded and made square as `tl predict` does."""
    from tlcli.data.graph_pixels import squares
    from tlcli.export.network import function

    answers = function(wanted.network).python_function
    spec = tf.TensorSpec((None,), tf.string, name="encoded")

    @tf.function(input_signature=[spec], autograph=False)
    def of_pictures(encoded: Any) -> Any:
        return answers(squares(encoded, wanted.resize, wanted.max_pixels))

    return of_pictures


def check(folder: Path, resize: Resize) -> None:
    """Refuse a file whose answers to encoded pictures are not those to their pixels.

    Raises:
        TlError: They differ.
    """
    noise = np.random.default_rng(0).integers(0, 256, (resize.size * 3, resize.size * 2, 3))
    picture = tf.constant(noise, tf.uint8)
    encoded = [tf.io.encode_png(picture), tf.io.encode_png(picture[: resize.size // 2 + 1])]
    squares = tf.stack([resize.apply(tf.io.decode_png(one, channels=3)) for one in encoded])
    signatures = tf.saved_model.load(str(folder / FILE)).signatures
    found = signatures["encoded"](encoded=tf.stack(encoded))["probabilities"]
    wanted = signatures["serving_default"](images=squares)["probabilities"]
    difference = float(tf.reduce_max(tf.abs(found - wanted)))
    if not difference <= CLOSE:
        raise TlError(f"saved_model: answers to encoded pictures are off by {difference:.2g}.")


def engine(folder: Path) -> Engine:
    """Run the signature."""
    module = tf.saved_model.load(str(folder / FILE))
    call = module.signatures["serving_default"]

    def answers(images: Any) -> dict[str, Any]:
        found = call(images=tf.constant(images))
        return {name: np.asarray(value) for name, value in found.items()}

    return answers


FORMAT = Format("saved_model", FILE, ("none",), (), ("tensorflow",), write, engine)
