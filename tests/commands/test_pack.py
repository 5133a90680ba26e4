"""A packed run is taken wherever its folder is."""

import json
import shutil

import pytest

from tests.helpers.runs import train_digits
from tests.helpers.words import checked
from tlcli.commands import clean, evaluate, export, pack, predict, report
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def carried(digits_run, tmp_path_factory):
    """A packed run whose folder is gone."""
    root = tmp_path_factory.mktemp("packed")
    shutil.copytree(digits_run, root / "mine")
    assert pack.run(checked("pack", str(root / "mine"))) == 0
    shutil.rmtree(root / "mine")
    return root / "mine.zip"


def test_it_evaluates_as_its_folder(carried, digits_run, capsys):
    found = []
    for given in (carried, digits_run):
        capsys.readouterr()
        assert evaluate.run(checked("eval", f"checkpoint={given}", "format=json")) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


def test_it_is_a_teacher_and_a_backbone(carried, tmp_path):
    words = ("teacher=run", f"teacher.path={carried}", "distillation=kd", "epochs=1")
    train_digits(tmp_path / "student", *words)
    words = ("backbone=run", f"backbone.run={carried}", "finetune=linear_probe", "epochs=1")
    train_digits(tmp_path / "further", *words)


def test_its_export_lies_beside_it_and_can_be_packed(carried, photos, capsys):
    assert export.run(checked("export", f"checkpoint={carried}", "format=litert")) == 0
    place = carried.with_suffix("") / "export" / "litert"
    assert pack.run(checked("pack", str(place))) == 0
    photo = next(photos.glob("*.png"))
    capsys.readouterr()
    for given in (carried, place.with_name("litert.zip")):
        assert predict.run(checked("predict", str(photo), f"checkpoint={given}", "format=csv")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split(",")[1] == lines[3].split(",")[1]


def test_its_page_lies_beside_it(carried):
    assert report.run(checked("report", str(carried), "thumbnails=0")) == 0
    assert (carried.with_suffix("") / "report.html").is_file()


def test_what_is_no_run_is_not_packed(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(DataError, match="neither a run nor an export"):
        pack.run(checked("pack", str(tmp_path)))
    assert not tmp_path.with_suffix(".zip").exists()


def test_a_file_of_anothers_is_not_replaced(digits_run, tmp_path):
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(ConfigError, match="overwrite"):
        pack.run(checked("pack", str(digits_run), f"output={tmp_path}/a.zip"))
    assert (tmp_path / "a.zip").read_text() == "mine"


def test_a_flipped_byte_is_told_in_one_line(carried, tmp_path, tl):
    whole = bytearray(carried.read_bytes())
    whole[len(whole) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(whole)
    found = tl("eval", "checkpoint=bad.zip")
    assert found.returncode == 1
    assert "bad.zip" in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


def test_clean_takes_the_state_of_a_finished_run(digits_run, tmp_path, capsys):
    run = shutil.copytree(digits_run, tmp_path / "run")
    other = shutil.copytree(digits_run, tmp_path / "stopped")
    (other / "model.weights.h5").unlink()
    for folder in (run, other):
        (folder / "state").mkdir()
        (folder / "state" / "1.npz").write_bytes(bytes(10**6))
    before = {path.name for path in digits_run.iterdir()}
    assert clean.run(checked("clean", str(tmp_path), "plan_only=true")) == 0
    assert (run / "state").is_dir()
    assert clean.run(checked("clean", str(tmp_path))) == 0
    found = capsys.readouterr()
    assert found.out == "1.0 MB would be freed\n1.0 MB are freed\n"
    assert "did not finish" in found.err
    assert {path.name for path in run.iterdir()} == before
    assert (other / "state" / "1.npz").is_file()
    assert clean.run(checked("clean", str(run))) == 0
    assert capsys.readouterr().out == "nothing is freed\n"
