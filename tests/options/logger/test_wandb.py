import json

import pytest

from tests.helpers.loggers import begun, figures, logger, told, wandb_records
from tlcli.errors import ConfigError


def history(path):
    """Rows of a file, by key."""
    rows = [{".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in r.history.item}
            for r in wandb_records(path) if r.HasField("history")]  # fmt: skip
    return [row for row in rows if row]


def test_a_run_that_stays_here_can_be_read(tmp_path):
    writer = logger("wandb").open(begun(tmp_path))
    name = writer.kept["id"]
    told(writer, tmp_path)
    (path,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert name in path.name
    records = wandb_records(path)
    (run,) = [r.run for r in records if r.HasField("run")][:1]
    assert (run.project, run.display_name) == ("tl", "runs/one")
    assert {u.key: u.value_json for u in run.config.update}["backbone.name"] == '"tiny"'
    rows = history(path)
    assert [(r["trainer/step"], r["loss"]) for r in rows if "loss" in r] == [(1, 2.0), (2, 1.5)]
    assert any(r.get("test/accuracy") == 0.875 for r in rows)
    (again,) = (logger("wandb").open(begun(tmp_path, 2, {"id": name})),)
    again.figures([figures(3, loss=1.0)])
    again.close("finished")
    found = list((tmp_path / "wandb").glob(f"offline-run-*-{name}/*.wandb"))
    assert sum(len([r for r in history(p) if "loss" in r]) for p in found) == 3


def test_no_command_line_and_no_secret_of_the_surroundings_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "not-for-others")
    told(logger("wandb").open(begun(tmp_path)), tmp_path)
    for path in (tmp_path / "wandb").rglob("*"):
        if path.is_file():
            assert b"not-for-others" not in path.read_bytes(), path


@pytest.mark.parametrize("project", ["", "a/b", "x" * 129])
def test_a_project_has_a_plain_name(project):
    with pytest.raises(ConfigError, match=r"^logger\.project: got "):
        logger("wandb", project=project)
