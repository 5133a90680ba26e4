"""`tl export` writes what other programs run, and it answers as the run does."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.marks import LONG
from tests.helpers.pictures import encode, odd_images, smooth
from tests.helpers.runs import environment, train_digits
from tests.helpers.words import checked
from tlcli.commands import evaluate, export, predict
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.export import manifest
from tlcli.export.contract import NAMES, format_of
from tlcli.runs import strangers

QUICK = {("litert", "none"), ("onnx", "none")}
SLOW = {("litert", "int8"), ("openvino", "none"), ("keras", "none"), ("saved_model", "none")}
KINDS = [
    pytest.param(*one, marks=() if one in QUICK else pytest.mark.slow if one in SLOW else LONG)
    for one in ((name, kind) for name in NAMES for kind in format_of(name).quantize)
]


@pytest.fixture(scope="module")
def run(digits_run, tmp_path_factory):
    """A run of its own, for exports lie in its folder."""
    return shutil.copytree(digits_run, tmp_path_factory.mktemp("exported") / "run")


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A photo that is turned, large enough to be shrunk while it is decoded."""
    path = tmp_path_factory.mktemp("photo") / "one.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth(4, 200, 300)).save(path, exif=exif)
    return path


def exported(run, name, kind, *more):
    words = (f"checkpoint={run}", f"format={name}", f"quantize={kind}", *more)
    assert export.run(checked("export", *words)) == 0
    return run / "export" / (name if kind == "none" else f"{name}-{kind}")


def answer(capsys, photo, checkpoint):
    words = (str(photo), f"checkpoint={checkpoint}", "format=jsonl", "top=9")
    assert predict.run(checked("predict", *words)) == 0
    return json.loads(capsys.readouterr().out)


def shares(row):
    return {one["label"]: one["probability"] for one in row["top"]}


@pytest.mark.parametrize(("name", "kind"), KINDS, ids=str)
def test_every_format_answers_as_the_run_does(run, photo, capsys, name, kind):
    folder = exported(run, name, kind, *(["tolerance=1"] if kind != "none" else []))
    capsys.readouterr()
    found = manifest.read(folder)
    assert (found.format, found.quantize) == (name, kind)
    assert found.proof["agreement"] >= (1 if kind == "none" else 0.9)
    assert set(found.sha256) >= {"labels.txt", "README.md", "example.py"}
    assert (folder / "labels.txt").read_text().split() == list(found.facts.class_names)
    ours, theirs = answer(capsys, photo, run), answer(capsys, photo, folder)
    close = 1e-3 if kind == "none" else 0.2
    assert shares(theirs) == pytest.approx(shares(ours), abs=close)
    if kind == "none":
        assert theirs["stranger"] is ours["stranger"] is True
    program = (folder / "example.py").read_text()
    assert len(program.splitlines()) <= 60
    code = [sys.executable, "-W", "ignore", str(folder / "example.py"), str(photo)]
    done = subprocess.run(code, env=environment(), capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["path"] == str(photo)
    # Probabilities of 8 bits are whole steps of 1/256.
    assert shares(said) == pytest.approx(shares(theirs), abs=0.01 if kind == "int8" else 1e-3)


@pytest.mark.slow
def test_a_saved_model_reads_encoded_pictures_as_predict_does(run, tmp_path, capsys):
    folder = run / "export" / "saved_model"
    folder = folder if folder.is_dir() else exported(run, "saved_model", "none")
    rows = odd_images(smooth(3, 80, 56))
    rows.pop("webp_animated")
    turned = Image.Exif()
    for orientation in range(1, 9):
        turned[0x0112] = orientation
        rows[f"exif_{orientation}"] = encode(smooth(3, 80, 56), "JPEG", exif=turned)
    rows |= {"tiny": encode(smooth(1, 8, 8)[:1, :2]), "large": encode(smooth(2, 800, 600), "JPEG")}
    for name, data in rows.items():
        (tmp_path / name).write_bytes(data)
    words = [*(str(tmp_path / name) for name in rows), f"checkpoint={run}", "format=jsonl", "top=9"]
    capsys.readouterr()
    assert predict.run(checked("predict", *words)) == 0
    told = {Path(one["path"]).name: shares(one)
            for one in map(json.loads, capsys.readouterr().out.splitlines())}  # fmt: skip
    import tensorflow as tf

    call = tf.saved_model.load(str(folder / "saved_model" / "1")).signatures["encoded"]
    found = call(encoded=tf.constant(list(rows.values())))["probabilities"].numpy()
    names = manifest.read(folder).facts.class_names
    for name, row in zip(rows, found, strict=True):
        ours = [told[name][one] for one in names if one in told[name]]
        theirs = [share for one, share in zip(names, row, strict=True) if one in told[name]]
        assert theirs == pytest.approx(ours, abs=1e-4), name


def test_predicting_by_an_export_imports_no_tensorflow(run, photo, tmp_path):
    for name in ("litert", "onnx"):
        folder = run / "export" / name
        folder = folder if folder.is_dir() else exported(run, name, "none")
        words = ["predict", str(photo), f"checkpoint={folder}"]
        code = (
            "import sys; from tlcli.cli.main import run; "
            f"assert run({words!r}) == 0; print('tensorflow' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], env=environment(), check=True,
                              capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
        assert done.stdout.splitlines()[-1] == "False"


def test_several_labels_have_their_thresholds(tmp_path, capsys):
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 3)) < 0.5).astype(np.uint8)
    labels[:3] = np.eye(3)
    np.savez(tmp_path / "data.npz", train_data=rng.integers(0, 256, (40, 16, 16, 3), np.uint8),
             train_labels=labels)  # fmt: skip
    run = train_digits(tmp_path / "run", "data=npy", f"data.path={tmp_path / 'data.npz'}",
                       "finetune=linear_probe", "image_size=16", "loss=bce")  # fmt: skip
    folder = exported(run, "onnx", "none")
    picture = tmp_path / "one.png"
    Image.fromarray(smooth(1, 20, 20)).save(picture)
    capsys.readouterr()
    assert answer(capsys, picture, folder)["labels"] == answer(capsys, picture, run)["labels"]


