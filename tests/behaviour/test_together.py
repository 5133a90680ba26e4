"""Every method with what else a training may have: mixed images, class weights, half precision.

Steps are run without a graph, which would cost more than they do. What cannot be is refused, with a
remedy.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.marks import LONG, cases
from tests.helpers.runs import train_digits
from tests.helpers.trainings import streams
from tests.helpers.words import config
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.distill.attach import attach
from tlcli.errors import ConfigError
from tlcli.training.build import pieces_of
from tlcli.training.phase import PhaseTraining
from tlcli.training.plan import phase_plan
from tlcli.training.strategy import phases
from tlcli.training.term_sizes import term_sizes

ALONE = {"none", "tf_kd", "mutual", "mean_teacher"}
EXCLUSIVE_ONLY = {"crd", "ctkd", "dist", "dkd", "hard", "mlkd", "nkd", "tf_kd", "wsld"}
PATHS = sorted((registry.config_root() / "distillation").glob("*.yaml"))
# Presets of one module run the same code; the module's own YAML stands for them.
MODULES = [path.stem for path in PATHS if f"\nname: {path.stem}\n" in path.read_text()]
MIXED = ("augmentation=light", "augmentation.mixup=0.5", "augmentation.cutmix=0.5",
         "loss.class_weight=balanced")  # fmt: skip
FEW = ("hardware=cpu", "batch_size=8", "epochs=6", "image_size=16", "calibrate=false", "cache=ram")


@contextlib.contextmanager
def eagerly():
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
        keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "teacher"
    words = (*FEW, "epochs=1", "data.images_per_class=4", "finetune=linear_probe")
    with eagerly():
        return train_digits(folder, *words)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Images with several of four labels each, and a teacher of them."""
    root = tmp_path_factory.mktemp("several")
    rng = np.random.default_rng(0)
    labels = (rng.random((48, 4)) < 0.4).astype(np.uint8)
    labels[np.arange(48), np.arange(48) % 4] = 1
    np.savez(
        root / "data.npz",
        train_data=rng.integers(0, 256, (48, 16, 16, 3), np.uint8),
        train_labels=labels,
    )
    return ("data=npy", f"data.path={root / 'data.npz'}", "loss=bce")


@pytest.fixture(scope="module")
def taught_several(several, tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "several"
    with eagerly():
        return train_digits(folder, *FEW, "epochs=1", *several, "finetune=linear_probe")


def two_steps(name, teacher, words):
    """Train two steps, and the plan's first batch; all must stay finite."""
    words = [*FEW, *words, "finetune=full", "backbone.output_layer=tiny_block3",
             f"distillation={name}"]  # fmt: skip
    if name not in ALONE:
        words += ["teacher=run", f"teacher.path={teacher}", "teacher.minimum_accuracy=0"]
    with eagerly():
        pieces = pieces_of(train_job(config("train", *words)))
        lesson = attach(pieces)
        phase = phases(pieces, lesson)[0]
        sizes = term_sizes(pieces, lesson, phase)
        trainer = PhaseTraining(pieces, lesson, phase_plan(pieces, lesson, phase))
        before = [v.numpy() for v in trainer.variables]
        figures = trainer.feed(0, 2)
        first = 2
        # Float16's loss scale starts high: it is halved until the gradients are finite.
        while trainer.loss_scale is not None and first < 12 and not moved(trainer, before):
            figures = trainer.feed(first, first + 2)
            first += 2
    assert len(figures) == 2
    assert np.isfinite(figures).all()
    assert all(np.isfinite([size.loss, size.gradient]).all() for size in sizes)
    after = [v.numpy() for v in trainer.variables]
    assert all(np.isfinite(v).all() for v in after)
    assert moved(trainer, before)
    return trainer


def moved(trainer, before):
    """Whether any trained variable has another value."""
    return any((v.numpy() != b).any() for v, b in zip(trainer.variables, before, strict=True))


# Attention over stages, and peers; other kinds before a release.
DEALT = ("review_kd", "mutual")


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *(pytest.param(n, "mixed_float16", marks=pytest.mark.slow if n in DEALT else LONG)
          for n in MODULES),
        pytest.param("fitnet", "mixed_bfloat16", marks=pytest.mark.slow),
        *(pytest.param(n, "mixed_bfloat16", marks=LONG) for n in ("crd", "dkd")),
    ],
)  # fmt: skip
def test_mixed_images_class_weights_and_half_precision(teacher, name, precision):
    words = (*MIXED, "data.images_per_class=4", f"precision={precision}")
    trainer = two_steps(name, teacher, words)
    assert streams(trainer)
    assert trainer.lesson.student.model.compute_dtype == precision.removeprefix("mixed_")
    assert (trainer.loss_scale is not None) == (precision == "mixed_float16")
    assert all(v.dtype == "float32" for v in trainer.variables)


@pytest.mark.parametrize("name", cases(MODULES, slow=("simkd", "mutual")))
def test_several_labels_an_image_are_learnt_or_refused(taught_several, several, name):
    words = (*several, "augmentation=light", "augmentation.mixup=0.5")
    if name in EXCLUSIVE_ONLY:
        with pytest.raises(ConfigError, match="exclusive classes") as caught:
            two_steps(name, taught_several, words)
        assert caught.value.remedy.startswith("Choose kd")
        return
    two_steps(name, taught_several, words)
