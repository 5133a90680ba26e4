"""The first five minutes: photos, a training, a prediction, and a recipe, with no other word."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.published import MOBILENET, random_mobilenet
from tests.helpers.runs import process, same_weights

LEFT_OUT = ("auto", "run_dir", "name", "started_in")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with 40 photos of two classes, one more, and weights of a MobileNet at hand."""
    root = tmp_path_factory.mktemp("place")
    make_classes(root / "photos", {"cats": 20, "dogs": 20})
    (root / "new.png").write_bytes((root / "photos" / "dogs" / "3.png").read_bytes())
    random_mobilenet(root / "keras" / "models" / MOBILENET)
    return root


def tl(place, *words):
    """`tl` in that folder, with no network."""
    kept = {name: os.environ.get(name) for name in ("KERAS_HOME", "TL_OFFLINE")}
    os.environ["KERAS_HOME"] = str(place / "keras")
    try:
        return process(*words, cwd=place)
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@pytest.fixture(scope="module")
def trained(place):
    """What `tl train photos` said, and the run that it left."""
    done = tl(place, "train", "photos", "offline=true")
    assert done.returncode == 0, done.stderr
    (run,) = (place / "runs" / "train").iterdir()
    return done, run


@pytest.mark.slow
def test_a_folder_of_photos_is_enough(trained, place):
    done, run = trained
    said = done.stderr
    assert "found      photos: 2 class folders, cats, dogs (data=folder data.path=photos)" in said
    assert "auto       backbone=mobilenet" in said
    assert "auto=false" in said
    stored = json.loads((run / "config.json").read_text())
    assert (stored["data"]["name"], stored["data"]["path"]) == ("folder", "photos")
    assert (stored["backbone"]["constructor"], stored["backbone"]["alpha"]) == ("MobileNet", 0.25)
    assert "# " in (run / "auto.yaml").read_text()
    for words in (("predict", "new.png", "format=json"), ("eval",)):
        shown = tl(place, *words)
        assert shown.returncode == 0, shown.stderr
        assert str(run.relative_to(place)) in shown.stderr
    (row,) = json.loads(tl(place, "predict", "new.png", "checkpoint=latest", "format=json").stdout)
    assert row["label"] in ("cats", "dogs")


@pytest.mark.slow
@pytest.mark.long
def test_the_recipe_of_init_gives_the_same_run(trained, place):
    _, run = trained
    done = tl(place, "init", "mine", "photos", "offline=true")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "mine.yaml\n"
    text = (place / "mine.yaml").read_text()
    assert "# found photos: 2 class folders, cats, dogs" in text
    assert "# seed: 0 " in text
    again = tl(place, "train", "config=mine.yaml")
    assert again.returncode == 0, again.stderr
    (other,) = (place / "runs" / "mine").iterdir()
    first, second = (json.loads((one / "config.json").read_text()) for one in (run, other))
    assert {k: v for k, v in first.items() if k not in (*LEFT_OUT, "offline")} == {
        k: v for k, v in second.items() if k not in (*LEFT_OUT, "offline")
    }
    same_weights(run, other)
    refused = tl(place, "init", "mine", "photos")
    assert refused.returncode == 2
    assert "mine.yaml is there. Give another name, or overwrite=true." in refused.stderr
    assert (place / "mine.yaml").read_text() == text


@pytest.mark.slow
def test_without_weights_one_message_says_what_helps(place):
    done = process("train", "photos", "offline=true", "run_dir=x", cwd=place)
    assert done.returncode in (1, 2)
    assert done.stderr.splitlines()[-1].count("backbone.weights=none") == 1
    assert not Path(place, "x").exists()


@pytest.mark.slow
def test_looking_at_a_large_folder_takes_no_time(tmp_path):
    from tlcli.config.data_path import found

    for number in range(300):
        folder = tmp_path / "many" / f"{number:03}"
        folder.mkdir(parents=True)
        for name in range(20):
            (folder / f"{name}.jpg").touch()
    started = time.process_time()
    assert found(str(tmp_path / "many")).what.startswith("300 class folders, 000, 001")
    assert time.process_time() - started < 1
