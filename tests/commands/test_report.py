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
    assert "Recall of classes" in place.read_text()


@pytest.mark.parametrize("word", ["thumbnails=65", "output=a.txt", "workers=0"])
def test_mistakes_are_told(word):
    with pytest.raises(ConfigError):
        checked("report", "run", word)
