"""Where teachers come from: runs, ensembles, ImageNet classifiers, files; and what is refused."""

import re

import numpy as np
import pytest

from tests.helpers.teachers import configure, fit, metadata
from tests.helpers.trainings import planned
from tlcli.config import compose, registry
from tlcli.config.job import train_job
from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.data.views import Views
from tlcli.errors import ConfigError, DataError
from tlcli.runs import checkpoint


@pytest.fixture(scope="module")
def prepare(teacher):
    """A function of words that prepares a training; the teacher stands in the words."""

    def prepared(*words, **keys):
        config = configure(
            "hardware=cpu", "batch_size=16", "data.images_per_class=8", "epochs=2",
            "distillation=kd", f"cache_dir={teacher.parent}/cache", *words,
        )  # fmt: skip
        teaching = {**config["teacher"], **keys}
        return planned(train_job({**config, "teacher": teaching}))

    return prepared


@pytest.fixture(scope="module")
def second(teacher):
    """Another teacher: the same digits in another order, another seed."""
    folder = teacher.parent / "second"
    cache = f"cache_dir={folder.parent}/cache"
    return fit(folder, "epochs=2", "data.classes=[9,8,7,6,5]", "finetune=linear_probe", cache)


def said_by(folder, pieces, rows):
    """What a run's own model says of images of another training, in its own class order."""
    found = checkpoint.read_run(folder)
    images = next(pieces.plain_views.batches(rows, np.zeros(len(rows)), len(rows)))
    return found.model(images, training=False).numpy()


def test_classes_are_matched_by_name(prepare, second):
    plan = prepare("teacher=run", f"teacher.path={second}", "data.classes=[7,5,9]")
    rows = plan.pieces.manifest.rows(VALIDATION)[:6]
    # Columns of 7, 5 and 9 among 9, 8, 7, 6, 5.
    expected = said_by(second, plan.pieces, rows)[:, [2, 4, 0]]
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "validation accuracy" in plan.lesson.teacher.plan_notes()[0].text
    assert len(plan.lesson.teacher.plan_notes()) <= 2


def test_images_reach_the_teacher_at_its_own_size(prepare, teacher):
    plan = prepare("teacher=run", f"teacher.path={teacher}", "image_size=48")
    rows = plan.pieces.manifest.rows(VALIDATION)[:4]
    images = next(plan.pieces.plain_views.batches(rows, np.zeros(4), 4)).numpy()
    import tensorflow as tf

    small = tf.image.resize(images, (32, 32), antialias=True).numpy()
    small = np.floor(np.clip(small, 0, 255) + 0.5).astype(np.uint8)
    model = checkpoint.read_run(teacher).model
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows)
    # A level may round the other way; a level of 255 moves logits by little.
    np.testing.assert_allclose(found, model(small, training=False), atol=0.02)


@pytest.mark.parametrize("mean", ["logits", "probabilities"])
def test_an_ensemble_is_the_weighted_mean(prepare, teacher, second, mean):
    runs = f"teacher.runs=[{teacher},{second}]"
    plan = prepare("teacher=ensemble", runs, "teacher.weights=[3,1]", f"teacher.mean={mean}")
    rows = plan.pieces.manifest.rows(VALIDATION)[:6]
    first = said_by(teacher, plan.pieces, rows).astype(np.float64)
    other = said_by(second, plan.pieces, rows)[:, ::-1].astype(np.float64)
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows).astype(np.float64)
    if mean == "logits":
        np.testing.assert_allclose(found, 0.75 * first + 0.25 * other, atol=1e-5)
        return

    def softmax(logits):
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    expected = 0.75 * softmax(first) + 0.25 * softmax(other)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-6)
    with pytest.raises(ConfigError, match="has logits alone"):
        prepare("teacher=ensemble", runs, "distillation=at")


