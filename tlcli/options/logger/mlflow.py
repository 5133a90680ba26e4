"""Parameters, figures and files of a run for MLflow."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Confusion, Ending, Figures, Finished, Pictures
from tlcli.errors import ConfigError, require
from tlcli.lazy import np
from tlcli.options.logger._common import Pictured, drawn, rows_of

# What MLflow takes at once, and of a text.
MOST_FIGURES, MOST_PARAMETERS, MOST_TEXT = 500, 90, 500
# Files that are no figures: what they hold may be large, or names that others shall not see.
LARGE = ("model.weights.h5", "split.csv", "predictions.npz", "report.html")
# Unless the user says otherwise: one who is not answered soon is done without.
SURROUNDINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR", "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
}  # fmt: skip
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True)
class Logger(Pictured):
    """A run of MLflow; its number is kept, so that a training that goes on goes on there.

    Attributes:
        uri: Where MLflow keeps runs, without user and password; null asks the environment.
        experiment: What runs are gathered under.
        artifacts: Files that are copied when the run is whole.
    """

    uri: str | None
    experiment: str
    artifacts: Literal["none", "figures", "all"]
    label = "mlflow"
    modules = ("mlflow", "sqlalchemy", "alembic")
    extra = "mlflow"

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 <= len(self.experiment) <= 200 and self.experiment.isprintable()
        require(fits, "logger.experiment", self.experiment, "Give 1 to 200 characters.")
        if self.uri is None:
            return
        known = re.match(r"(https?|sqlite|postgresql|mysql|databricks)[:+]", self.uri)
        remedy = "Give http://HOST:PORT, sqlite:///FILE or null."
        require(known, "logger.uri", self.uri, remedy)
        if has_secret(self.uri):
            raise ConfigError(
                "logger.uri", "holds a password, which would be stored with the run",
                "Give them by $MLFLOW_TRACKING_USERNAME and $MLFLOW_TRACKING_PASSWORD.",
            )  # fmt: skip

    def open(self, begun: Begun) -> "Writer":
        """A new run, or the one that the training began."""
        for name, value in SURROUNDINGS.items():
            os.environ.setdefault(name, value)
        return Writer(self, begun)


class Writer(logger.Writer):
    """Logs by MLflow's client; nothing global is set."""

    def __init__(self, option: Logger, begun: Begun) -> None:
        import mlflow
        from mlflow.tracking import MlflowClient

        uri = option.uri or begun.kept.get("uri") or mlflow.get_tracking_uri()
        self._client, self._option = MlflowClient(uri), option
        self._done = -1
        if begun.kept.get("run_id"):
            self._run = begun.kept["run_id"]
            self._go_on()
        else:
            self._run = self._new(begun)
        self.kept = {"run_id": self._run, **({} if has_secret(uri) else {"uri": uri})}

    def _new(self, begun: Begun) -> str:
        name = self._option.experiment
        found = self._client.get_experiment_by_name(name)
        place = found.experiment_id if found else self._client.create_experiment(name)
        run = self._client.create_run(place, run_name=begun.title).info.run_id
        from mlflow.entities import Param

        pairs = [Param(key, str(value)[:MOST_TEXT]) for key, value in begun.config.items()]
        for start in range(0, len(pairs), MOST_PARAMETERS):
            self._client.log_batch(run, params=pairs[start : start + MOST_PARAMETERS])
        return str(run)

    def _go_on(self) -> None:
        """Find the last step that is logged: a training that goes on makes some again."""
        self._client.update_run(self._run, status="RUNNING")
        for name in ("train/loss", "step/loss"):
            history = self._client.get_metric_history(self._run, name)
            self._done = max([self._done, *(metric.step for metric in history)])

    def figures(self, points: Sequence[Figures]) -> None:
        """Log those that are not there yet."""
        self._log([point for point in points if point.step > self._done])

    def _log(self, points: Sequence[Figures]) -> None:
        from mlflow.entities import Metric

        found = [Metric(name, float(value), int(point.when * 1000), point.step)
                 for point in points for name, value in point.values.items()]  # fmt: skip
        for start in range(0, len(found), MOST_FIGURES):
            self._client.log_batch(self._run, metrics=found[start : start + MOST_FIGURES])

    def pictures(self, found: Pictures) -> None:
        """Log a picture of all rows."""
        rows = rows_of(found.rows)
        if rows:
            self._picture(np.concatenate(rows, axis=0), f"{found.name}.png")

    def confusion(self, found: Confusion) -> None:
        """Log the matrix as a picture and as numbers, the last one of each split."""
        self._picture(drawn(found), f"confusion_{found.split}.png")
        table: Mapping[str, Any] = {
            "step": found.step, "classes": list(found.classes),
            "counts": np.asarray(found.counts).tolist(),
        }  # fmt: skip
        self._client.log_dict(self._run, dict(table), f"confusion_{found.split}.json")

    def _picture(self, pixels: Any, name: str) -> None:
        from PIL import Image

        self._client.log_image(self._run, Image.fromarray(pixels), name)

    def finished(self, found: Finished) -> None:
        """Log the run's figures and copy its files."""
        self._log([Figures(found.step, found.when, found.values)])
        wanted = self._option.artifacts
        for path in found.files if wanted != "none" else ():
            if wanted == "all" or path.name not in LARGE:
                self._client.log_artifact(self._run, str(path), "run")

    def close(self, ending: Ending) -> None:
        """Say how the run ended."""
        self._client.set_terminated(self._run, STATUS[ending])


def has_secret(uri: str) -> bool:
    """Whether an address holds a user's name or password."""
    return re.search(r"//[^/]*@|[?&](?:password|token|key)=", uri) is not None