def test_an_export_is_measured_as_its_run_is(run, capsys):
    folder = exported(run, "onnx", "none")
    capsys.readouterr()
    told = []
    for one in (run, folder):
        assert evaluate.run(checked("eval", f"checkpoint={one}", "format=json")) == 0
        told.append(json.loads(capsys.readouterr().out))
    same = ("accuracy", "macro_f1", "loss", "samples", "accuracy_low", "stranger_share")
    assert {k: told[1][k] for k in same} == pytest.approx({k: told[0][k] for k in same}, abs=1e-5)


def test_strangers_of_another_run_are_refused(run, photo, tmp_path):
    folder = shutil.copytree(exported(run, "onnx", "none"), tmp_path / "export")
    known = strangers.read(folder)
    strangers.write(folder, replace(known, bank=known.bank[:, :-1]))
    about = json.loads((folder / manifest.FILE).read_text())
    about["export"]["sha256"] = manifest.hashes(folder)
    (folder / manifest.FILE).write_text(json.dumps(about))
    with pytest.raises(DataError, match="another network"):
        predict.run(checked("predict", str(photo), f"checkpoint={folder}"))


def test_strangers_that_an_export_tells_otherwise_stay_behind(run, monkeypatch, capsys):
    monkeypatch.setattr(export, "ALIKE", 1.1)
    folder = exported(run, "onnx", "none")
    assert not (folder / strangers.FILE).exists()
    assert "left out: run and export mark 100.0% of images alike" in capsys.readouterr().err


def test_what_cannot_be_is_refused_before_anything_is_written(run, tmp_path):
    with pytest.raises(ConfigError, match="saved_model has no int8"):
        export.run(checked("export", f"checkpoint={run}", "quantize=int8"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    words = (f"checkpoint={run}", "format=keras", f"output={tmp_path / 'mine'}")
    with pytest.raises(ConfigError, match=r"^output: .* is there"):
        export.run(checked("export", *words))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_an_export_that_answers_otherwise_is_no_export(run, monkeypatch):
    monkeypatch.setattr("tlcli.export.proof.CLOSE", -1.0)
    with pytest.raises(TlError, match="probabilities differ by"):
        exported(run, "keras", "none")
    assert not list((run / "export").glob(".new*"))


def test_a_changed_file_is_refused(run, photo, tmp_path):
    folder = shutil.copytree(exported(run, "keras", "none"), tmp_path / "copy")
    file = folder / "model.keras"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DataError, match="is not the file that was exported"):
        predict.run(checked("predict", str(photo), f"checkpoint={folder}"))
