"""Students in a row: born-again generations and teacher assistants."""

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.marks import LONG
from tests.helpers.runs import same_weights
from tests.helpers.words import checked
from tlcli.commands import evaluate, train
from tlcli.errors import ConfigError
from tlcli.runs import checkpoint

SHORT = (
    "data.images_per_class=8", "batch_size=20", "epochs=2", "calibrate=false", "save_every=2steps",
    "finetune=full", "distillation=born_again", "validate_every=2",
)  # fmt: skip


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """A finished chain of three."""
    run_dir = tmp_path_factory.mktemp("chain") / "run"
    assert train.run(checked("train", f"run_dir={run_dir}", "generations=3", *SHORT)) == 0
    return run_dir


def test_what_tells_strangers_is_shipped_with_the_best(generations):
    best = generations / facts(generations)["generations"]["shipped"]
    name = "strangers.npz"
    assert (generations / name).read_bytes() == (best / name).read_bytes()
    assert facts(generations)["sha256"][name] == facts(best)["sha256"][name]


def facts(run_dir):
    return json.loads((Path(run_dir) / "metadata.json").read_text())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{name:resnot50}", r"assistants\[0\]\.name: no backbone is called 'resnot50'"),
        ("{weihgts:none}", r"assistants\[0\]\.weihgts: .* Did you mean weights"),
        ("{default_image_size:3}", r"assistants\[0\]\.default_image_size: got 3"),
    ],
)
def test_an_assistant_that_is_none_is_told_where(tmp_path, entry, message):
    words = ("teacher=run", f"teacher.path={tmp_path}", "distillation=kd")
    given = checked("train", *words, f"assistants=[{entry}]", f"run_dir={tmp_path / 'run'}")
    with pytest.raises(ConfigError, match=message):
        train.run(given)


def test_generations_teach_each_other(generations):
    for number, teacher in ((1, None), (2, "generation_1"), (3, "generation_2")):
        found = facts(generations / f"generation_{number}")["teacher"]
        assert (found and Path(found["run"]).name) == teacher
    assert facts(generations / "generation_3")["fidelity"]["agreement"] > 0
    # The run's own configuration is what was asked for.
    assert checkpoint.read_json(generations / "config.json")["generations"] == 3
    assert checkpoint.read_json(generations / "config.json")["teacher"]["name"] == "none"


def test_the_best_on_validation_is_the_run(generations):
    folders = [generations / f"generation_{i}" for i in (1, 2, 3)]
    figures = [facts(folder)["metrics"]["validation"]["accuracy"] for folder in folders]
    best = max((value, index) for index, value in enumerate(figures))[1]
    told = facts(generations)["generations"]
    assert told["shipped"] == f"generation_{best + 1}"
    assert [told[folder.name] for folder in folders] == figures
    same_weights(folders[best], generations)
    assert facts(generations)["metrics"] == facts(folders[best])["metrics"]
    read = checkpoint.read_json
    assert read(generations / "metrics.json") == read(folders[best] / "metrics.json")
    assert (generations / "metrics.csv").read_text() == (folders[best] / "metrics.csv").read_text()


def test_the_run_needs_the_generations_no_more(generations, tmp_path, capsys):
    run = Path(shutil.copytree(generations, tmp_path / "run"))
    for number in (1, 2, 3):
        shutil.rmtree(run / f"generation_{number}")
    assert evaluate.run(checked("eval", f"checkpoint={run}", "format=json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == facts(run)["metrics"]["test"]["accuracy"]


@pytest.mark.parametrize("saves", [pytest.param(1, marks=LONG), 4, pytest.param(6, marks=LONG)])
def test_broken_off_in_any_generation_gives_the_unbroken_run(
    generations, monkeypatch, tmp_path, saves
):
    run_dir, done = tmp_path / "run", {"count": 0}
    save = train.Trainer.save

    def broken(self):
        save(self)
        done["count"] += 1
        if done["count"] == saves:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "save", broken)
        with pytest.raises(Interrupted):
            train.run(checked("train", f"run_dir={run_dir}", "generations=3", *SHORT))
    reached = {1: 0, 4: 1, 6: 2}[saves]
    assert sum(checkpoint.is_finished(run_dir / f"generation_{i}") for i in (1, 2)) == reached
    with pytest.raises(ConfigError, match=r"generations was 3 and is 2"):
        train.run(checked("train", f"run_dir={run_dir}", "generations=2", *SHORT))
    assert train.run(checked("train", f"resume={run_dir}")) == 0
    for name in ("generation_1", "generation_2", "generation_3", "."):
        same_weights(generations / name, run_dir / name)


def test_an_assistant_stands_between_teacher_and_student(generations, tmp_path):
    run_dir = tmp_path / "run"
    words = [w for w in SHORT if not w.startswith("epochs")]
    given = checked(
        "train", f"run_dir={run_dir}", *words, "epochs=1", "teacher=run",
        f"teacher.path={generations}", "teacher.minimum_accuracy=0",
        "backbone.output_layer=tiny_block2", "control=true",
        "assistants=[{output_layer:tiny_block3}]",
    )  # fmt: skip
    assert train.run(given) == 0
    sizes = [facts(r)["parameters"] for r in (generations, run_dir / "assistant_1", run_dir)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert Path(facts(run_dir)["teacher"]["run"]).name == "assistant_1"
    assert Path(facts(run_dir / "assistant_1")["teacher"]["run"]) == generations.resolve()
    control = checkpoint.read_json(run_dir / "control" / "config.json")
    assert (control["assistants"], control["teacher"]["name"]) == ([], "none")
    assert control["backbone"]["output_layer"] == "tiny_block2"


def test_a_plan_names_the_stages_and_trains_nothing(tmp_path, capsys):
    run_dir = tmp_path / "run"
    given = checked("train", f"run_dir={run_dir}", "generations=3", "plan_only=true", *SHORT)
    assert train.run(given) == 0
    assert (
        "generation 1, generation 2, generation 3; the best of them is the run"
        in capsys.readouterr().err
    )
    assert not run_dir.exists()
