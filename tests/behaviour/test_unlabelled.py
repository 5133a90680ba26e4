"""Photos without labels: they add nothing to what labels say, and all to what the teacher says."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.teachers import configure, fit
from tests.helpers.trainings import phase_of, planned, streams
from tlcli.commands import evaluate
from tlcli.config import compose, registry
from tlcli.config.checking import check_request
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.contracts.distillation import Shapes
from tlcli.data.labels import label_table
from tlcli.errors import ConfigError
from tlcli.evaluation.metrics import softmax
from tlcli.runs import checkpoint
from tlcli.training.plan_text import bare_note
from tlcli.training.term_sizes import first_batches
from tlcli.training.trainer import Trainer


@pytest.fixture(scope="module")
def words(teacher, photos, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return [
        "hardware=cpu", "batch_size=16", "data.images_per_class=8", "epochs=1", "teacher=run",
        f"teacher.path={teacher}", "distillation=kd", "distillation.hard_weight=0.5",
        f"unlabelled={photos}", f"cache_dir={cache}", "finetune=linear_probe",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def prepare(words):
    return functools.cache(lambda *more: planned(train_job(configure(*words, *more))))


def test_photos_join_the_training_images_alone(prepare, photos):
    plan = prepare()
    plain = plan.pieces.job.data.manifest(0, photos)
    manifest = plan.pieces.manifest
    rows = manifest.rows(TRAIN)
    assert len(rows) == len(plain.rows(TRAIN)) + 60 == len(manifest.labelled(TRAIN)) + 60
    np.testing.assert_array_equal(manifest.rows(VALIDATION), plain.rows(VALIDATION))
    assert (manifest.own, manifest.own == manifest.fingerprint) == (plain.fingerprint, False)
    last = manifest.ids[-1]
    assert last.startswith("unlabelled/more/")
    shown = manifest.images.image(tf.constant(len(manifest.ids) - 1, tf.int64))
    picture = np.asarray(Image.open(photos / last.removeprefix("unlabelled/")))
    np.testing.assert_array_equal(shown, np.repeat(picture[..., None], 3, axis=-1))
    assert not label_table(manifest, rows)[-60:].any()
    assert bare_note(plan.pieces) == "; 60 without a label, for the teacher's outputs alone"


@pytest.mark.parametrize("source", ["cached", pytest.param("streamed", marks=pytest.mark.slow)])
def test_a_step_takes_labels_where_there_are_some_and_the_teacher_everywhere(
    prepare, source, tmp_path
):
    plan = prepare(*(["cache=off"] if source == "streamed" else []))
    batch = first_batches(plan.pieces, 1)[0]
    labels = np.asarray(batch["labels"])
    known = labels.any(-1)
    assert 0 < known.sum() < 16
    logits = np.asarray(plan.lesson.student.model(batch["images"], training=False))
    theirs = np.asarray(plan.lesson.teacher.outputs(batch).logits)
    p, q = softmax(theirs / 4), softmax(logits / 4)
    soft = 16 * (p * (np.log(p) - np.log(q))).sum(-1)
    hard = -(labels * np.log(softmax(logits))).sum(-1)
    right = (logits.argmax(-1) == labels.argmax(-1)) & known
    start = [v.numpy() for v in plan.lesson.variables]
    phase = phase_of(plan)
    assert streams(phase) == (source == "streamed")
    figures = phase.feed(0, phase.plan.total_steps)
    loss, label_loss, correct, labelled = figures[0]
    np.testing.assert_allclose(loss, (0.5 * hard + 0.9 * soft).mean(), rtol=1e-4)
    np.testing.assert_allclose(label_loss, hard[known].sum() / 16, rtol=1e-4)
    np.testing.assert_allclose([correct, labelled], [right.mean(), known.mean()], rtol=1e-6)
    for variable, value in zip(plan.lesson.variables, start, strict=True):
        variable.assign(value)
    (epoch,) = Trainer(plan, tmp_path).run(None).progress.rows
    _, _, right, known = figures.sum(0)
    np.testing.assert_allclose(epoch["train_accuracy"], right / known, rtol=1e-6)


@pytest.mark.slow
def test_mixed_photos_keep_the_mass_of_their_labels(prepare):
    plan = prepare("augmentation=light", "augmentation.views=null", "augmentation.mixup=1")
    batch = first_batches(plan.pieces, 1)[0]
    mass = np.asarray(batch["labels"]).sum(-1)
    assert ((mass > 0.01) & (mass < 0.99)).any()
    figures = phase_of(plan).feed(0, 1)[0]
    np.testing.assert_allclose(figures[3], mass.mean(), rtol=1e-5)


@pytest.mark.parametrize("method", ["dkd", "nkd", "wsld", "tf_kd", "crd"])
def test_methods_on_labels_refuse_images_without(method):
    labels = np.array([0, 1, 2, -1, -1])
    shapes = Shapes(
        classes=3, samples=5, student_embedding=4, teacher_embedding=4, labels=labels
    )  # fmt: skip
    message = f"{method} needs the label of every training image, and 2 of 5 have none. Choose kd"
    alone = registry.defaults("distillation", method)
    among = {**registry.defaults("distillation", "sum"), "methods": ["kd", method]}
    for values in (alone, among):
        with pytest.raises(ConfigError, match=message):
            registry.build("distillation", values).checked(shapes)


PHOTOS = ["data=photos", "data.path={photos}"]

TAUGHT = ["teacher=run", "teacher.path={teacher}", "distillation=kd"]

FREE = "distillation.hard_weight=0"


def test_an_accuracy_that_nothing_can_measure_is_refused(photos, teacher, tmp_path):
    words = [*PHOTOS, *TAUGHT, FREE, f"cache_dir={tmp_path}", "teacher.minimum_accuracy=0.5"]
    words = [word.format(photos=photos, teacher=teacher) for word in words]
    with pytest.raises(ConfigError, match=r"minimum_accuracy: got 0.5, and no labelled image"):
        planned(train_job(configure(*words)))


def test_photos_alone_make_a_student_of_the_teachers_classes(teacher, photos, tmp_path, capsys):
    run = fit(
        tmp_path / "free", "data=photos", f"data.path={photos}", "teacher=run",
        f"teacher.path={teacher}", "distillation=kd", "distillation.hard_weight=0", "epochs=30",
        f"cache_dir={tmp_path}/cache", "finetune=linear_probe", "batch_size=16",
        "optimizer.learning_rate=0.05",
    )  # fmt: skip
    found = checkpoint.read_run(run)
    assert found.class_names == ("5", "6", "7", "8", "9")
    assert found.facts.metrics == {}
    assert found.facts.fidelity["images"] == 9
    assert "teacher_accuracy" not in found.facts.fidelity
    table = (run / "metrics.csv").read_text().splitlines()
    assert table[1].split(",")[table[0].split(",").index("train_accuracy")] == ""
    capsys.readouterr()
    words = [f"checkpoint={run}", "data=digits", "format=json"]
    assert evaluate.run(check_request(compose.read("eval", words))) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.6
    with pytest.raises(ConfigError, match=r"no image has a label. Give others: data=folder"):
        evaluate.run(check_request(compose.read("eval", [f"checkpoint={run}"])))


@pytest.mark.slow
def test_a_run_with_photos_is_evaluated_without_them(words, tmp_path, photos, capsys):
    import shutil

    lent = tmp_path / "lent"
    shutil.copytree(photos, lent)
    mine = [w for w in words if not w.startswith("unlabelled=")]
    run = fit(tmp_path / "run", *mine, f"unlabelled={lent}")
    shutil.rmtree(lent)
    capsys.readouterr()
    words = [f"checkpoint={run}", "format=json"]
    assert evaluate.run(check_request(compose.read("eval", words))) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == checkpoint.read_run(run).facts.metrics["test"]["accuracy"]
