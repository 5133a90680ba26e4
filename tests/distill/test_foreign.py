"""Teachers of other programs: an ONNX file, a SavedModel; and what is refused of them."""

import sys

import numpy as np
import pytest

from tests.helpers.teachers import configure
from tests.helpers.trainings import phase_of, planned, streams
from tlcli.config import compose
from tlcli.config.job import train_job
from tlcli.contracts.data import TRAIN, VALIDATION
from tlcli.errors import ConfigError, DataError
from tlcli.training.build import pieces_of


@pytest.fixture(scope="module")
def centres():
    """Mean picture of each of the digits 5 to 9, and the data: a nearest-centre teacher."""
    config = configure("hardware=cpu", "data.images_per_class=8")
    pieces = pieces_of(train_job({**config, "teacher": configure()["teacher"]}))
    rows = pieces.manifest.rows(TRAIN)
    images = next(pieces.plain_views.batches(rows, np.zeros(len(rows)), len(rows))).numpy() / 255.0
    labels = pieces.manifest.labels[rows]
    return np.stack([images[labels == c].mean(0) for c in range(5)]).astype(np.float32)


def logits_of(images, centres):
    """20 (x · c - |c|² / 2) / pixels in float64: highest for the nearest centre."""
    pixels = np.asarray(images, np.float64).reshape(len(images), -1) / 255.0
    flat = centres.reshape(5, -1).astype(np.float64)
    return 20 * (pixels @ flat.T - 0.5 * (flat**2).sum(-1)) / 1024


