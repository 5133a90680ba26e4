"""What lies beside the model: labels, a model card, a program that uses it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlcli import __version__
from tlcli.config.differences import option_of
from tlcli.export.manifest import Manifest
from tlcli.report.tables import NAMES as FIGURES
from tlcli.report.tables import interval
from tlcli.system.shown import shown

TEMPLATES = Path(__file__).with_name("templates")
PACKAGES = {
    "saved_model": "TensorFlow", "keras": "Keras with TensorFlow", "litert": "ai-edge-litert",
    "onnx": "onnxruntime", "openvino": "openvino",
}  # fmt: skip
LIBRARIES = {"saved_model": "tf-keras", "keras": "keras", "litert": "tflite", "onnx": "onnx",
             "openvino": "openvino"}  # fmt: skip
# Of each runtime: what is imported, how the file is opened, and how it answers `images`.
PROGRAMS = {
    "saved_model": (
        "import tensorflow as tf", 'tf.saved_model.load(FILE).signatures["serving_default"]',
        'MODEL(images=tf.constant(images))["probabilities"]',
    ),
    "keras": (
        "import keras", "keras.saving.load_model(FILE, compile=False)",
        'MODEL(images)["probabilities"]',
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter",
        "Interpreter(FILE).get_signature_runner()", 'MODEL(images=images)["probabilities"]',
    ),
    "onnx": (
        "import onnxruntime", "onnxruntime.InferenceSession(FILE, OPTIONS)",
        'MODEL.run(["probabilities"], {"images": images})[0]',
    ),
    "openvino": (
        "import openvino",
        'openvino.compile_model(FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
        'MODEL({"images": images})["probabilities"]',
    ),
}  # fmt: skip
# What stands before the file is opened.
SETTINGS = {
    "onnx": "OPTIONS = onnxruntime.SessionOptions()\n"
            'OPTIONS.add_session_config_entry("session.x64quantprecision", "1")  # exact sums\n',
}  # fmt: skip


def labels(found: Manifest) -> str:
    """A class a line, in index order; a name of several lines is written as JSON would."""
    return "".join(f"{shown(name, len(name) + 99)}\n" for name in found.facts.class_names)


def example(found: Manifest) -> str:
    """A program that names pictures with the runtime, NumPy and Pillow alone."""
    imported, model, call = PROGRAMS[found.format]
    return filled("example.py.jinja", {
        "packages": PACKAGES[found.format], "imported": imported, "model": model, "call": call,
        "settings": SETTINGS.get(found.format, ""),
    })  # fmt: skip


def card(found: Manifest, config: Mapping[str, Any]) -> str:
    """The model card, as model hubs read it."""
    facts = found.facts
    test = facts.metrics.get("test") or {}
    rows = [
        (split, FIGURES[name], f"{values[name]:.4f}", _range(values, name, facts.multi_label))
        for split, values in facts.metrics.items() if split in ("test", "validation")
        for name in FIGURES if name in values
    ]  # fmt: skip
    backbone = config.get("backbone") or {}
    network, _ = option_of("backbone", backbone)
    return filled("card.md.jinja", {
        "title": Path(found.run).name or "model", "names": facts.class_names,
        "library": LIBRARIES[found.format], "version": __version__, "format": found.format,
        "quantize": found.quantize, "size": facts.resize.size, "mode": facts.resize.mode,
        "metrics": [(n, test[n]) for n in ("accuracy", "macro_f1", "mean_average_precision")
                    if n in test],
        "figures": rows, "data": facts.data_root or "unknown",
        "fingerprint": facts.data_fingerprint or "unknown",
        "calibration": _calibration(found), "proof": proved(found.proof),
        "licence": "; ".join(f"{k}: {v}" for k, v in found.licence.items()),
        "backbone": f"{network}, {backbone.get('weights')}",
    })  # fmt: skip


def _range(values: Mapping[str, Any], name: str, several: bool) -> str:
    ends = interval(values, name, several)
    return "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"


def _calibration(found: Manifest) -> str:
    if found.facts.multi_label:
        return "one decision a class, each with its threshold"
    scaling = found.facts.scaling
    if scaling.scale is not None:
        return "calibrated by a factor and a summand a class, fitted on validation"
    return f"calibrated by a temperature of {scaling.temperature:.3g}, fitted on validation"


def proved(found: Mapping[str, Any]) -> str:
    """What was seen of an export beside its run, a sentence."""
    text = (f"the same answer on {found['agreement']:.2%} of {found['images']:,} images, "
            f"probabilities within {found['difference']:.2g}")  # fmt: skip
    if "export" in found:
        text += f", {found['split']} {found['figure'].replace('_', ' ')} {found['export']:.4f}"
        text += f" instead of {found['run']:.4f}"
    return text + "."


def filled(template: str, values: Mapping[str, Any]) -> str:
    """A text of a template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(  # noqa: S701 - no HTML: Markdown, whose marks `md` takes out, and Python
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.filters["md"] = plain
    return made.get_template(template).render(values)


def plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~])", r"\\\1", shown(text, 2000))
