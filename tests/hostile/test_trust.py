"""No file can make the program run code: not a recipe, however it is spelt, nor a stored run."""

import json
import pickle
import shutil

import numpy as np
import pytest

from tests.helpers.pictures import encode, smooth
from tests.helpers.runs import process as tl
from tests.helpers.sealing import resealed
from tlcli.cli import main
from tlcli.config import registry

MARK = "CODE_RAN"
# Ways to ask Hydra for a callback, which it would import and call.
SPELLINGS = (
    "hydra.callbacks.x._target_", "+hydra.callbacks.x._target_", "++hydra.callbacks.x._target_",
    "hydra/callbacks", "+hydra/callbacks", "hydra.callbacks", "'hydra.callbacks.x._target_'",
    "hydra@_global_", "_global_.hydra", "hydra .callbacks", "HYDRA.callbacks", "~hydra",
    "name=1,+hydra.callbacks.x._target_", "name\\n+hydra.callbacks", "data.x=1 +hydra.callbacks",
)  # fmt: skip


def files_below(folder):
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A SavedModel that writes a file when it is called."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("evil")
    mark = str(folder / MARK)

    class Evil(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)])
        def __call__(self, images):
            with tf.control_dependencies([tf.io.write_file(mark, "yes")]):
                return {"logits": tf.zeros((tf.shape(images)[0], 5))}

    evil = Evil()
    tf.saved_model.save(evil, str(folder / "model"), signatures=evil.__call__)
    return folder


