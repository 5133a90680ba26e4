import pytest
import yaml

from tests.helpers.words import config
from tlcli.cli import hydra
from tlcli.config import compose


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--cfg", "job"], True), (["-c", "job"], True), (["--cfg=job"], True),
        (["--cfg", "hydra"], False), (["--info"], False), (["job"], False),
    ],
)  # fmt: skip
def test_flags_that_show_the_job(flags, shown):
    assert hydra.shows_job(flags) is shown


def test_a_recipe_is_shown_as_it_composes(capsys):
    request = compose.read("train", ["config=funmatch", "teacher=run", "teacher.path=x", "-c",
                                     "job"])  # fmt: skip
    assert hydra.through_hydra(request, None) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown == config("train", "config=funmatch", "teacher=run", "teacher.path=x")
