"""What is known of the licences that come with a run: those of the weights that it began from.

Of families of keras.applications, as the documentation of Keras Applications 1.0.8 gives them
(section License of each network); of later ones, that of the authors' repository.
"""

from collections.abc import Mapping
from typing import Any

# By how the name of the function in keras.applications begins; the longest that fits counts.
FAMILIES = {
    "ConvNeXt": "MIT, by the authors of ConvNeXt",
    "DenseNet": "BSD-3-Clause, by the authors of DenseNet",
    "EfficientNet": "Apache-2.0, by Google",
    "Inception": "Apache-2.0, by Google",
    "MobileNet": "Apache-2.0, by Google",
    "NASNet": "Apache-2.0, by Google",
    "ResNet": "MIT, by the authors of ResNet",
    "VGG": "CC-BY-4.0, by the Visual Geometry Group in Oxford",
    "Xception": "MIT, by the author of Keras",
}
UNKNOWN = "not told; ask whoever made them"


def known(config: Mapping[str, Any]) -> dict[str, str]:
    """Licences of data and weights by what they are of.

    Args:
        config: Of the run, plain values.
    """
    data = "UCI optical digits, CC-BY-4.0" if _name(config, "data") == "digits" else (
        "not told; ask its owner")  # fmt: skip
    return {"data": data, "weights": _weights(config.get("backbone"))}


def _name(config: Mapping[str, Any], group: str) -> Any:
    found = config.get(group)
    return found.get("name") if isinstance(found, Mapping) else None


def _weights(backbone: Any) -> str:
    values = backbone if isinstance(backbone, Mapping) else {}
    if values.get("weights") == "none":
        return "begun at random"
    if values.get("weights") == "digits":
        return "of tlcli, Apache-2.0"
    if values.get("weights") == "imagenet":
        function = str(values.get("constructor"))
        names = [name for name in FAMILIES if function.startswith(name)]
        family = FAMILIES[max(names, key=len)] if names else UNKNOWN
        return f"begun from ImageNet weights of keras.applications: {family}"
    if isinstance(values.get("config"), Mapping):  # of another run
        return _weights(values["config"])
    return f"begun from given weights: {UNKNOWN}"
