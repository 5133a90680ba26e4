"""The student: preprocessing, backbone, pooling and head as one Keras functional model."""

from dataclasses import dataclass, replace
from typing import Any

import keras

from tlcli.contracts.backbone import Backbone
from tlcli.contracts.finetune import Block
from tlcli.contracts.head import Head
from tlcli.data.resize import Resize
from tlcli.models.graph.blocks import blocks
from tlcli.models.graph.stages import stages
from tlcli.models.graph.trace import rerun
from tlcli.models.graph.trace import taps as tapped_at

Layer = Any
HEAD = "head_"  # Names of a head's layers begin with it.


@dataclass(frozen=True)
class Student:
    """A classifier and the names that other parts know it by.

    Attributes:
        model: uint8 (batch, side, side, 3) RGB to float32 logits (batch, classes).
        extended: The same input to [logits, embedding, *taps].
        taps: Names of the tapped layers, shallow to deep.
        resize: How pictures become squares.
        features: What the head takes, a KerasTensor.
    """

    model: Any
    extended: Any
    taps: tuple[str, ...]
    resize: Resize
    features: Any = None


def build_student(
    backbone: Backbone, head: Head, num_classes: int, resize: Resize,
    taps: tuple[str, ...] | None = (),
) -> Student:  # fmt: skip
    """The untrained student; the same options always give the same graph and names.

    Args:
        backbone: A backbone option.
        head: A head option.
        num_classes: Logits.
        resize: Its size is the side of the input.
        taps: Layers whose outputs are wanted; None takes one a resolution.
    """
    side = resize.size
    inputs = keras.Input((side, side, 3), dtype="uint8", name="images")
    # Pixels stay float32 under mixed precision: bfloat16 has eight bits of them.
    pixels = keras.layers.Rescaling(1.0, dtype="float32", name="pixels")(inputs)
    # Built on an input of its own: Keras follows other tensors back to theirs.
    body = backbone.build(keras.Input((side, side, 3), dtype="float32", name="body_images"))
    features = rerun(body, pixels)
    embedding, logits = head.build(features, num_classes)
    model = keras.Model(inputs, logits, name="student")
    names = tuple(stages(model)) if taps is None else taps
    tapped = tapped_at(model, names, "distillation.student_layers") if names else []
    extended = keras.Model(inputs, [logits, embedding, *tapped], name="student_extended")
    return Student(model, extended, names, resize, features)


def with_outputs(student: Student, outputs: list[Any]) -> Student:
    """The student whose extended model gives these tensors."""
    made = keras.Model(student.extended.inputs, outputs, name="student_extended")
    return replace(student, extended=made)


def is_head(layer: Layer) -> bool:
    """Whether a layer belongs to the head."""
    return bool(layer.name.startswith(HEAD))


def leaf_layers(model: Any) -> list[Layer]:
    """Layers that hold their own weights or none, composites opened."""
    return list(model._flatten_layers(include_self=False))


def count(variables: Any) -> int:
    """Numbers in a list of variables."""
    total = 0
    for variable in variables:
        size = 1
        for side in variable.shape:
            size *= int(side)
        total += size
    return total


def block_names(student: Any) -> list[Block]:
    """The student's blocks in plain names, stem first, head last."""
    found = []
    for block in blocks(student):
        layers = tuple(str(getattr(layer, "name", layer)) for layer in block.layers)
        found.append(Block(block.name, layers))
    return found
