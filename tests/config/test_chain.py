"""The stages of a chain of students."""

from pathlib import Path

import pytest

from tests.helpers.words import config
from tlcli.config import chain
from tlcli.config.job import train_job
from tlcli.errors import ConfigError


def test_each_stage_is_taught_by_the_one_before():
    words = ("teacher=run", "teacher.path=big", "distillation=dkd", "generations=2")
    given = config("train", *words, "assistants=[{weights:none},{name:resnet50,weights:none}]")
    found, own = chain.stages(given, Path("run"))
    names = ["assistant_1", "assistant_2", "generation_1", "generation_2"]
    assert [stage.folder for stage in found] == [Path("run") / name for name in names]
    assert own is None
    paths = [stage.config["teacher"]["path"] for stage in found]
    assert paths == ["big", "run/assistant_1", "run/assistant_2", "run/generation_1"]
    first, second, third, fourth = (stage.config["backbone"] for stage in found)
    assert first == {**given["backbone"], "weights": "none"}
    assert second["name"] != "tiny"
    assert second["weights"] == "none"
    assert third == fourth == given["backbone"]
    for stage in found:
        assert stage.config["distillation"] == given["distillation"]
        assert train_job(stage.config).settings.generations == 1
        assert stage.config["seed"] == given["seed"]


def test_without_a_teacher_the_first_generation_learns_from_labels():
    given = config("train", "distillation=kd", "generations=3", "control=true")
    found, own = chain.stages(given, Path("run"))
    assert [s.config["distillation"]["name"] for s in found] == ["none", "kd", "kd"]
    assert [s.config["teacher"]["name"] for s in found] == ["none", "run", "run"]
    assert not any(s.config["control"] for s in found)
    assert (own, found[-1].config["teacher"]["path"]) == (None, "run/generation_2")


def test_a_run_without_a_chain_is_left_alone():
    given = config("train")
    assert chain.stages(given, Path("run"))[0] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generations=2"], "each learns from the one before"),
        (["generations=0", "distillation=kd"], "generations: got 0"),
        (["assistants=[{}]", "distillation=kd"], "there is no teacher"),
        (["distillation=kd"], "learns from a teacher, and there is none"),
    ],
)
def test_chains_that_make_no_sense_are_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        train_job(config("train", *words))


def test_the_teachers_own_training_comes_first():
    words = ("teacher=recipe", "teacher.config=quickstart", "distillation=dkd", "seed=2",
             "teacher.minimum_accuracy=0.5", "teacher.cache_format=float16")  # fmt: skip
    given = train_job(config("train", *words, "generations=2", "assistants=[{weights:none}]"))
    found, own = chain.stages(given.config, Path("run"))
    names = ["teacher", "assistant_1", "generation_1", "generation_2"]
    assert [stage.folder for stage in found] == [Path("run") / name for name in names]
    assert own is None
    assert found[0].config["teacher"]["name"] == "none"
    assert [stage.config["seed"] for stage in found] == [2] * 4
    taught = [stage.config["teacher"] for stage in found[1:]]
    assert [one["path"] for one in taught] == [f"run/{name}" for name in names[:-1]]
    assert [one["minimum_accuracy"] for one in taught] == [0.5] * 3
    assert taught[0]["cache_format"] == "float16"
    assert [stage.typed is None for stage in found] == [False, True, True, True]


def test_the_run_is_taught_by_what_its_recipe_trained():
    words = ("teacher=recipe", "teacher.config=quickstart", "distillation=kd", "control=true")
    given = train_job(config("train", *words))
    found, own = chain.stages(given.config, Path("run"))
    assert [stage.title for stage in found] == ["teacher"]
    assert (own["teacher"]["name"], own["teacher"]["path"]) == ("run", "run/teacher")
    train_job(own)
    control = chain.without_teacher(given.config, Path("run/control"))
    assert (control["teacher"]["name"], chain.is_chain(control)) == ("none", False)
    assert chain.is_chain(given.config)
