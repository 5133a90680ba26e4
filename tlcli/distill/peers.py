"""Other networks that a method trains or moves beside the student."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tlcli.config import registry
from tlcli.contracts.distillation import Peer
from tlcli.distill.lesson import Lesson
from tlcli.distill.pieces import Pieces
from tlcli.errors import ConfigError
from tlcli.models import fused_batch_norm, image_dropout
from tlcli.models.graph.cost import parameters
from tlcli.models.norms import batch_norm, synchronise_norms
from tlcli.models.student import block_names, build_student, is_head
from tlcli.system.notes import Note


class Networks:
    """Makes classifiers of the student's classes and images.

    Attributes:
        student: The student's model.
    """

    def __init__(self, pieces: Pieces, student: Any) -> None:
        self.pieces, self.student = pieces, student

    def copy(self) -> Any:
        """A network with the student's graph and weights; nothing of it trains."""
        made = self._built(self.pieces.job.backbone)
        for new, old in zip(made.variables, self.student.variables, strict=True):
            new.assign(old)
        made.trainable = False
        return made

    def peer(self, changes: Mapping[str, Any], number: int, where: str) -> Peer:
        """A network with weights of its own, which trains by the run's finetune strategy.

        Args:
            changes: Keys of the student's backbone that differ, perhaps its name.
            number: Of the peer, from 1; with the run's seed it decides the random weights.
            where: Place of the changes in the configuration, for messages.

        Raises:
            ConfigError: No such backbone, or a head that must see data first.
        """
        job = self.pieces.job
        if job.head.needs_data:
            raise ConfigError("head", "it must see data first, and peers do not", "Give linear.")
        values = registry.overridden("backbone", job.config["backbone"], changes, where)
        backbone = registry.build("backbone", values)
        seed = np.random.SeedSequence([job.settings.seed, number]).generate_state(1)[0]
        keras.utils.set_random_seed(int(seed))
        made = self._built(backbone)
        report = backbone.load(made)
        _draw_zeros(made, int(seed))
        synchronise_norms(self.pieces.strategy, job.hardware, made)
        fused_batch_norm.use_fused(made)
        image_dropout.use_image_dropout(made)
        phases = job.finetune.phases(block_names(made), job.settings.epochs)
        return Peer(made, tuple(phase for phase in phases if phase.epochs > 0),
                    batch_norm(backbone, report), values)  # fmt: skip

    def _built(self, backbone: Any) -> Any:
        pieces = self.pieces
        classes = len(pieces.manifest.class_names)
        return build_student(backbone, pieces.job.head, classes, pieces.student.resize).model


def _draw_zeros(network: Any, seed: int) -> None:
    """Give a head that starts at zero random kernels (Glorot & Bengio 2010).

    A peer with the student's pretrained backbone would otherwise equal the student for ever.
    """
    zeros = [v for layer in network.layers if is_head(layer)
             for v in layer.trainable_variables
             if v.path.endswith("kernel") and not np.any(v.numpy())]  # fmt: skip
    for number, variable in enumerate(zeros):
        draw = keras.initializers.GlorotUniform(seed=(seed + number) % 2**31)
        variable.assign(draw(variable.shape, dtype="float32"))


def check(pieces: Pieces) -> None:
    """Refuse what does not go with networks beside the student.

    Raises:
        ConfigError: Low-rank factors, which the others would lack.
    """
    blocks = block_names(pieces.student.model)
    phases = pieces.job.finetune.phases(blocks, pieces.job.settings.epochs)
    if any(phase.lora is not None for phase in phases):
        raise ConfigError(
            "finetune", "low-rank factors are put into the student alone, and this method trains "
            "other networks like it", "Give finetune=full.",
        )  # fmt: skip


def plan_notes(lesson: Lesson) -> list[Note]:
    """The networks beside the student, for the plan."""
    average = lesson.state.average
    models = [peer.model for peer in lesson.state.peers]
    models += [average.model] if average is not None else []
    if not models:
        return []
    sizes = ", ".join(f"{parameters(made):,}" for made in models)
    kind, kept = "peers", "kept in RUN/peers; the best of the student's kind is the run"
    if average is not None:
        kind, kept = "average", "not stored"
    return [Note(kind, f"{len(models)} beside the student, {sizes} numbers; {kept}")]
