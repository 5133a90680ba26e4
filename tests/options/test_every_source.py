"""Every kind of data and every teacher trains two steps; devices that are not there are refused."""

import csv

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.marks import cases
from tests.helpers.packed import rows_of, write_hf, write_parquet, write_tar, write_tfds
from tlcli.config import registry
from tlcli.contracts.data import TRAIN
from tlcli.errors import ConfigError
from tlcli.training.devices import start_devices

FILES = {group: sorted(p.stem for p in (registry.config_root() / group).glob("*.yaml"))
         for group in ("data", "teacher", "hardware")}  # fmt: skip
# These need devices or processes of their own; tests/options/hardware and others train on them.
ELSEWHERE = {"mirrored", "multi_worker"}


@pytest.fixture(scope="module")
def places(pictures, tmp_path_factory):
    """The same pictures as a table, as an archive, as records, and without labels."""
    from PIL import Image

    root = tmp_path_factory.mktemp("places")
    files = sorted(pictures.glob("*/*.png"))
    labels = [f.parent.name for f in files]
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *zip(map(str, files), labels, strict=True)])
    arrays = np.stack([np.asarray(Image.open(f)) for f in files])
    numbers = np.array([label == "square" for label in labels], np.int64)
    np.savez(root / "arrays.npz", train_data=arrays, train_labels=numbers)
    (root / "records").mkdir()
    with tf.io.TFRecordWriter(str(root / "records" / "all_train-0.tfrecord")) as writer:
        for path, number in zip(files, numbers, strict=True):
            feature = {
                "image/encoded": tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[path.read_bytes()])
                ),
                "image/class/label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[number])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    rows = rows_of(pictures)
    write_parquet(root / "parquet" / "train.parquet", rows, ["round", "square"])
    write_tar(root / "tar" / "train-0.tar", rows)
    write_hf(root / "hf", {"train": rows}, ["round", "square"])
    built = write_tfds(root / "tfds", {"train": rows}, ["round", "square"])
    return {
        "folder": pictures, "csv": root / "table.csv", "npy": root / "arrays.npz",
        "tfrecord": root / "records", "parquet": root / "parquet", "webdataset": root / "tar",
        "hf": root / "hf", "tfds": built,
    }  # fmt: skip


@pytest.mark.parametrize("name", [n for n in FILES["data"] if n != "photos"])
def test_every_kind_of_data_trains_two_steps(lab, request, name):
    if name == "digits":
        data = lab.base["data"]
    else:
        data = lab.values("data", name, path=str(request.getfixturevalue("places")[name]))
    pieces = lab.pieces(data=data)
    with lab.eagerly():
        lab.steps(pieces)
    expected = 20 if name == "digits" else 18  # 24 pictures less a seventh twice
    assert abs(len(pieces.manifest.rows(TRAIN)) - expected) <= 2


@pytest.fixture(scope="module")
def teachers(lab, digits_run, tmp_path_factory):
    """Values that each teacher needs; functions, for what is made when it is asked for."""
    root = tmp_path_factory.mktemp("teachers")

    def stored():
        manifest = lab.job().data.manifest(0, root)
        logits = np.eye(5, dtype=np.float32)[manifest.labels] * 4
        np.savez(root / "logits.npz", ids=manifest.ids.astype(str), logits=logits)
        return {"path": str(root / "logits.npz")}

    def exported():
        class Model(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((None, 16, 16, 3), tf.float32)])
            def __call__(self, images):
                return tf.reduce_mean(images, (1, 2))[:, :1] * tf.range(5.0)[None]

        model = Model()
        path = str(root / "saved")
        tf.saved_model.save(model, path, {"serving_default": model.__call__})
        return {"path": path, "trust": True, "minimum_accuracy": 0.0}

    def onnx_file():
        onnx = pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
        make, kinds = onnx.helper, onnx.TensorProto
        factor = np.random.default_rng(0).normal(size=(768, 5)).astype(np.float32)
        graph = make.make_graph(
            [make.make_node("Flatten", ["images"], ["flat"]),
             make.make_node("MatMul", ["flat", "factor"], ["scores"])],
            "linear", [make.make_tensor_value_info("images", kinds.FLOAT, ["N", 3, 16, 16])],
            [make.make_tensor_value_info("scores", kinds.FLOAT, ["N", 5])],
            [onnx.numpy_helper.from_array(factor, "factor")],
        )  # fmt: skip
        opset = [make.make_opsetid("", 13)]
        onnx.save(make.make_model(graph, opset_imports=opset, ir_version=8), root / "linear.onnx")
        return {"path": str(root / "linear.onnx"), "minimum_accuracy": 0.0}

    def published():
        import keras

        from tlcli.models import weights

        values = lab.values("teacher", "pretrained", backbone="mobilenet_v2", weights="none")
        classifier = registry.build("teacher", values)._option()
        made = classifier.build_classifier(keras.Input((224, 224, 3)))
        weights.save_weights(made, root / "own.weights.h5")
        classes = dict(zip("56789", ("tench", "goldfish", "zebra", "broom", "hay"), strict=True))
        return {"backbone": "mobilenet_v2", "weights": str(root / "own.weights.h5"),
                "classes": classes, "minimum_accuracy": 0.0}  # fmt: skip

    return {
        "run": lambda: {"path": str(digits_run)},
        "ensemble": lambda: {"runs": [str(digits_run)] * 2},
        "file": stored, "saved_model": exported, "onnx": onnx_file, "pretrained": published,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    cases((n for n in FILES["teacher"] if n not in ("none", "recipe")),
          quick=("run", "file"), slow=("ensemble", "onnx")),
)  # fmt: skip
def test_every_teacher_teaches_two_steps(lab, teachers, name):
    values = lab.values("teacher", name, **teachers[name]())
    pieces = lab.pieces(teacher=values, distillation="kd")
    with lab.eagerly():
        trainer, figures = lab.steps(pieces)
    # The loss is more than its label term.
    hard = trainer.lesson.method.hard_weight * figures[:, 1]
    assert (figures[:, 0] > hard).all()


@pytest.mark.parametrize("name", [n for n in FILES["hardware"] if n not in ELSEWHERE])
def test_every_device_trains_two_steps_or_is_refused(lab, name):
    hardware = lab.values("hardware", name)
    if name == "gpu" and not tf.config.list_physical_devices("GPU"):
        with pytest.raises(ConfigError) as caught:
            start_devices(lab.job(hardware=hardware))
        assert caught.value.remedy == "Give hardware=cpu."
        return
    with lab.eagerly():
        lab.steps(lab.pieces(hardware=hardware))