@pytest.fixture(scope="module")
def onnx_file(centres, tmp_path_factory):
    """A function that writes the teacher as ONNX, with colours first or last."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("onnx")

    def made(first=True, softmax=False, batch="N"):
        centre = centres.transpose(0, 3, 1, 2) if first else centres
        factor = (20 * centre.reshape(5, -1).T / 1024).astype(np.float32)
        offset = -10 * (centres.reshape(5, -1) ** 2).sum(-1) / 1024
        make, kinds = onnx.helper, onnx.TensorProto
        shape = [batch, 3, 32, 32] if first else [batch, 32, 32, 3]
        nodes = [make.make_node("Flatten", ["images"], ["flat"]),
                 make.make_node("Gemm", ["flat", "factor", "offset"], ["scores"])]  # fmt: skip
        nodes += [make.make_node("Softmax", ["scores"], ["shares"])] if softmax else []
        graph = make.make_graph(
            nodes, "centres", [make.make_tensor_value_info("images", kinds.FLOAT, shape)],
            [make.make_tensor_value_info(nodes[-1].output[0], kinds.FLOAT, [batch, 5])],
            [onnx.numpy_helper.from_array(factor, "factor"),
             onnx.numpy_helper.from_array(offset.astype(np.float32), "offset")],
        )  # fmt: skip
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 13)], ir_version=8)
        path = folder / f"{first}-{softmax}-{batch}.onnx"
        onnx.save(model, path)
        return path

    return made


@pytest.fixture
def prepare(tmp_path):
    def prepared(kind, path, *words):
        given = [
            "hardware=cpu", "batch_size=16", "data.images_per_class=8", "epochs=2",
            "backbone.weights=none", "finetune=full", "distillation=kd", f"teacher={kind}",
            f"teacher.path={path}", "teacher.mean=[0,0,0]", "teacher.std=[1,1,1]",
            f"cache_dir={tmp_path / 'cache'}", *words,
        ]  # fmt: skip
        return planned(train_job(compose.plain(compose.read("train", given))))

    return prepared


@pytest.mark.parametrize(("first", "softmax", "batch"), [(True, False, "N"), (False, True, 3)])
def test_an_onnx_file_says_what_its_formula_says(
    onnx_file, prepare, centres, first, softmax, batch
):
    kind = "probabilities" if softmax else "logits"
    plan = prepare("onnx", onnx_file(first, softmax, batch), f"teacher.kind={kind}")
    rows = plan.pieces.manifest.rows(VALIDATION)[:7]
    images = next(plan.pieces.plain_views.batches(rows, np.zeros(7), 7))
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows)
    expected = logits_of(images, centres)
    if softmax:
        expected -= np.log(np.exp(expected).sum(-1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert plan.lesson.teacher.accuracy[0] > 0.6


def weights_after(plan, steps):
    phase = phase_of(plan)
    figures = phase.feed(0, steps)
    return [v.numpy() for v in plan.lesson.student.model.variables], figures, streams(phase)


def test_an_onnx_teacher_teaches_from_its_store_and_in_the_stream(onnx_file, prepare):
    words = ["augmentation=light", "augmentation.views=2"]
    stored, seen, first = weights_after(prepare("onnx", onnx_file(), *words), 4)
    online, shown, second = weights_after(
        prepare("onnx", onnx_file(), *words, "teacher.cache=off"), 4
    )
    assert (first, second) == (False, True)
    np.testing.assert_allclose(seen, shown, atol=1e-6, rtol=1e-6)
    for a, b in zip(stored, online, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    mixed = prepare("onnx", onnx_file(), "augmentation=light", "augmentation.mixup=0.5")
    assert np.isfinite(weights_after(mixed, 1)[1]).all()


def test_columns_are_chosen_by_name(onnx_file, prepare, centres):
    plan = prepare(
        "onnx", onnx_file(), "data.classes=[9,5]", "teacher.class_names=[five,s,se,e,nine]",
        "teacher.classes={5:five,9:nine}",
    )  # fmt: skip
    rows = plan.pieces.manifest.rows(VALIDATION)[:4]
    images = next(plan.pieces.plain_views.batches(rows, np.zeros(4), 4))
    expected = logits_of(images, centres)[:, [4, 0]]
    assert plan.pieces.manifest.class_names == ("9", "5")
    np.testing.assert_allclose(
        plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows), expected, atol=1e-3
    )
    with pytest.raises(ConfigError, match="2 classes, and the model has 5 outputs"):
        prepare("onnx", onnx_file(), "data.classes=[9,5]")


@pytest.mark.slow
def test_what_does_not_fit_is_refused(onnx_file, prepare, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"teacher\.kind: calls probabilities logits"):
        prepare("onnx", onnx_file(softmax=True))
    with pytest.raises(ConfigError, match=r"teacher\.output: got 'x'.*scores"):
        prepare("onnx", onnx_file(), "teacher.output=x")
    with pytest.raises(ConfigError, match="got 48, and the model wants"):
        prepare("onnx", onnx_file(), "teacher.image_size=48")
    with pytest.raises(ConfigError, match="a foreign model has logits alone"):
        prepare("onnx", onnx_file(), "distillation=fitnet")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(onnx_file().read_bytes()[:-400])
    with pytest.raises(DataError, match="cannot be read"):
        prepare("onnx", cut)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'tlcli\[onnx\]'"):
        prepare("onnx", cut)


@pytest.mark.slow
def test_a_saved_model_runs_only_with_trust(prepare, centres, tmp_path):
    import tensorflow as tf

    flat = tf.constant(centres.reshape(5, -1))

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)])
        def __call__(self, images):
            product = tf.matmul(tf.reshape(images, (-1, 3072)), flat, transpose_b=True)
            return {"scores": 20 * (product - 0.5 * tf.reduce_sum(flat**2, -1)) / 1024}

    model, path = Model(), tmp_path / "saved"
    tf.saved_model.save(model, path, {"serving_default": model.__call__})
    with pytest.raises(ConfigError, match=r"teacher\.trust: a SavedModel is a program"):
        prepare("saved_model", path)
    plan = prepare("saved_model", path, "teacher.trust=true")
    rows = plan.pieces.manifest.rows(VALIDATION)[:5]
    images = next(plan.pieces.plain_views.batches(rows, np.zeros(5), 5))
    found = plan.lesson.teacher.built.logits(plan.pieces.plain_views, rows)
    np.testing.assert_allclose(found, logits_of(images, centres), atol=1e-3)
    assert np.isfinite(weights_after(plan, 1)[1]).all()
