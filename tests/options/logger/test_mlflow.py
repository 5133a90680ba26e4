import os
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.helpers.loggers import begun, figures, logger, told
from tlcli.errors import ConfigError


@pytest.fixture
def server(tmp_path):
    """MLflow's own server over SQLite, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = f"sqlite:///{tmp_path}/server.db"
    settings = {
        **os.environ, "_MLFLOW_SERVER_FILE_STORE": store, "_MLFLOW_SERVER_REGISTRY_STORE": store,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(tmp_path / "artefacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    # Not `mlflow server`: its own checks at the start need SQLAlchemy 2, which sweeps refuse.
    words = ["-m", "flask", "--app", "mlflow.server:app", "run", "-p", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *words], env=settings, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310
                    break
            except OSError:
                assert process.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def look(uri, run):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    return client, client.get_run(run)


def check_told(uri, kept):
    client, run = look(uri, kept["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["backbone.name"] == "tiny"
    assert run.data.metrics["test/accuracy"] == 0.875
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 2.0), (2, 1.5)]
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"confusion_test.json", "confusion_test.png", "run", "views.png"}
    assert [f.path for f in client.list_artifacts(run.info.run_id, "run")] == ["run/metrics.json"]


@pytest.mark.slow
def test_a_server_has_what_was_told_and_goes_on_with_the_same_run(tmp_path, server):
    writer = logger("mlflow", uri=server).open(begun(tmp_path))
    kept = writer.kept
    assert kept["uri"] == server
    told(writer, tmp_path)
    check_told(server, kept)
    # The uri need not be given again.
    again = logger("mlflow").open(begun(tmp_path, 1, kept))
    again.figures([figures(2, **{"train/loss": 1.0})])
    again.close("stopped")
    again = logger("mlflow").open(begun(tmp_path, 1, kept))
    again.figures([figures(2, **{"train/loss": 1.0}), figures(3, **{"train/loss": 0.5})])
    again.close("finished")
    client, run = look(server, kept["run_id"])
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "train/loss")]
    assert (steps, run.info.status) == ([2, 3], "FINISHED")


@pytest.mark.slow
def test_a_file_of_sqlite_needs_no_server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/here.db"
    writer = logger("mlflow", uri=uri).open(begun(tmp_path))
    told(writer, tmp_path)
    check_told(uri, writer.kept)


@pytest.mark.parametrize(
    "uri",
    ["http://me:secret@host:5000", "postgresql://me:secret@host/db", "http://host?token=secret"],
)
def test_a_password_is_refused_and_not_shown(uri):
    with pytest.raises(ConfigError, match=r"^logger\.uri: holds a password") as caught:
        logger("mlflow", uri=uri)
    assert "secret" not in str(caught.value)


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ConfigError, match=r"^logger\.uri: got 'ftp://host'"):
        logger("mlflow", uri="ftp://host")
