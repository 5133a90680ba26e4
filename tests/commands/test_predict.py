import csv
import io
import json
import shutil
import signal
import subprocess
import sys

import pytest

from tests.helpers.runs import environment, train_digits
from tests.helpers.words import checked
from tlcli.commands import evaluate, predict
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def shapes_run(pictures, tmp_path_factory):
    """A run on the folder of pictures."""
    return train_digits(
        tmp_path_factory.mktemp("shapes") / "run", "data=folder", f"data.path={pictures}",
        "finetune=linear_probe",
    )  # fmt: skip


@pytest.fixture
def name(shapes_run, capsys):
    """Exit code and output of `tl predict` in this process."""

    def named(*words):
        given = checked("predict", *words, f"checkpoint={shapes_run}")
        capsys.readouterr()
        code = predict.run(given)
        return code, capsys.readouterr().out

    return named


def figures(capsys, *words):
    capsys.readouterr()
    assert evaluate.run(checked("eval", *words, "format=json")) == 0
    return json.loads(capsys.readouterr().out)


def test_eval_gives_the_figures_of_the_training(digits_run, capsys):
    stored = json.loads((digits_run / "metrics.json").read_text())
    for split in ("test", "validation"):
        found = figures(capsys, f"checkpoint={digits_run}", f"split={split}")
        expected = stored[split]
        if split == "test":
            assert found == pytest.approx(expected, abs=1e-6)
        else:  # before calibration
            assert found["loss"] <= expected["loss"]


def test_batches_do_not_change_the_figures(digits_run, capsys):
    small = figures(capsys, f"checkpoint={digits_run}", "batch_size=7")
    large = figures(capsys, f"checkpoint={digits_run}", "batch_size=512")
    assert small == pytest.approx(large, abs=1e-6)


def test_eval_of_other_data_goes_by_class_name(digits_run, capsys):
    words = (f"checkpoint={digits_run}", "data=digits", "split=all")
    one = figures(capsys, *words, "data.classes=[5,9]")
    other = figures(capsys, *words, "data.classes=[9,5]")
    assert one == pytest.approx(other, abs=1e-6)
    with pytest.raises(DataError, match="classes the checkpoint does not know: 0"):
        evaluate.run(checked("eval", *words, "data.classes=[0,5]"))


def test_rows_of_json(name, pictures):
    path = pictures / "round" / "0.png"
    code, out = name(path, "format=json")
    (row,) = json.loads(out)
    assert code == 0
    assert set(row) == {"path", "label", "probability", "top"}
    assert row["path"] == str(path)
    assert row["top"][0]["label"] == row["label"]
    assert sum(t["probability"] for t in row["top"]) == pytest.approx(1)
    (row,) = json.loads(name(path, "format=json", "top=1")[1])
    assert len(row["top"]) == 1


def test_a_file_that_is_no_picture_has_an_error_and_the_rest_their_answers(
    name, pictures, tmp_path
):
    bad, good = tmp_path / "bad.png", pictures / "round" / "0.png"
    bad.write_bytes(b"nonsense")
    code, out = name(good, bad, tmp_path / "gone.png", good, "format=jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [set(r) for r in rows[1:3]] == [{"path", "error"}] * 2
    # In a batch its neighbours decide how sums are rounded.
    assert rows[0]["label"] == rows[3]["label"]
    assert rows[0]["probability"] == pytest.approx(rows[3]["probability"], abs=1e-6)
    code, out = name(good, bad, "format=csv")
    table = list(csv.DictReader(io.StringIO(out)))
    assert (table[0]["label"], table[0]["error"]) == (rows[0]["label"], "")
    assert table[1]["error"]
    assert code == 1


def test_folders_globs_and_standard_input(name, pictures, tmp_path, monkeypatch):
    def paths(*words):
        return [json.loads(line)["path"] for line in name(*words, "format=jsonl")[1].splitlines()]

    folder = sorted(str(p) for p in (pictures / "round").iterdir())
    assert paths(pictures / "round") == folder
    assert paths(pictures / "round" / "*.png") == folder
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO("\r\n".join(folder[:2]).encode() + b"\r\n"))
    )
    assert paths("-") == folder[:2]
    with pytest.raises(ConfigError, match="holds no picture"):
        paths(tmp_path)


def test_a_file_name_may_hold_an_equals_sign(name, pictures, tmp_path):
    path = tmp_path / "a=b c.png"
    path.write_bytes((pictures / "round" / "0.png").read_bytes())
    code, out = name(path, "format=json")
    assert code == 0
    assert json.loads(out)[0]["path"] == str(path)


def test_the_newest_run_is_used_when_none_is_given(tmp_path):
    with pytest.raises(ConfigError, match="no finished run"):
        predict.run(checked("predict", "x.png", f"runs={tmp_path}"))


def ended(process):
    """The end of a process that was interrupted, twice where it did not hear it at once."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.wait(30)


@pytest.fixture
def stream(shapes_run):
    """Start `tl predict` with words; it ends with the test, which shows what it said."""
    started = []

    def start(*words):
        words = (sys.executable, "-m", "tlcli.cli", "predict", f"checkpoint={shapes_run}", *words)
        started.append(subprocess.Popen(
            [*map(str, words)], env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.__stderr__,
        ))  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_row_is_there_as_soon_as_its_picture(stream, pictures):
    first, second = sorted(pictures.glob("*/*.png"))[:2]
    process = stream("-", "format=csv")
    assert process.stdout.readline().startswith("path,")
    for path in (first, "gone.png", second):
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(f"{path},")
    process.stdin.close()
    assert process.wait(60) == 1  # one could not be read


def test_a_folder_is_watched(stream, pictures, tmp_path):
    first, second = sorted(pictures.glob("*/*.png"))[:2]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copy(first, inbox / "a.png")
    process = stream(f"watch={inbox}", "format=jsonl")
    assert json.loads(process.stdout.readline())["path"] == str(inbox / "a.png")
    shutil.copy(second, inbox / "b.png")
    assert json.loads(process.stdout.readline())["path"] == str(inbox / "b.png")
    assert ended(process) == 130


def test_a_stream_without_a_picture_is_told(name, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n\n")))
    with pytest.raises(ConfigError, match="none was named"):
        name("-")


@pytest.mark.parametrize(
    ("words", "told"),
    [(("watch=here", "a.png"), "images too"), (("watch=here", "format=json"), "never end"),
     (("watch=here",), "is no folder")],
)  # fmt: skip
def test_what_cannot_be_watched_is_refused(name, words, told):
    with pytest.raises(ConfigError, match=told):
        name(*words)
