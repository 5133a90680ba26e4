"""Whatever happens, a person reads one line: faults of the machine, of strangers, and our own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.runs import environment
from tlcli.cli import border, main
from tlcli.errors import DataError

ROOT = Path(__file__).parents[2]


def said(capsys, action, word="train"):
    code = border.guarded(action, word)
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "Traceback" not in text
    return code, text


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a", "is b", "Do c."), 1, "tl train: a: is b. Do c."),
        (PermissionError(13, "Permission denied", "/x"), 1, "tl train: /x: Permission denied."),
        (OSError(28, "No space left on device"), 1, "tl train: No space left on device."),
        (MemoryError(), 1, "tl train: out of memory."),
        (KeyboardInterrupt(), 130, "tl: interrupted"),
        (DataError("a\x1b[31m\nb", "is c", "Do."), 1, r"tl train: a\x1b[31m\nb: is c. Do."),
    ],
)
def test_faults_are_one_line(capsys, error, code, line):
    assert said(capsys, raising(error)) == (code, line + "\n")


@pytest.mark.parametrize("error", [KeyError("k"), RecursionError("deep"), ValueError("a\nb"),
                                   RuntimeError(), AssertionError()])  # fmt: skip
def test_a_bug_is_one_line_that_names_a_file_with_the_traceback(capsys, error):
    code, text = said(capsys, raising(error))
    assert code == 70
    assert type(error).__name__ in text
    path = Path(re.search(r"which is in (\S+)\.\n", text)[1])
    assert "in action" in path.read_text()
    path.unlink()


def test_an_error_of_ours_is_found_in_what_tensorflow_makes_of_it(capsys):
    import tensorflow as tf

    def broken(_):
        raise DataError("row 3", "is gone", "Restore it.")

    def action():
        data = tf.data.Dataset.range(2)
        list(data.map(lambda i: tf.numpy_function(broken, [i], tf.int64)))
        return 0

    assert said(capsys, action) == (1, "tl train: row 3: is gone. Restore it.\n")


def shell(line, **more):
    env = {**environment(), "TL": f"{sys.executable} -m tlcli.cli", **more}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=env, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("$TL list head > /dev/full", 1, "No space left on device.\n"),
        ("$TL list head >&-", 1, "Bad file descriptor.\n"),
        ("$TL list nothing 2>&-", 2, ""),
        ("$TL list head <&- >/dev/null", 0, ""),
    ],
)
def test_streams_that_are_full_or_closed(line, code, text):
    done = shell(line)
    assert done.returncode == code
    assert done.stderr.endswith(text)
    assert done.stderr.count("\n") == bool(text)


def test_a_narrow_encoding_and_odd_names_do_not_matter():
    done = shell("$TL list größe", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert r"there is no group 'gr\xf6\xdfe'" in done.stderr
    done = shell(r"$TL list $'a\xff'")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [
    ["train", "data=folder", "data.path=~nouser/x"], ["train", "config=~nouser/x.yaml"],
    ["train", "cache_dir=~nouser/x"], ["eval", "checkpoint=~nouser/x"],
    ["compare", "~nouser/x"], ["compare", "x", "output=~nouser/y"], ["predict", "~nouser/x"],
    ["predict", "a.jpg", "workers=0"], ["predict", "a.jpg", "workers=-3"],
    ["predict", "a.jpg", "image_size=1000000"], ["eval", "checkpoint=x", "workers=0"],
    ["train", "epochs=1e308"], ["train", "batch_size=1e30"], ["train", "image_size=1e9"],
    ["train", "seed=1e300"], ["train", "optimizer.learning_rate=inf"], ["train", "epochs=1e400"],
    ["train", "batch_size=" + "9" * 5000],
])  # fmt: skip
def test_words_that_no_machine_can_follow_are_one_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    code = main.run(words)
    text = capsys.readouterr().err
    assert code in (1, 2), text
    assert text.count("\n") == 1
    assert len(text) < 400
    assert list(tmp_path.iterdir()) == []
