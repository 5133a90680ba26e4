"""From a run with teacher=recipe to the training of its teacher."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.words import checked, config
from tlcli.config import chain, teacher_recipe
from tlcli.config.job import train_job
from tlcli.errors import ConfigError

OWN = ("distillation=kd", "teacher=recipe")


@pytest.fixture
def recipe(tmp_path):
    """A function that writes a recipe; gives its path."""

    def write(text, name="big.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def teacher_of(*words):
    """Configuration of the teacher's training, and what is no default in it."""
    stage = chain.stages(checked("train", *OWN, *words).job.config, Path("run"))[0][0]
    return stage.config, stage.typed


def test_a_teacher_has_the_runs_data_seed_and_machine_and_its_recipe_for_the_rest(recipe):
    path = recipe("backbone: {option: resnet50, weights: none}\nepochs: 3\nimage_size: 64\n")
    words = ("seed=4", "data.classes=[1,2,3]", "hardware=cpu", "workers=1", "epochs=9",
             "image_size=32", "optimizer=sgd", "cache_dir=/tmp/x", "control=true",
             "name=mine")  # fmt: skip
    made, typed = teacher_of(f"teacher.config={path}", *words)
    same = {k: made[k] for k in ("seed", "hardware", "workers", "cache_dir", "data")}
    given = config("train", *OWN, f"teacher.config={path}", *words)
    assert same == {k: given[k] for k in same}
    assert (made["epochs"], made["image_size"], made["optimizer"]["name"]) == (3, 64, "adamw")
    assert made["backbone"]["constructor"] == "ResNet50"
    assert (made["teacher"]["name"], made["distillation"]["name"]) == ("none", "none")
    assert (made["control"], made["name"]) == (False, "big")
    assert typed == ("backbone", "backbone.weights", "epochs", "image_size")
    train_job(made)


def test_a_recipe_may_name_other_data_or_change_the_runs(recipe):
    made, _ = teacher_of("teacher.overrides={data: {images_per_class: null}}",
                         "data.images_per_class=4", "data.classes=[1,2]")  # fmt: skip
    assert (made["data"]["images_per_class"], made["data"]["classes"]) == (None, [1, 2])
    path = recipe("data: {option: folder, path: photos}\n")
    made, _ = teacher_of(f"teacher.config={path}", "data.images_per_class=4")
    assert (made["data"]["name"], made["data"]["path"]) == ("folder", "photos")
    assert "images_per_class" not in made["data"]


@pytest.fixture
def photos_of(tmp_path):
    """A function that lays a folder of two class folders; gives its path."""

    def lay(name):
        for label in ("cat", "dog"):
            (tmp_path / name / label).mkdir(parents=True)
            (tmp_path / name / label / "1.png").write_bytes(b"not looked at")
        return tmp_path / name

    return lay


@pytest.mark.parametrize("form", ["data: {}\n", "data: {{path: {}}}\n"])
def test_a_recipe_may_give_data_by_their_path(recipe, photos_of, form):
    theirs = photos_of("theirs")
    path = recipe(form.format(theirs) + "epochs: 3\n")
    made, typed = teacher_of(f"teacher.config={path}", f"data={photos_of('ours')}")
    assert (made["data"]["name"], made["data"]["path"]) == ("folder", str(theirs))
    assert "data" in typed
    # Photos are not for the network of the first example.
    assert made["backbone"]["name"] == "auto"
    train_job(made)


def test_a_teacher_of_the_runs_photos_has_a_network_for_photos(photos_of):
    ours = photos_of("ours")
    made, _ = teacher_of("teacher.overrides.epochs=3", f"data={ours}", "backbone=tiny")
    assert made["data"]["path"] == str(ours)
    assert (made["backbone"]["name"], made["auto"]) == ("auto", False)
    made, _ = teacher_of("teacher.overrides={backbone: {option: resnet50, weights: none}}",
                         f"data={ours}", "backbone=tiny")  # fmt: skip
    assert made["backbone"]["constructor"] == "ResNet50"
    told = r"^teacher\.overrides: data: there is no file or folder 'nothing'"
    with pytest.raises(ConfigError, match=told):
        teacher_of("teacher.overrides={data: nothing}")


def test_overrides_go_before_the_recipe_as_typed_words_do(recipe):
    path = recipe("optimizer: {option: sgd, momentum: 0.5}\nepochs: 3\nbatch_size: 8\n")
    made, _ = teacher_of(f"teacher.config={path}", "teacher.overrides.epochs=7")
    assert (made["epochs"], made["batch_size"], made["optimizer"]["momentum"]) == (7, 8, 0.5)
    # A chosen option drops what the recipe says of the group.
    made, typed = teacher_of(f"teacher.config={path}", "teacher.overrides={optimizer: adam}")
    assert made["optimizer"]["name"] == "adam"
    assert "optimizer.momentum" not in typed


def test_naming_the_recipe_is_enough():
    made = config("train", "distillation=kd", "teacher.config=quickstart")
    assert (made["teacher"]["name"], made["teacher"]["config"]) == ("recipe", "quickstart")


