"""A trained classifier before it is a teacher: its outputs, its head, its classes."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tlcli.config import registry
from tlcli.contracts.teacher import Target
from tlcli.distill.class_places import class_places, mapping_text
from tlcli.errors import ConfigError
from tlcli.models.student import build_student, is_head
from tlcli.runs import checkpoint
from tlcli.system import files


@dataclass
class Network:
    """A trained classifier before it is a teacher.

    Attributes:
        images: Its input, uint8 (batch, side, side, 3).
        embedding: Pooled features (batch, dim), or None where it has none of that shape.
        logits: (batch, own classes).
        places: Column of each of the student's classes.
        classes: How they were found, in words.
        label: What the plan calls it.
        reference: What metadata.json keeps of it.
        features: What its head takes, or None where its head cannot be lent.
        head: Configuration of its head, or None.
        head_layers: Layers of its head by name.
    """

    images: Any
    embedding: Any
    logits: Any
    places: list[int]
    classes: str
    label: str
    reference: dict[str, Any]
    features: Any = None
    head: Any = None
    head_layers: Any = ()


def lent_map(network: Network) -> Any:
    """The map that a teacher's head takes, where student and teacher can share the head.

    Raises:
        ConfigError: The teacher has no such head.
    """
    if network.features is None or len(network.features.shape) != 4:
        raise ConfigError(
            "teacher", f"{network.label} has no head on a map that a student could take over",
            "Give teacher=run with a convolutional run that has a head of its own.",
        )  # fmt: skip
    return network.features


@contextlib.contextmanager
def float32_policy() -> Iterator[None]:
    """Layers made inside compute in float32; the policy is then as before."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def run_network(path: str, target: Target, where: str) -> Network:
    """The classifier of a finished run.

    Raises:
        DataError: No such run, or a damaged one.
        ConfigError: Its classes are not those of the student.
    """
    found = checkpoint.read_run(path)
    if found.multi_label != target.manifest.multi_label:
        kinds = {True: "several labels an image", False: "one label an image"}
        raise ConfigError(
            where, f"{path} was trained on {kinds[found.multi_label]}, and the data has "
            f"{kinds[target.manifest.multi_label]}", "Give a teacher of the same kind.",
        )  # fmt: skip
    places = class_places(target.manifest.class_names, found.class_names, where)
    backbone = registry.build("backbone", found.config["backbone"])
    borrowed = found.facts.head
    head = checkpoint.head_option(found.config, borrowed)
    student = build_student(backbone, head, len(found.class_names), found.resize)
    for new, old in zip(student.model.variables, found.model.variables, strict=True):
        new.assign(old)
    logits, embedding = student.extended.outputs
    reference = {
        "run": str(Path(path).resolve()),
        "sha256": files.sha256(found.path / checkpoint.WEIGHTS),
        "class_names": list(found.class_names),
    }
    return Network(
        student.extended.inputs[0], embedding, logits, places,
        mapping_text(target.manifest.class_names, found.class_names, places), f"run {path}",
        reference,
        None if borrowed else student.features, None if borrowed else found.config["head"],
        {layer.name: layer for layer in student.model.layers if is_head(layer)},
    )  # fmt: skip
