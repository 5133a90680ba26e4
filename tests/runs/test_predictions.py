"""What a network said of each image, kept: written as plain arrays, read with suspicion."""

import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics as oracle

from tests.helpers.words import checked
from tlcli.commands import evaluate
from tlcli.errors import ConfigError, DataError
from tlcli.evaluation.metrics import probabilities
from tlcli.runs import predictions

NAMES = ("<script>", "\udcff ü", "c")


def manifest(labels, ids=("a/é.png", "b\udcfe", "train/2", "d")):
    return SimpleNamespace(
        ids=np.array(ids, object), labels=np.array(labels), splits=np.array([0, 1, 2, 3]),
        class_names=NAMES, multi_label=np.ndim(labels) == 2,
    )  # fmt: skip


def predicted(labels=(0, 2, 1, 1), rows=(0, 1, 2, 3)):
    logits = np.random.default_rng(0).normal(0, 3, (len(rows), 3)).astype(np.float32)
    several = np.ndim(labels) == 2
    return predictions.made(
        manifest(labels), np.array(rows, int), logits, lambda z: probabilities(z, several), 0.4
    )


def saved(path, arrays):
    np.savez(path, **arrays)
    return path


def same(found, expected):
    for name, array in expected.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array)


@pytest.mark.parametrize("labels", [(0, 2, 1, 1), ((1, 1, 0), (0, 0, 0), (1, 0, 0), (0, 0, 1))])
def test_what_is_written_is_read_back(tmp_path, labels):
    found = predicted(labels)
    predictions.write(tmp_path, found)
    same(predictions.read(tmp_path), found)
    assert found.splits.tolist() == ["train", "validation", "test", ""]
    assert found.of("test").ids.tolist() == ["train/2"]
    assert found.multi_label == (np.ndim(labels) == 2) == (found.thresholds is not None)
    with np.load(tmp_path / predictions.FILE, allow_pickle=False) as plain:
        assert plain["logits"].dtype == plain["probabilities"].dtype == np.float32
        assert plain["ids"].tolist() == found.ids.tolist()
        assert tuple(plain["class_names"]) == NAMES


def test_no_images_are_kept_too(tmp_path):
    predictions.write(tmp_path, predicted(rows=()))
    found = predictions.read(tmp_path)
    assert found.logits.shape == (0, 3)
    assert len(found.ids) == 0


def test_the_same_predictions_are_the_same_bytes(tmp_path):
    (tmp_path / "b").mkdir()
    for folder in (tmp_path, tmp_path / "b"):
        predictions.write(folder, predicted())
    first, second = (f / predictions.FILE for f in (tmp_path, tmp_path / "b"))
    assert first.read_bytes() == second.read_bytes()


def test_probabilities_are_made_in_pieces(monkeypatch):
    whole = predicted()
    monkeypatch.setattr(predictions, "PIECE", 4)
    same(predicted(), whole)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": None}, "lacks the array ids"),
        ({"ids": np.arange(4)}, "ids, splits or class_names are no list of texts"),
        ({"ids": np.array(["a"] * 3)}, "logits are not 3 rows of 3 numbers"),
        ({"splits": np.array(["a"] * 3)}, "splits are not 4"),
        ({"logits": np.zeros((4, 3))}, "logits are not 4 rows of 3 numbers of 32 bits"),
        ({"logits": np.full((4, 3), np.nan, np.float32)}, "logits are not all finite"),
        ({"labels": np.array([0, 1, 2, 3])}, "labels are not from 0 to 2"),
        ({"labels": np.array([0, 1, 2, -1])}, "labels are not from 0 to 2"),
        ({"labels": np.array([0.0, 1, 2, 1])}, "labels are not those of 4 images"),
        ({"labels": np.full((4, 3), 2, np.uint8)}, "labels are not from 0 to 1"),
        ({"thresholds": np.zeros(2)}, "thresholds are not 3 numbers"),
        ({"labels": np.array([None] * 4)}, "holds Python objects"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, change, told):
    arrays = {k: v for k, v in {**predicted().arrays(), **change}.items() if v is not None}
    with pytest.raises(DataError, match=told) as error:
        predictions.read(saved(tmp_path / "x.npz", arrays))
    assert "\n" not in str(error.value)


def test_what_is_no_archive_or_missing_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(DataError, match=r"x\.npz"):
        predictions.read(tmp_path / "x.npz")
    with pytest.raises(DataError, match="is missing"):
        predictions.read(tmp_path)
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("ids.npy", b"\x93NUMPY\x01\x00")
    with pytest.raises(DataError, match=r"y\.npz"):
        predictions.read(tmp_path / "y.npz")


def test_a_run_keeps_its_own_and_every_figure_follows_from_them(digits_run):
    found = predictions.read(digits_run)
    stored = json.loads((digits_run / "metrics.json").read_text())
    facts = json.loads((digits_run / "metadata.json").read_text())
    assert predictions.FILE in facts["sha256"]
    assert list(found.class_names) == facts["class_names"]
    test = found.of("test")
    assert len(test.ids) == stored["test"]["samples"]
    guesses = test.probabilities.argmax(-1)
    figures = stored["test"]
    assert oracle.accuracy_score(test.labels, guesses) == pytest.approx(figures["accuracy"])
    assert oracle.f1_score(test.labels, guesses, average="macro") == pytest.approx(
        figures["macro_f1"]
    )
    assert oracle.log_loss(test.labels, test.probabilities.astype(float)) == pytest.approx(
        figures["loss"], rel=1e-4
    )
    validation = found.of("validation")
    right = validation.logits.argmax(-1) == validation.labels
    assert right.mean() == pytest.approx(stored["validation"]["accuracy"])


def test_eval_writes_those_of_the_images_it_measured(digits_run, tmp_path, capsys):
    words = (f"checkpoint={digits_run}", "format=json", f"predictions={tmp_path}/p.npz")
    assert evaluate.run(checked("eval", *words)) == 0
    found, own = predictions.read(tmp_path / "p.npz"), predictions.read(digits_run).of("test")
    assert found.ids.tolist() == own.ids.tolist()
    np.testing.assert_allclose(found.logits, own.logits, atol=1e-5)
    np.testing.assert_allclose(found.probabilities, own.probabilities, atol=1e-6)
    assert evaluate.run(checked("eval", *words)) == 0  # its own file is written again
    (tmp_path / "p.npz").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"^predictions: .* is there, and tl did not write it"):
        evaluate.run(checked("eval", *words))
    with pytest.raises(ConfigError, match=r"Give a \.npz file"):
        checked("eval", "predictions=a.csv")