def test_what_the_recipe_said_stays_with_the_run(recipe):
    path = recipe("epochs: 3\n")
    job = checked("train", *OWN, f"teacher.config={path}").job
    assert job.config["teacher"]["content"] == {"epochs": 3}
    stored = json.loads(json.dumps(job.config))
    path.unlink()
    again = train_job(stored)
    assert chain.stages(again.config, Path("run"))[0][0].config["epochs"] == 3
    assert teacher_recipe.settled(stored) is stored


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"^teacher\.config: no value\. Give a recipe"),
        (["teacher.config=quikstart"], r"^teacher\.config: .*Did you mean quickstart"),
        (["teacher.config=a/b.yaml"], r"^teacher\.config: there is no file a/b\.yaml"),
        (["teacher.config={a: 1}"], r"^teacher\.config: got \{'a': 1\}"),
        (["teacher.overrides=3"], r"^teacher\.overrides: got 3"),
        (["teacher.overrides.epocs=3"], r"^teacher\.overrides: epocs: .*Did you mean epochs"),
        (["teacher.overrides.optimizer.learning_rate=-3"],
         r"^teacher\.overrides\.optimizer\.learning_rate: got -3"),
        (["teacher.overrides.optimizer.rte=3"], r"^teacher\.overrides\.optimizer\.rte: adamw has"),
        (["teacher.overrides={data: folder}"], r"^teacher\.overrides\.data\.path: no value\. Give "
         r"teacher\.overrides\.data\.path=VALUE"),
        (["teacher.overrides={backbone: nonet}"], r"^teacher\.overrides: backbone: no backbone is"),
        (["teacher.overrides={generations: 3, distillation: kd}"], "generations: .*the chain"),
        (["teacher.overrides={assistants: [{weights: none}]}"], "assistants: .*within the chain"),
        (["teacher.overrides={control: true}"], "control: .*within the chain"),
        (["teacher.overrides={teacher: recipe, distillation: kd}"], "teacher: .*within the chain"),
        (["teacher.overrides={teacher: {name: recipe, config: quickstart}}"], "within the chain"),
        (["teacher.config=distill_digits"], "^distill_digits: .*within the chain"),
        (["teacher.overrides={run_dir: x}"], r"run_dir: .*RUN/teacher\. Leave it out"),
        (["teacher.overrides={resume: x}"], "resume: .*RUN/teacher"),
        (["teacher.overrides={extend: x}"], "extend: .*RUN/teacher"),
        (["teacher.overrides={seed: 3}"], "seed: the run's seed splits the data"),
        (["teacher.overrides={hardware: cpu}"], "hardware: the run's devices"),
        (["teacher.overrides.hardware.batch_norm=local"], "hardware.batch_norm: the run's devices"),
        (["teacher.config=quickstart", "distillation=none"], "nothing learns from"),
        (["teacher.config=quickstart", "teacher.cach=off"], r"teacher\.cach: .*Did you mean cache"),
    ],
)  # fmt: skip
def test_a_teacher_that_cannot_be_trained_is_refused_before_anything_is(words, message):
    with pytest.raises(ConfigError, match=message):
        checked("train", *OWN, *words)


def test_what_is_so_anyway_may_be_said():
    teacher_of("seed=3", "teacher.overrides={seed: 3, generations: 1, assistants: []}")


@pytest.mark.parametrize(
    "text",
    [
        "epochs: &a 3\nbatch_size: *a\n",
        "epochs: !!python/object/apply:os.system [id]\n",
        "hydra: {run: {dir: x}}\n",
        "defaults:\n  - /hydra/launcher: x\n",
        "backbone: {_target_: os.system}\n",
        "name: ${oc.env:HOME}\n",
        "epochs: 3\nepochs: 4\n",
        "teacher: {option: saved_model, path: x, trust: true}\ndistillation: kd\n",
        "teacher.trust: true\n",
    ],
)
def test_a_teachers_recipe_is_read_by_the_list_of_what_may_be_in_one(recipe, text):
    path = recipe(text)
    with pytest.raises(ConfigError, match=str(path)):
        checked("train", *OWN, f"teacher.config={path}")
    # Named by a recipe it may say no more.
    outer = recipe(f"distillation: kd\nteacher: {{option: recipe, config: {path}}}\n", "outer.yaml")
    with pytest.raises(ConfigError, match=str(path)):
        checked("train", f"config={outer}")


def test_no_recipe_grants_trust_to_a_teachers_teacher(recipe):
    inner = "{teacher: {option: saved_model, path: x, trust: true}, distillation: kd}"
    outer = recipe(f"distillation: kd\nteacher: {{option: recipe, overrides: {inner}}}\n")
    with pytest.raises(ConfigError, match="trust counts only where a person types it"):
        checked("train", f"config={outer}")
    # Nor does a typed mapping, or a stored run: trust is then false.
    job = checked("train", *OWN, f"teacher.overrides={inner}").job
    made = chain.stages(job.config, Path("run"))[0][0].config
    assert made["teacher"]["trust"] is False


def test_a_mistake_is_told_without_tensorflow(recipe):
    code = f"""
import sys
from pathlib import Path
from tests.helpers.words import checked
try:
    checked("train", *{OWN!r}, "teacher.overrides.optimizer.learning_rate=-3")
except Exception as error:
    assert "teacher.overrides.optimizer" in str(error)
else:
    raise AssertionError
loaded = [m for m in ("tensorflow", "keras", "numpy") if m in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
