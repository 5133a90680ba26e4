"""backbone=auto in a training: what it looks at, what it says and leaves, what it refuses."""

import json

import pytest

from tests.helpers.pictures import make_classes
from tests.helpers.published import MOBILENET, random_mobilenet
from tests.helpers.words import checked, config
from tlcli.cli import main
from tlcli.errors import ConfigError
from tlcli.system.download import offline
from tlcli.training import auto_backbone
from tlcli.training.auto_backbone import gathered, measured_seconds, resolved


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return random_mobilenet(tmp_path_factory.mktemp("published") / MOBILENET)


@pytest.fixture
def cache(weights, tmp_path, monkeypatch):
    """A cache that holds weights of MobileNet 0.25 for 224 pixels, and no network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TL_OFFLINE", "1")
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / MOBILENET).write_bytes(weights.read_bytes())
    return tmp_path / "keras" / "models"


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("TL_OFFLINE", "1")


def chosen(*words, run_dir=None):
    given = checked("train", *words)
    return resolved(given.job, given.typed, run_dir)


def test_what_is_looked_at(cache):
    given = checked("train", "backbone=auto", "config=auto", "time_budget=10min")
    found = gathered(given.job, given.typed)
    assert found.images > 500
    assert found.classes == 5
    assert found.side == 8
    assert not found.gpu
    assert (found.budget, found.flexible, found.epochs) == (600.0, True, 24)
    assert found.cached == {"mobilenet 0.25"}
    assert (found.online, found.offline) == (False, "offline=true")
    given = checked("train", "backbone=auto", "config=auto", "epochs=3", "image_size=64")
    found = gathered(given.job, given.typed)
    assert (found.flexible, found.epochs, found.image_size) == (False, 3.0, 64)
    given = checked("train", "backbone=auto", "epochs=7")
    assert gathered(given.job, given.typed).epochs == 7.0


def test_the_network_at_hand_takes_the_place_of_auto(cache):
    job = chosen("backbone=auto", "backbone.batch_norm=train")
    assert job.config["backbone"] == {
        **config("train", "backbone=mobilenet")["backbone"], "alpha": 0.25, "batch_norm": "train",
    }  # fmt: skip
    assert job.backbone.constructor == "MobileNet"
    assert job.settings.image_size == 128
    assert set(job.reasons) == {"backbone", "image_size"}
    assert "whose weights are here" in job.reasons["backbone"]
    assert job.reasons["image_size"].startswith("pictures of 8 px, enlarged")


def test_what_was_typed_stays(cache):
    job = chosen("backbone=auto", "image_size=64")
    assert job.settings.image_size == 64
    assert set(job.reasons) == {"backbone"}
    same = checked("train", "backbone=mobilenet").job
    assert resolved(same) is same


def test_random_weights_need_no_file(empty):
    job = chosen("backbone=auto", "backbone.weights=none")
    assert job.backbone.weights == "none"
    assert job.backbone.constructor == "MobileNet"


def test_without_weights_and_network_one_message_says_what_to_do(empty, tmp_path):
    with pytest.raises(ConfigError) as caught:
        chosen("backbone=auto")
    message = str(caught.value)
    for part in (
        f"backbone.weights: {tmp_path}/nothing/models/efficientnetv2-b0_notop.h5 is not there",
        "24.3 MB, md5 893217f2bb855e2983157299931e43ff", "offline=true", "tl weights fetch",
        "tl weights add FILE", "backbone.weights=none",
    ):  # fmt: skip
        assert part in message


def test_an_offline_training_asks_nobody(empty, monkeypatch):
    monkeypatch.delenv("TL_OFFLINE")
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: asked.append(given))
    with offline(True), pytest.raises(ConfigError, match="offline=true"):
        chosen("backbone=auto")
    assert asked == []
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(ConfigError, match="there is no network"):
        chosen("backbone=auto")


def refuse(*_, **__):
    raise OSError("no route")


def test_a_run_that_was_begun_keeps_its_network(cache, tmp_path):
    first = chosen("backbone=auto")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(dict(first.config)))
    (cache / MOBILENET).unlink()  # nothing is chosen any more
    again = chosen("backbone=auto", run_dir=tmp_path / "run")
    assert again.config == first.config


def test_a_budget_that_nothing_heeds_is_refused(cache):
    with pytest.raises(ConfigError, match=r"^time_budget: nothing is chosen .* backbone=auto or"):
        chosen("time_budget=10min")
    for other in ("3epochs", "5", "0", "soon", "off", "1.5"):
        with pytest.raises(ConfigError, match=r"^time_budget: .*Write 10min"):
            checked("train", f"time_budget={other}")
    assert chosen("time_budget=10min", "auto=true").settings.budget_seconds == 600.0


def test_a_machine_is_measured_once():
    assert 1e-4 < measured_seconds() < 10
    assert measured_seconds() == measured_seconds()


def test_only_a_training_s_own_network_is_chosen():
    option = checked("train", "backbone=auto").job.backbone
    for refused in (option.build, option.load):
        with pytest.raises(ConfigError, match="auto chooses the network of a training"):
            refused(None)


def test_a_training_says_and_keeps_what_was_chosen(cache, tmp_path, capsys):
    make_classes(tmp_path / "photos", {"cats": 9, "dogs": 9})
    words = [f"data.path={tmp_path}/photos", "data=folder", "epochs=1", "image_size=32",
             f"run_dir={tmp_path}/run"]  # fmt: skip
    assert main.run(["train", "backbone=auto", "auto=true", *words]) == 0
    said = capsys.readouterr().err
    assert "auto       backbone=mobilenet backbone.alpha=0.25: 50.6 % on ImageNet" in said
    assert "the best of 1 whose weights are here, for offline=true" in said
    kept = (tmp_path / "run" / "auto.yaml").read_text()
    assert "  option: mobilenet  # 50.6 % on ImageNet" in kept
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    again = config("train", f"config={tmp_path}/run/auto.yaml")
    assert again["backbone"] == stored["backbone"]
    # The same words go on with the same run, and do not choose anew.
    assert main.run(["train", "backbone=auto", "auto=true", *words]) == 0
    assert "is finished" in capsys.readouterr().err


def test_find_lr_preview_and_bench_choose_too(cache, tmp_path, capsys):
    words = ["backbone=auto", "image_size=32", "data.images_per_class=8", "batch_size=8"]
    assert main.run(["preview", *words, f"output={tmp_path}/sheet.png"]) == 0
    assert "backbone=mobilenet" in capsys.readouterr().err
    assert main.run(["find-lr", *words, "steps=10"]) == 0
    assert "backbone=mobilenet" in capsys.readouterr().err


def test_a_choice_is_told_as_it_would_be_typed():
    told = auto_backbone.told_name
    assert told(config("train", "backbone=vgg16")["backbone"]) == "vgg16"
    words = ("backbone=mobilenet_v2", "backbone.alpha=1.4")
    assert told(config("train", *words)["backbone"]) == "mobilenet_v2 backbone.alpha=1.4"


def test_offline_typed_is_told_at_once(empty, monkeypatch, capsys):
    monkeypatch.delenv("TL_OFFLINE")
    asked = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: asked.append(given))
    for words in (["backbone=auto"], ["backbone=mobilenet_v3_small"]):
        assert main.run(["train", *words, "offline=true", "plan_only=true"]) == 2
        said = capsys.readouterr().err
        assert "tl weights fetch" in said
        assert len([line for line in said.splitlines() if "offline=true" in line]) == 1
    assert asked == []
