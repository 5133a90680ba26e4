"""No file can make the program run code: not a recipe, however it is spelt, nor a stored run."""

import json
import shutil

import pytest

from tests.helpers.runs import process as tl
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
