"""An installed package adds a backbone; a checkpoint says which package it needs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.sealing import resealed
from tests.helpers.words import config
from tlcli.config import registry
from tlcli.config.job import train_job
from tlcli.config.upgraded import upgraded
from tlcli.contracts import GROUPS
from tlcli.errors import ConfigError, DataError
from tlcli.runs import checkpoint

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "plugin_example"


def install(site):
    """Put the example where pip would: its package and the facts of its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copytree(EXAMPLE / "tl_pebble", site / "tl_pebble")
    facts = site / f"tl_pebble-{project['version']}.dist-info"
    facts.mkdir()
    named = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (facts / "METADATA").write_text(named)
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items())
             for group, entries in project["entry-points"].items()]  # fmt: skip
    (facts / "entry_points.txt").write_text("\n".join(lines))
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return install(tmp_path_factory.mktemp("site"))


def tl(*words, site=None, cwd, code=0):
    """`tl` as a process, with the packages of a folder or without them; gives its output."""
    paths = [str(ROOT)] + ([str(site)] if site else [])
    done = subprocess.run(
        [sys.executable, "-m", "tlcli.cli", *map(str, words)], cwd=cwd, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def run_dir(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pebble")
    words = ("backbone=pebble", "data.images_per_class=8", "batch_size=10", "epochs=2",
             "verbose=true")  # fmt: skip
    said = tl("train", *words, "run_dir=run", site=site, cwd=folder)
    assert re.search(
        r"backbone +pebble at 32 px, [\d,]+ numbers, weights pebble\.weights\.h5", said
    )
    assert re.search(r"weights \S+pebble\.weights\.h5: 2 layers loaded", said)
    return folder / "run"


def test_the_list_names_the_package(site, tmp_path):
    listed = tl("list", "backbone", site=site, cwd=tmp_path)
    told = listed[listed.index("  pebble") :].split("\n  ")[1:]
    assert "[tl-pebble 1.2.0]" in " ".join(" ".join(told).split()[:20])
    assert "pebble" not in tl("list", "backbone", cwd=tmp_path)


def test_it_trains_and_is_measured(site, run_dir, tmp_path):
    recorded = json.loads((run_dir / "metadata.json").read_text())["plugins"]
    assert recorded == [
        {"group": "backbone", "option": "pebble", "package": "tl-pebble", "version": "1.2.0"}
    ]
    shown = tl("eval", f"checkpoint={run_dir}", "format=json", site=site, cwd=tmp_path)
    expected = json.loads((run_dir / "metrics.json").read_text())["test"]["accuracy"]
    found, _ = json.JSONDecoder().raw_decode(shown)  # what stands on standard error follows
    assert found["accuracy"] == pytest.approx(expected)


MISSING = (
    "uses backbone=pebble of the package tl-pebble 1.2.0, which is not installed. "
    "Install it: pip install tl-pebble==1.2.0."
)


def test_without_the_package_the_checkpoint_names_it(run_dir, tmp_path):
    said = tl("eval", f"checkpoint={run_dir}", cwd=tmp_path, code=1)
    assert said.strip().endswith(MISSING)
    assert said.count("\n") == 1


def test_without_the_package_its_backbone_cannot_be_gone_on_with(run_dir):
    with pytest.raises(DataError) as caught:
        train_job(config("train", "backbone=run", f"backbone.run={run_dir}"))
    assert str(caught.value) == f"{run_dir}: {MISSING}"


def test_without_the_package_the_option_is_unknown(tmp_path):
    said = tl("train", "backbone=pebble", cwd=tmp_path, code=2)
    assert "backbone: there is no option 'pebble'" in said


SPY = "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\nclass Backbone: ...\n"


@pytest.mark.parametrize(
    "name", ["spy", "spy:Backbone", "./spy.py", "{folder}/spy.py", "../spy", "tl_pebble:Backbone"]
)
def test_nothing_is_imported_because_a_checkpoint_names_it(digits_run, tmp_path, monkeypatch, name):
    run = shutil.copytree(digits_run, tmp_path / "run")
    (tmp_path / "spy.py").write_text(SPY)
    (tmp_path / "tl_pebble.py").write_text(SPY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    config = json.loads((run / "config.json").read_text())
    config["backbone"]["name"] = name.format(folder=tmp_path)
    (run / "config.json").write_text(json.dumps(config))
    resealed(run)
    with pytest.raises(ConfigError, match="no backbone is called"):
        checkpoint.read_run(run)
    with pytest.raises(ConfigError, match="no backbone is called"):
        train_job(upgraded(config))
    assert not list(tmp_path.glob("*.ran"))


# ---- the reading of entry points, in this process --------------------------------------------


class Distribution:
    def __init__(self, name, version):
        self.name, self.version = name, version


@pytest.fixture
def register(monkeypatch):
    """Pretend that packages register options."""
    from importlib.metadata import EntryPoint

    def registered(*entries):
        found = {group: [] for group in GROUPS}
        for group, name, value, package in entries:
            entry = EntryPoint(name, value, f"tlcli.{group}")
            found[group].append(entry._for(Distribution(package, "3.1")))
        monkeypatch.setattr(registry, "_entry_points", lambda: found)

    return registered


def test_two_packages_with_one_name_are_refused(register):
    register(("head", "twin", "a:Head", "one"), ("head", "twin", "b:Head", "other"))
    with pytest.raises(ConfigError, match=r"^head: one 3\.1 and other 3\.1 both add 'twin'\. Unin"):
        registry.build("head", {"name": "twin"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "tl_missing_package:Head",
            r"bad of broken 3\.1 cannot be loaded \(.*No module named",
        ),
        ("tlcli.errors:Nothing", r"cannot be loaded \(.*Nothing.*\)\. Install what"),
        (
            "tlcli.errors:require",
            r"errors:require of broken 3\.1 is no dataclass\. Register",
        ),
        (
            "tlcli.options.loss.focal:Loss",
            r"Loss of broken 3\.1 is no Head\. Let it subclass tlcli\.contracts\.head\.Head",
        ),
    ],
)
def test_a_broken_plugin_is_told(register, value, message):
    register(("head", "bad", value, "broken"))
    with pytest.raises(ConfigError, match=message):
        registry.build("head", {"name": "bad"})


def test_our_own_option_goes_before_a_plugin_of_its_name(register):
    register(("backbone", "tiny", "tlcli.errors:TlError", "rogue"))
    assert registry.option_class("backbone", "tiny").__module__ == "tlcli.options.backbone.tiny"
    assert registry.plugins_used({"backbone": {"name": "tiny"}}) == []


def test_nested_options_are_recorded_and_required(register):
    register(
        ("backbone", "mine", "m:Backbone", "stones"), ("distillation", "trick", "m:D", "tricks")
    )
    config = {
        "backbone": {"name": "run", "config": {"name": "mine"}},
        "distillation": {"name": "sum", "methods": [{"name": "kd"}, {"name": "trick"}]},
        "head": {"name": "linear"}, "epochs": 3,
    }  # fmt: skip
    used = registry.plugins_used(config)
    assert [(u["group"], u["option"], u["package"]) for u in used] == [
        ("backbone", "mine", "stones"), ("distillation", "trick", "tricks"),
    ]  # fmt: skip
    registry.require_plugins(used, GROUPS, "run")
    register()
    registry.require_plugins(used, ("head",), "run")
    with pytest.raises(DataError, match=r"^run: uses distillation=trick of the package t"):
        registry.require_plugins(used, ("distillation",), "run")


def test_the_users_own_folder_is_listed(monkeypatch, tmp_path):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "mine.yaml").write_text("# My head.\nname: linear\n")
    (tmp_path / "head" / "linear.yaml").write_text("# Not reached: ours goes first.\n")
    monkeypatch.setattr(registry, "own_config_dir", lambda: tmp_path)
    found = registry.names("head")
    assert (found["mine"], found["linear"]) == ("~/.config/tl", "tlcli")


@pytest.mark.slow
def test_pip_installs_the_example_as_it_stands(tmp_path):
    pytest.importorskip("pip")
    shutil.copytree(EXAMPLE, tmp_path / "source")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index",
         "--no-build-isolation", "--target", "site", "./source"],
        cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    shown = tl("list", "backbone", site=tmp_path / "site", cwd=tmp_path)
    assert "[tl-pebble 1.2.0]" in shown
    assert (tmp_path / "site" / "tl_pebble" / "pebble.weights.h5").is_file()
