import pytest

from tests.helpers.loggers import logger
from tests.helpers.words import config
from tlcli.errors import ConfigError


def test_a_list_on_the_command_line_is_several_loggers():
    given = config("train", "logger=[csv,{name: mlflow, experiment: mine}]")["logger"]
    csv, mlflow = logger("several", loggers=given["loggers"]).parts
    assert (csv.label, mlflow.label, mlflow.experiment, csv.every) == ("csv", "mlflow", "mine", 10)


@pytest.mark.parametrize(
    ("loggers", "told"),
    [
        ([], r"^logger\.loggers: got "), (["none"], r"^logger\.loggers: got "),
        (["csv", "csv"], "csv is there 2 times"), (["several"], "a list in the list"),
        (["tensorbord"], r"^logger\.loggers\[0\]\.name: .*Did you mean tensorboard\?$"),
        ([{"name": "csv", "every": 0}], r"^logger\.loggers\[0\]\.every: got 0"),
        ([5], r"^logger\.loggers\[0\]: got 5"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_is_refused(loggers, told):
    with pytest.raises(ConfigError, match=told):
        logger("several", loggers=loggers)