def test_a_published_classifier_teaches_classes_by_label_or_id():
    values = configure("teacher=pretrained", "distillation=kd")["teacher"]
    of = lambda **keys: registry.build("teacher", {**values, **keys})  # noqa: E731
    assert of().places(("tench", "goldfish")) == [0, 1]
    assert of(classes={"a": "n01443537", "b": "tench"}).places(("b", "a")) == [0, 1]
    with pytest.raises(ConfigError, match="has no entry for b"):
        of(classes={"a": "tench"}).places(("a", "b"))
    with pytest.raises(ConfigError, match="two ImageNet classes"):
        of().places(("crane", "tench"))
    with pytest.raises(ConfigError, match="does not know zebrafish"):
        of().places(("zebrafish", "tench"))
    with pytest.raises(ConfigError, match="without a classifier"):
        of(backbone="tiny")._option()


def test_a_published_classifier_speaks_of_the_students_classes(prepare, tmp_path):
    import keras

    from tlcli.models import weights

    values = configure("teacher=pretrained", "distillation=kd")["teacher"]
    given = {**values, "backbone": "mobilenet_v2", "weights": "none"}
    option = registry.build("teacher", given)._option()
    images = keras.Input((224, 224, 3))
    own = option.build_classifier(images)
    weights.save_weights(own, tmp_path / "own.weights.h5")
    names = {"5": "tench", "6": "goldfish", "7": "zebra", "8": "broom", "9": "hay"}
    plan = prepare(
        "teacher=pretrained", "teacher.backbone=mobilenet_v2", "teacher.minimum_accuracy=0",
        f"teacher.weights={tmp_path / 'own.weights.h5'}", "distillation=srrl", classes=names,
    )  # fmt: skip
    outputs = plan.lesson.teacher.built.model.outputs
    assert [tensor.shape for tensor in outputs[:2]] == [(None, 5), (None, 1280)]
    rows = plan.pieces.manifest.rows(VALIDATION)[:2]
    shown = next(plan.pieces.plain_views.batches(rows, np.zeros(2), 2))
    outputs = plan.lesson.teacher.outputs({"images": shown})
    head = outputs.head(outputs.embedding)
    np.testing.assert_allclose(head, outputs.logits, atol=1e-4)


# ---- files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(prepare, teacher):
    """Ids and logits of all digits, in an order of their own."""
    plan = prepare("teacher=run", f"teacher.path={teacher}")
    rows = np.random.default_rng(0).permutation(len(plan.pieces.manifest.ids))
    views = Views(plan.pieces.manifest, plan.lesson.student.resize, None, 0, 1)
    logits = plan.lesson.teacher.built.logits(views, rows)
    return plan.pieces.manifest.ids[rows].astype(str), logits


@pytest.fixture
def from_file(prepare, tmp_path):
    """A function of arrays that writes them and prepares a training by the file."""

    def made(*words, **arrays):
        path = tmp_path / "stored.npz"
        np.savez(path, **arrays)
        return prepare("teacher=file", f"teacher.path={path}", *words)

    return made


def test_stored_logits_find_their_images_in_any_order(from_file, stored, prepare, teacher):
    ids, logits = stored
    plan = from_file(ids=ids, logits=logits)
    online = prepare("teacher=run", f"teacher.path={teacher}")
    rows = plan.pieces.manifest.rows(TRAIN)
    ours = plan.lesson.teacher.table(plan.pieces.train_views, rows, 1)["teacher_logits"]
    theirs = online.lesson.teacher.table(online.pieces.train_views, rows, 1)["teacher_logits"]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    step = plan.lesson.teacher.outputs({"rows": np.array([3, 0])}).logits
    np.testing.assert_array_equal(step, ours[[3, 0]])
    other = from_file(ids=ids, logits=logits[:, ::-1], class_names=np.array(list("98765")))
    found = other.lesson.teacher.table(other.pieces.train_views, rows, 1)["teacher_logits"]
    np.testing.assert_array_equal(found, ours)


