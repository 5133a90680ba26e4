"""The command line as a person meets it: processes, messages, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tlcli import __version__
from tlcli.cli import main

ROOT = Path(__file__).parents[2]


def test_tl_alone_shows_where_to_start(tl):
    alone, helped = tl(), tl("--help")
    assert alone.returncode == 0
    assert alone.stdout == helped.stdout
    assert "tl train photos" in alone.stdout
    assert alone.stderr == ""


def test_version_help_and_list(capsys):
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"tl {__version__}\n"
    assert main.run(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "batch_size: 32" in shown
    assert "backbone" in shown
    assert main.run(["list", "head"]) == 0
    assert "  linear  " in capsys.readouterr().out


MISTAKES = [
    (["trian"], 2, "tl: command: there is no command 'trian'. Did you mean train?"),
    (["train", "backbone=tinny"], 2, "Did you mean tiny?"),
    (["train", "bacbone=tiny"], 2, "tl train: bacbone: there is no such key. Did you mean backb"),
    (["train", "epoch=3"], 2, "Did you mean epochs?"),
    (["train", "optimizer.learning_rat=3"], 2, "Did you mean learning_rate?"),
    (["train", "epochs=abc"], 2, "tl train: epochs: got 'abc'. Give a number."),
    (["train", "epochs=-1"], 2, "tl train: epochs: got -1.0. Give a number above 0."),
    (["train", "data=folder"], 2, "tl train: data.path: no value. Give data.path=VALUE."),
    (["train", "config=quikstart"], 2, "Did you mean quickstart?"),
    (["train", "--epochs"], 2, "--epochs: is no flag of tl"),
    (["list", "haed"], 2, "Did you mean head?"),
    (["train", "phtos"], 2, "tl train: data: there is no file or folder 'phtos'"),
    (["train", "tlcli.zip"], 2, "tl train: data: there is no file or folder 'tlcli.zip'"),
    (["predict"], 2, "tl predict: images: no value"),
    (["preview", "output=a.gif"], 2, "tl preview: output: got 'a.gif'. Give a .png, .jpg or"),
    (["preview", "views=0"], 2, "tl preview: views: got 0. Give 1 to 32."),
    (["preview", "epochs=-1"], 2, "tl preview: epochs: got -1.0. Give a number above 0."),
    (["launch"], 2, "tl launch: launch: got ''. Write tl launch N -- train KEY=VALUE"),
    (["launch", "0", "--", "train"], 2, "tl launch: launch: got '0 train'."),
    (["launch", "2", "--", "report"], 2, "tl launch: launch: got '2 report'."),
    (["launch", "hosts=a b", "--", "train"], 2, "tl launch: hosts: got 'a b'. Write hosts=HOST"),
    (["launch", "hosts=a,b", "--", "eval"], 2, "tl launch: shared: no value. Give a folder that"),
    (["bench", "scale"], 2, "tl bench scale: words: got ''. Write tl bench scale workers=1,2 --"),
    (["bench", "scale", "--", "train", "epochs=-1"], 2, "tl bench scale: epochs: got -1.0. Give"),
    (["launch", "2", "restarts=-1", "--", "train"], 2, "tl launch: restarts: got -1. Give 0"),
    (["launch", "2", "--", "train", "hardware.timeout=0"], 2, "tl launch: hardware.timeout: got 0"),
    (["launch", "2", "--", "train", "epochs=-1"], 2, "tl launch: epochs: got -1.0. Give a number"),
    (["train", "-m", "epochs=1,-1"], 2, "epochs: got -1.0 (in the job"),
    (["train", "config=mine.yaml"], 2, "config: there is no file mine.yaml"),
]  # fmt: skip


def test_mistakes_are_one_line_without_tensorflow_or_a_folder(tmp_path):
    code = f"""
import contextlib, io, json, sys
from tlcli.cli import main
found = []
for words in {[words for words, _, _ in MISTAKES]!r}:
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        code = main.run(words)
    found.append([code, errors.getvalue()])
loaded = [m for m in ("tensorflow", "keras") if m in sys.modules]
print(json.dumps([found, loaded]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found, loaded = json.loads(done.stdout)
    assert loaded == []
    for (words, code, message), (given, text) in zip(MISTAKES, found, strict=True):
        assert message in text, words
        assert given == code, words
        assert text.count("\n") == 1, words
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_ends_the_process_with_2(tl, tmp_path):
    done = tl("train", "data=folder", "data.path=a b=c")
    assert done.returncode in (1, 2)
    assert "a b=c" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_hydra_shows_the_configuration(tl, tmp_path):
    done = tl("train", "--cfg", "job", "data=folder", "data.path=a b=c", "epochs=3")
    assert done.returncode == 0, done.stderr
    assert "path: a b=c" in done.stdout
    assert "epochs: 3" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_sweep_runs_each_job_in_its_own_folder(tl, tmp_path):
    done = tl(
        "train", "-m", "seed=1,2", "epochs=1", "finetune=linear_probe", "data.images_per_class=4",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for job in ("0", "1"):
        assert (tmp_path / "sweep" / job / "model.weights.h5").is_file()
    seeds = [json.loads((tmp_path / "sweep" / j / "config.json").read_text())["seed"] for j in "01"]
    assert seeds == [1, 2]


def test_garbage_is_searched_for_again_after_the_import():
    code = """if True:
        import gc
        from tlcli.cli.tensorflow import import_tensorflow
        import_tensorflow()
        assert gc.isenabled()
        frozen = gc.get_freeze_count()
        assert frozen > 100_000, frozen
        import_tensorflow()
        assert gc.get_freeze_count() == frozen
    """
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_keras_does_not_import_scikit_learn(tmp_path):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text("FOUND = True\n")
    code = """if True:
        import sys
        from tlcli.cli.tensorflow import import_tensorflow
        import_tensorflow()
        assert "keras" in sys.modules
        assert "sklearn" not in sys.modules
        import sklearn
        assert sklearn.FOUND
    """
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