@pytest.mark.parametrize("flags", [(), ("-m",), ("plan_only=true",), ("--cfg", "job")], ids=str)
def test_a_recipe_reaches_no_key_of_hydras(tmp_path, flags):
    for number, key in enumerate(SPELLINGS):
        code = f"pathlib.Path({str(tmp_path / MARK)!r}).touch"
        (tmp_path / f"r{number}.yaml").write_text(f"{key}: {code}\nepochs: 1\n")
    before = files_below(tmp_path)
    for number in range(len(SPELLINGS)) if not flags else (0, 1, 3):
        done = tl("train", f"config=r{number}.yaml", *flags, cwd=tmp_path)
        assert done.returncode == 2, (SPELLINGS[number], done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1
        assert files_below(tmp_path) == before


def test_a_recipe_cannot_trust_itself(saved_model, tmp_path):
    text = "teacher: {{option: saved_model, path: '{}', {}}}\ndistillation: kd\n"
    for number, trust in enumerate(("trust: true", "'trust': true", "trust: 1", "trust: yes")):
        recipe = tmp_path / f"trust{number}.yaml"
        recipe.write_text(text.format(saved_model / "model", trust))
        for more in ((), ("-m",), ("plan_only=true",)):
            done = tl("train", f"config={recipe}", *more, cwd=tmp_path)
            assert done.returncode == 2
            assert "trust counts only where a person types it" in done.stderr
    assert not (saved_model / MARK).exists()


@pytest.mark.slow
def test_a_stored_run_cannot_trust_itself(saved_model, digits_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(digits_run, run)
    config = json.loads((run / "config.json").read_text())
    teacher = {
        "name": "saved_model", "path": str(saved_model / "model"), "trust": True,
        "minimum_accuracy": 0.0, "cache": "off", "cache_format": "auto", "cache_mass": 0.99,
        "cache_classes": 64, "image_size": 32, "layout": "nhwc", "scale": 1.0, "mean": [0, 0, 0],
        "std": [1, 1, 1], "output": None, "kind": "logits", "class_names": None, "classes": None,
    }  # fmt: skip
    kd = {**registry.defaults("distillation", "kd"), "soft_weight": 0.5}
    (run / "config.json").write_text(json.dumps({**config, "teacher": teacher, "distillation": kd}))
    for name in ("model.weights.h5", "metadata.json", "metrics.json"):
        (run / name).unlink()
    for words in (("train", f"resume={run}"), ("teacher", "verify", f"checkpoint={run}")):
        done = tl(*words, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "a SavedModel" in done.stderr
        assert "Give teacher.trust=true if you know who made it" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (saved_model / MARK).exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# @package _global_\nname: tiny\n", "has a package header"),
        ("name: tiny\nhydra: {callbacks: {}}\n", "hydra: is no key of an option"),
        ("defaults: [override /hydra/launcher: joblib]\nname: tiny\n", "is no key of an option"),
        ("name: saved_model\ntrust: true\n", "trust counts only where a person types it"),
        ("name: !!python/name:os.system\n", "uses a YAML tag"),
        ("name: tiny\nweights: [a, '${oc.env:HOME}']\n", "weights: has an interpolation"),
    ],
)
def test_an_option_of_the_users_reaches_no_key_of_hydras(tmp_path, text, said):
    (tmp_path / "mine" / "backbone").mkdir(parents=True)
    (tmp_path / "mine" / "backbone" / "own.yaml").write_text(text)
    for more in ((), ("-m",)):
        done = tl("train", "backbone=own", "--config-dir", "mine", "plan_only=true", *more,
                  cwd=tmp_path)  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert said in done.stderr


def test_no_pickle_is_run_again(tmp_path):
    done = tl("train", "--experimental-rerun", "x.pickle", cwd=tmp_path)
    assert done.returncode == 2
    assert "is no flag of tl" in done.stderr


class Marker:
    """A pickle that writes a file when it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (self.mark, "w")


def pickled(path, mark):
    """Put a pickle in the place of a file, as NumPy or Python would read it."""
    values = np.array([Marker(mark)], object)
    if path.suffix == ".npz":
        np.savez(path, a0=values)
    elif path.suffix == ".npy":
        np.save(path, values, allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Marker(mark)))


def named(mark):
    """Ways to name code in the JSON of a run."""
    call = {"_target_": "pathlib.Path.touch", "self": mark}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": mark}}
    return (
        ("config.json", call),
        ("config.json", {"hydra": {"callbacks": {"x": call}}}),
        ("config.json", {"defaults": [{"override hydra/callbacks": "x"}]}),
        ("config.json", {"backbone": {"name": "os.system", "path": mark}}),
        ("config.json", {"backbone": {"name": "../../evil"}}),
        ("config.json", {"head": {"name": "mlp", "hidden": [4], "activation": layer}}),
        ("config.json", {"data": {"name": "folder", "path": f"$(touch {mark})"}}),
        ("config.json", {"started_in": f"/`touch {mark}`"}),
        ("metadata.json", {"head": {"kind": "dense", "activation": layer}}),
        ("metadata.json", {"plugins": [dict.fromkeys(
            ("group", "option", "package", "version"), f"$(touch {mark})")]}),
    )  # fmt: skip


def commands(run):
    """Every way to read a run."""
    plan = ("plan_only=true", "data.images_per_class=4")
    return (
        ("predict", "one.png", f"checkpoint={run}"), ("eval", f"checkpoint={run}"),
        ("compare", str(run)), ("train", f"resume={run}"), ("train", f"extend={run}", *plan[:1]),
        ("train", "backbone=run", f"backbone.run={run}", *plan),
        ("train", "distillation=kd", "teacher=run", f"teacher.path={run}", *plan),
        ("teacher", "verify", f"checkpoint={run}"),
    )  # fmt: skip


def answered(words, capsys):
    code = main.run([str(word) for word in words])
    said = capsys.readouterr().err
    assert code in (0, 1, 2), (words, said)
    assert "Traceback" not in said
    return code


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "one.png").write_bytes(encode(smooth()))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.slow
def test_no_code_named_in_a_run_is_called(digits_run, here, tmp_path, capsys):
    mark = str(here / MARK)
    before = files_below(here)
    for number, (name, change) in enumerate(named(mark)):
        run = shutil.copytree(digits_run, tmp_path / f"run{number}")
        path = run / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        resealed(run)
        for words in commands(run):
            answered(words, capsys)
            assert files_below(here) == before, (change, words)


@pytest.mark.slow
@pytest.mark.long
def test_no_pickle_in_a_run_is_read(digits_run, here, tmp_path, capsys):
    mark = str(here / MARK)
    before = files_below(here)
    names = [p.name for p in digits_run.iterdir() if p.is_file() and p.name != "metadata.json"]
    for number, name in enumerate([*names, "metadata.json", "state/0000000002.npz"]):
        run = shutil.copytree(digits_run, tmp_path / f"run{number}")
        (run / "state").mkdir(exist_ok=True)
        pickled(run / name, mark)
        if name not in ("metadata.json", "config.json"):
            resealed(run)
        for words in commands(run):
            answered(words, capsys)
            assert files_below(here) == before, (name, words)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".jsonl", ".tfrecord", ".png"])
def test_no_pickle_in_data_is_read(here, tmp_path, capsys, suffix):
    mark = str(here / MARK)
    before = files_below(here)
    data = tmp_path / "data"
    data.mkdir()
    for name in ("x_train", "y_train", "outputs"):
        pickled(data / f"{name}{suffix}", mark)
    one = data / f"outputs{suffix}"
    for words in (
        ("train", "data=npy", f"data.path={data}"), ("train", "data=npy", f"data.path={one}"),
        ("train", "data=csv", f"data.path={one}"), ("train", "data=tfrecord", f"data.path={data}"),
        ("train", "data=folder", f"data.path={data}"), ("train", f"config={one}"),
        ("train", "distillation=kd", "teacher=file", f"teacher.path={one}"),
        ("train", f"backbone.weights={one}"),
    ):  # fmt: skip
        assert answered((*words, "plan_only=true"), capsys) in (1, 2), words
        assert files_below(here) == before, words