def test_stored_probabilities_become_logits(from_file, stored):
    ids, logits = stored
    powers = np.exp(logits.astype(np.float64))
    probabilities = powers / powers.sum(-1, keepdims=True)
    plan = from_file(ids=ids, probabilities=probabilities)
    rows = plan.pieces.manifest.rows(TRAIN)
    found = np.exp(
        plan.lesson.teacher.table(plan.pieces.train_views, rows, 1)["teacher_logits"].astype(
            np.float64
        )
    )
    place = {name: i for i, name in enumerate(ids)}
    expected = probabilities[[place[i] for i in plan.pieces.manifest.ids[rows]]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(DataError, match="calls probabilities logits"):
        from_file(ids=ids, logits=probabilities)
    with pytest.raises(DataError, match="do not sum to 1 or leave"):
        from_file(ids=ids, probabilities=logits)


def test_files_that_lack_or_confuse_images_are_refused(from_file, stored):
    ids, logits = stored
    with pytest.raises(DataError, match=r"lacks \d+ of 40 training images: digits/"):
        from_file(ids=ids[:40], logits=logits[:40])
    with pytest.raises(DataError, match="has ids"):
        from_file(ids=ids, logits=logits[:-1])
    with pytest.raises(DataError, match=f"{re.escape(ids[0])} more than once"):
        from_file(ids=np.append(ids, ids[0]), logits=np.append(logits, logits[:1], 0))
    broken = logits.copy()
    broken[7, 2] = np.nan
    with pytest.raises(DataError, match=f"not finite for {re.escape(ids[7])}"):
        from_file(ids=ids, logits=broken)
    with pytest.raises(ConfigError, match="does not say which image a row belongs to"):
        from_file(logits=logits)
    with pytest.raises(DataError, match="has 4 classes"):
        from_file(ids=ids, logits=logits[:, :4])
    with pytest.raises(DataError, match="cannot be read"):
        from_file(ids=ids.astype(object), logits=logits)
    told = r"chance is 0\.2.* Check that each row stands beside its own id"
    with pytest.raises(ConfigError, match=told):
        from_file(ids=ids, logits=-logits)
    with pytest.raises(ConfigError, match=told):
        from_file(ids=np.roll(ids, 1), logits=logits)
    with pytest.raises(ConfigError, match="many views"):
        from_file("augmentation=light", ids=ids, logits=logits)


def test_a_truncated_file_is_refused(prepare, stored, tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, ids=stored[0], logits=stored[1])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        prepare("teacher=file", f"teacher.path={path}")


def test_plain_arrays_need_ids(prepare, stored, tmp_path):
    path, names = tmp_path / "logits.npy", tmp_path / "ids.txt"
    np.save(path, stored[1])
    names.write_text("\n".join(stored[0]))
    with pytest.raises(ConfigError, match=r"teacher\.ids"):
        prepare("teacher=file", f"teacher.path={path}")
    plan = prepare("teacher=file", f"teacher.path={path}", f"teacher.ids={names}")
    assert plan.lesson.teacher.accuracy[0] > 0.8


@pytest.mark.parametrize("kind", ["run", "ensemble", "file"])
def test_each_source_teaches_a_student(teacher, second, stored, tmp_path, kind):
    path = tmp_path / "stored.npz"
    np.savez(path, ids=stored[0], logits=stored[1])
    words = {
        "run": [f"teacher.path={teacher}"],
        "ensemble": [f"teacher.runs=[{teacher},{second}]"],
        "file": [f"teacher.path={path}"],
    }[kind]
    cache = f"cache_dir={teacher.parent}/cache"
    run = fit(tmp_path / "student", "epochs=2", "distillation=kd", f"teacher={kind}", *words,
              "data.images_per_class=8", "finetune=linear_probe", cache)  # fmt: skip
    facts = metadata(run)
    assert facts["teacher"]["value"] > 0.6
    assert facts["fidelity"]["agreement"] > 0.2
    assert facts["metrics"]["test"]["samples"] == len(
        checkpoint_rows(compose.plain(compose.read("train", [])))
    )


def checkpoint_rows(config):
    """Test rows of the default digits."""
    manifest = registry.build("data", config["data"]).manifest(config["seed"], None)
    return manifest.rows(TEST)
