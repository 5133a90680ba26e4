"""Every shipped YAML builds, has the fields of its class, and needs no TensorFlow for it."""

import dataclasses
import subprocess
import sys

import pytest
import yaml

from tests.helpers.words import config
from tlcli.config import registry, settings
from tlcli.config.checked import key_of
from tlcli.config.commands import COMMANDS
from tlcli.config.recipe import read_recipe
from tlcli.config.train_settings import Train
from tlcli.contracts import GROUPS

ROOT = registry.config_root()
FILES = sorted(p for group in GROUPS for p in (ROOT / group).glob("*.yaml"))
RECIPES = sorted(p.stem for p in (ROOT / "experiment").glob("*.yaml"))
# What a person must give before an option can be built.
NEEDED = {
    "path": "given.npz", "runs": ["a", "b"], "methods": [{"name": "kd"}], "preset": "resnet_18",
}  # fmt: skip


def contents(path):
    values = yaml.safe_load(path.read_text())
    if values["name"] == "recipe":  # one of two values, so neither is marked as needed
        values["config"] = "quickstart"
    return {k: NEEDED.get(k, "given") if v == "???" else v for k, v in values.items()}


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_option_builds_from_its_own_values(path):
    values = contents(path)
    assert next(iter(values)) == "name"
    registry.build(path.parent.name, values)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_keys_are_the_fields_of_the_class(path):
    values = contents(path)
    cls = registry.option_class(path.parent.name, values.pop("name"))
    assert sorted(values) == sorted(f.name for f in dataclasses.fields(cls))
    assert not any(
        f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        for f in dataclasses.fields(cls)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_file_says_what_it_is_and_what_its_keys_mean(path):
    first, *lines = path.read_text().splitlines()
    assert first.startswith("# ")
    for line in lines:
        if ":" in line and not line.startswith((" ", "-", "#", "name:")):
            assert "  #" in line, line


def test_every_module_of_a_group_has_a_file():
    for group in GROUPS:
        folder = ROOT.parent / "tlcli" / "options" / group
        modules = {p.stem for p in folder.glob("[!_]*.py")}
        used = {yaml.safe_load(p.read_text())["name"] for p in (ROOT / group).glob("*.yaml")}
        assert modules == used, group


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_composes_into_what_train_accepts(name):
    from tlcli.config.job import train_job

    plain = ("data=digits", "teacher=none", "distillation=none", "control=false")
    given = config("train", f"config={name}", *plain)
    train_job(given)
    assert given["name"] == name
    assert set(read_recipe(name).groups) <= set(GROUPS)


@pytest.mark.parametrize("word", COMMANDS)
def test_a_commands_yaml_has_the_fields_of_its_settings(word):
    command = COMMANDS[word]
    cls = getattr(settings, command.settings) if command.settings else Train
    fields = {key_of(f.name) for f in dataclasses.fields(cls)}
    content = yaml.safe_load((ROOT / f"{command.config}.yaml").read_text())
    assert {*content} - {"defaults"} == fields
    assert issubclass(cls, settings.Beside) == ("train" in content.get("defaults", ()))
    assert command.trains == (cls is Train or issubclass(cls, settings.Beside))


def test_building_every_option_leaves_tensorflow_unimported():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT.parent)!r})
import yaml
from pathlib import Path
from tlcli.config import checking, compose, registry
for path, values in {[(str(p), contents(p)) for p in FILES]!r}:
    registry.build(Path(path).parent.name, values)
checking.check_request(compose.read("train", []))
loaded = [m for m in ("tensorflow", "keras", "numpy", "PIL") if m in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
