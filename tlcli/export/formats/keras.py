"""A file of Keras' own."""

from pathlib import Path
from typing import Any

from tlcli.export.contract import Engine, Format, Wanted
from tlcli.lazy import keras, np

FILE = "model.keras"


def write(wanted: Wanted, folder: Path) -> None:
    """Write the network of Keras' own layers alone, so that no other package need be there."""
    stock(wanted.network).save(folder / FILE)


def stock(network: Any) -> Any:
    """The same network with what our own layers do in their place."""
    # Not above: who runs a file needs no network.
    from tlcli.models.graph.trace import rerun

    def replaced(layer: Any, args: Any, kwargs: Any) -> Any:
        ours = type(layer).__module__.startswith("tlcli.")
        return layer.call(*args, **kwargs) if ours else None

    images = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="images")
    return keras.Model(images, rerun(network, images, replaced))


def engine(folder: Path) -> Engine:
    """Run the file; layers of code are refused by Keras."""
    network = keras.saving.load_model(folder / FILE, compile=False, safe_mode=True)

    def answers(images: Any) -> dict[str, Any]:
        found = network(images, training=False)
        return {name: np.asarray(value) for name, value in found.items()}

    return answers


FORMAT = Format("keras", FILE, ("none",), (), ("keras",), write, engine)
