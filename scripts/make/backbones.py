"""Write the tables of published networks: tlcli/config/networks.csv and weight_files.csv.

    python scripts/make/backbones.py [--only NAME ...] [--times]

For every option of `backbone` that is a network of keras.applications, in each of its widths:

- top-1 accuracy on ImageNet, as published (`PUBLISHED`, each with its source);
- numbers (with and without the classifier), operations of one image at the network's own pixels
  (tlcli.models.graph.cost) and bytes of all layers' outputs, of the graph that `tl` builds;
- the time of a forward pass on this CPU, relative to MobileNetV2, an image. Both run in turn in one
  process of their own and the best of five counts, so that other work on the machine cancels out;
- names, hashes and addresses of the weights as keras.applications asks for them: `get_file` is
  replaced by a function that writes down its arguments. Nothing is fetched. Sizes are from
  `SIZES`, where published logs of downloads tell them.

Without `--times` the times of the present table are kept.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "tlcli" / "config"
NETWORKS, FILES = TABLES / "networks.csv", TABLES / "weight_files.csv"
ROUNDS, BATCH = 5, 8
# Networks above this many operations an image are timed with one image a step.
HEAVY = 2e10
KERAS = "keras.io/api/applications"
V1, V2 = "arXiv:1704.04861", "mobilenet README of tensorflow/models"
V3 = "docstring of keras.applications.MobileNetV3"
# Top-1 accuracy on ImageNet in percent, by constructor and width.
PUBLISHED = {
    **{(name, None): (top1, KERAS) for name, top1 in (
        ("Xception", 79.0), ("VGG16", 71.3), ("VGG19", 71.3), ("ResNet50", 74.9),
        ("ResNet50V2", 76.0), ("ResNet101", 76.4), ("ResNet101V2", 77.2), ("ResNet152", 76.6),
        ("ResNet152V2", 78.0), ("InceptionV3", 77.9), ("InceptionResNetV2", 80.3),
        ("DenseNet121", 75.0), ("DenseNet169", 76.2), ("DenseNet201", 77.3),
        ("NASNetMobile", 74.4), ("NASNetLarge", 82.5), ("EfficientNetB0", 77.1),
        ("EfficientNetB1", 79.1), ("EfficientNetB2", 80.1), ("EfficientNetB3", 81.6),
        ("EfficientNetB4", 82.9), ("EfficientNetB5", 83.6), ("EfficientNetB6", 84.0),
        ("EfficientNetB7", 84.3), ("EfficientNetV2B0", 78.7), ("EfficientNetV2B1", 79.8),
        ("EfficientNetV2B2", 80.5), ("EfficientNetV2B3", 82.0), ("EfficientNetV2S", 83.9),
        ("EfficientNetV2M", 85.3), ("EfficientNetV2L", 85.7), ("ConvNeXtTiny", 81.3),
        ("ConvNeXtSmall", 82.3), ("ConvNeXtBase", 85.3), ("ConvNeXtLarge", 86.3),
        ("ConvNeXtXLarge", 86.7),
    )},
    ("MobileNet", 1.0): (70.4, KERAS), ("MobileNetV2", 1.0): (71.3, KERAS),
    **{("MobileNet", alpha): (top1, V1) for alpha, top1 in
       ((0.25, 50.6), (0.5, 63.7), (0.75, 68.4))},
    **{("MobileNetV2", alpha): (top1, V2) for alpha, top1 in
       ((0.35, 60.3), (0.5, 65.4), (0.75, 69.8), (1.3, 74.4), (1.4, 75.0))},
    ("MobileNetV3Large", 1.0): (75.6, V3), ("MobileNetV3Large", 0.75): (73.3, V3),
    ("MobileNetV3Small", 1.0): (68.1, V3), ("MobileNetV3Small", 0.75): (65.4, V3),
}  # fmt: skip
# Bytes of files without the classifier, as published logs of their downloads tell them.
ORDERING = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
SIZES = {
    **{f"{name}{ORDERING}": size for name, size in (
        ("vgg16", 58889256), ("vgg19", 80134624), ("resnet50", 94765736),
        ("resnet101", 171446536), ("resnet152", 234698864), ("resnet50v2", 94668760),
        ("resnet101v2", 171317808), ("resnet152v2", 234545216), ("inception_v3", 87910968),
        ("inception_resnet_v2", 219055592), ("xception", 83683744), ("densenet121", 29084464),
        ("densenet169", 51877672), ("densenet201", 74836368),
    )},
    **{f"{name}_notop.h5": size for name, size in (
        ("efficientnetb0", 16705208), ("efficientnetb1", 27018416), ("efficientnetb2", 31790344),
        ("efficientnetb3", 43941136), ("efficientnetb4", 71686520), ("efficientnetb5", 115263384),
        ("efficientnetb6", 165234480), ("efficientnetb7", 258076736),
        ("efficientnetv2-b0", 24274472), ("efficientnetv2-b1", 28456008),
        ("efficientnetv2-b2", 35839040), ("efficientnetv2-b3", 52606240),
        ("efficientnetv2-s", 82420632), ("efficientnetv2-m", 214201816),
        ("efficientnetv2-l", 473176280), ("convnext_tiny", 111650432),
        ("convnext_small", 198551472), ("convnext_base", 350926856),
        ("convnext_large", 785596384), ("convnext_xlarge", 1393257616),
    )},
    "nasnet_mobile_no_top.h5": 19993432, "nasnet_large_no_top.h5": 343610240,
    "mobilenet_1_0_224_tf_no_top.h5": 17225924,
    **{f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{side}_no_top.h5": 9406464
       for side in (128, 160, 224)},
    "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5": 4334752,
    "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5": 12683000,
}  # fmt: skip
HEAD = {
    "networks": ("name", "constructor", "alpha", "pixels", "parameters", "backbone_parameters",
                 "gflops", "activation_mb", "relative_time", "top1", "source"),
    "files": ("file", "name", "alpha", "pixels", "top", "hash", "bytes", "url"),
}  # fmt: skip


def widths():
    """Each option of keras.applications with each of its widths: (name, values of its YAML)."""
    from tlcli.config.registry import config_files, defaults
    from tlcli.options.backbone.keras_applications import WIDTHS

    for name in config_files("backbone"):
        values = defaults("backbone", name)
        if values["name"] == "keras_applications":
            for alpha in WIDTHS.get(values["constructor"], (None,)):
                yield name, {**values, "alpha": alpha, "weights": "none"}


def facts(name, alpha, timed):
    """What one network is, and its files: a dictionary and a list of dictionaries."""
    import keras

    from tlcli.config.registry import build
    from tlcli.models.frozen.place import activation_bytes
    from tlcli.models.graph.cost import flops, parameters

    values = next(v for n, v in widths() if n == name and v["alpha"] == alpha)
    option = build("backbone", values)
    pixels = option.default_image_size
    network = option.build(keras.Input((pixels, pixels, 3)))
    operations = flops(network, pixels)
    whole = option.build_classifier(keras.Input((pixels, pixels, 3)))
    top1, source = PUBLISHED[option.constructor, alpha]
    found = {
        "name": name, "constructor": option.constructor, "alpha": "" if alpha is None else alpha,
        "pixels": pixels, "parameters": parameters(whole),
        "backbone_parameters": parameters(network), "gflops": f"{operations / 1e9:.3g}",
        "activation_mb": f"{activation_bytes(network) / 1e6:.3g}", "top1": top1, "source": source,
    }  # fmt: skip
    del whole
    if timed:
        found["relative_time"] = f"{relative_time(network, pixels, operations):.3g}"
    return found, list(files(name, option))


def relative_time(network, pixels, operations):
    """Seconds of a forward pass an image over those of MobileNetV2, the best of five each."""
    import keras
    import numpy as np
    import tensorflow as tf

    from tlcli.config.registry import build

    values = next(v for n, v in widths() if n == "mobilenet_v2" and v["alpha"] == 1.0)
    reference = build("backbone", values).build(keras.Input((224, 224, 3)))
    batch = 1 if operations > HEAVY else BATCH
    steps = [
        (tf.function(reference), tf.constant(np.zeros((batch, 224, 224, 3), "float32"))),
        (tf.function(network), tf.constant(np.zeros((batch, pixels, pixels, 3), "float32"))),
    ]
    best = [float("inf")] * 2
    for _ in range(ROUNDS + 1):  # the first one traces, and is never the best
        for index, (step, images) in enumerate(steps):
            started = time.perf_counter()
            step(images).numpy()
            best[index] = min(best[index], time.perf_counter() - started)
    return best[1] / best[0]


def files(name, option):
    """The weights that keras.applications would fetch."""
    import keras
    from keras.src.utils import file_utils

    from tlcli.options.backbone.keras_applications import SIZES as SIDES

    class AskedError(Exception):
        """Keras asked for a file."""

    def get_file(fname, origin, cache_subdir=None, file_hash=None):
        raise AskedError(fname, origin, file_hash or "")

    original, file_utils.get_file = file_utils.get_file, get_file
    try:
        for side in SIDES.get(option.constructor, (None,)):
            for top in (False, True):
                given = {} if option.alpha is None else {"alpha": option.alpha}
                shape = {} if side is None else {"input_shape": (side, side, 3)}
                try:
                    getattr(keras.applications, option.constructor)(
                        weights="imagenet", include_top=top, **given, **shape
                    )
                except AskedError as asked:
                    file, url, digest = asked.args
                    yield {"file": file, "name": name, "alpha": given.get("alpha", ""),
                           "pixels": side or option.default_image_size, "top": int(top),
                           "hash": digest, "url": url}  # fmt: skip
    finally:
        file_utils.get_file = original


def rows_of(path):
    """Rows of a table, none where it is not there."""
    if not path.is_file():
        return []
    with path.open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def write(path, head, rows):
    """Write a table."""
    with path.open("w", encoding="ascii", newline="") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    """Measure each network in a process of its own, and write the tables as they grow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, alpha = given.one
        print(json.dumps(facts(name, None if alpha == "none" else float(alpha), given.times)))
        return
    networks = {(r["name"], r["alpha"]): r for r in rows_of(NETWORKS)}
    weights = {r["file"]: r for r in rows_of(FILES)}
    for name, values in widths():
        if given.only and name not in given.only:
            continue
        words = [sys.executable, __file__, "--one", name, str(values["alpha"]).lower()]
        done = subprocess.run(words + ["--times"] * given.times, check=True, stdout=subprocess.PIPE)
        found, asked = json.loads(done.stdout.splitlines()[-1])
        key = (name, str(found["alpha"]))
        found.setdefault("relative_time", networks.get(key, {}).get("relative_time", ""))
        networks[key] = found
        weights |= {row["file"]: row for row in asked}
        for row in weights.values():
            row["bytes"] = SIZES.get(row["file"], "")
        write(NETWORKS, HEAD["networks"], [networks[k] for k in sorted(networks)])
        write(FILES, HEAD["files"], sorted(weights.values(), key=lambda r: (
            r["name"], float(r["alpha"] or 0), int(r["pixels"]), int(r["top"]))))  # fmt: skip


if __name__ == "__main__":
    main()
