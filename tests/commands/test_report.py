"""`tl report` writes one page, also where the data is gone."""

import shutil

import pytest

from tests.helpers.runs import train_digits
from tests.helpers.words import checked
from tlcli.commands import report
from tlcli.errors import ConfigError


def test_a_page_with_pictures_and_heat_and_one_without_data(pictures, tmp_path):
    data = shutil.copytree(pictures, tmp_path / "data")
    run = train_digits(
        tmp_path / "run", "data=folder", f"data.path={data}", "finetune=linear_probe"
    )
    assert report.run(checked("report", run, "thumbnails=3")) == 0
    text = (run / "report.html").read_text()
    assert text.count("data:image/webp") > 6
    assert 'class="heated"' in text
    shutil.rmtree(data)
    assert report.run(checked("report", run)) == 0
    text = (run / "report.html").read_text()
    assert "data:image/webp" not in text
    assert "There are no pictures" in text


def test_several_runs_are_compared(digits_run, tmp_path):
    place = tmp_path / "both.html"
    assert report.run(checked("report", digits_run, digits_run, f"output={place}")) == 0
    text = place.read_text()
    assert "Recall of classes" in text
    # A run against itself: nothing differs.
    assert "cannot tell" in text
    assert "+0.0000" in text


def test_runs_of_other_images_are_shown_beside_each_other_without_a_verdict(
    digits_run, pictures, tmp_path
):
    other = train_digits(
        tmp_path / "run", "data=folder", f"data.path={pictures}", "finetune=linear_probe"
    )
    place = tmp_path / "both.html"
    assert report.run(checked("report", digits_run, other, f"output={place}")) == 0
    assert "have different classes" in place.read_text()


def test_a_training_ends_with_its_page(tmp_path, capsys):
    run = train_digits(tmp_path / "run", "finetune=linear_probe", "report=true")
    assert "report.html (" in capsys.readouterr().err
    text = (run / "report.html").read_text()
    assert "data:image/webp" in text
    without = train_digits(tmp_path / "other", "finetune=linear_probe", "report=false")
    assert not (without / "report.html").exists()


def test_a_page_that_cannot_be_drawn_ends_no_training(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("no font")

    monkeypatch.setattr("tlcli.report.plots.curves", broken)
    run = train_digits(tmp_path / "run", "finetune=linear_probe", "report.thumbnails=0")
    assert (run / "model.weights.h5").is_file()
    assert not (run / "report.html").exists()
    assert "no font" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["thumbnails=65", "output=a.txt", "workers=0"])
def test_mistakes_are_told(word):
    with pytest.raises(ConfigError):
        checked("report", "run", word)
