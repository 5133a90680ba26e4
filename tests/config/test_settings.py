"""Keys of the commands, refused at their place with a remedy."""

import json

import pytest

from tlcli.config import settings
from tlcli.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: settings.Listing(("backbne",), "name"), r"^group: .*Did you mean backbone"),
        (lambda: settings.Preview("sheet.gif", False, 1, 1), r"^output: got 'sheet.gif'"),
        (lambda: settings.FindLr(1.0, 0.1, 100, 1, 0.9, 4.0, None, False), r"^end: got 0.1"),
        (lambda: settings.Prepare("x", 1, 4, 0, "auto", None, None, "50GB"), r"^shrink: got 4"),
    ],
)
def test_mistakes_are_told(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


def test_a_checkpoint_is_verified_by_its_own_configuration(tmp_path):
    own = settings.Verify(str(tmp_path), 1, 0.1)
    with pytest.raises(ConfigError, match=r"^checkpoint: .* is no run folder"):
        own.training({})
    (tmp_path / "config.json").write_text(json.dumps({"seed": 3, "plan_only": True}))
    found = own.training({"seed": 5})
    assert (found["seed"], found["plan_only"]) == (3, False)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(DataError, match="is no JSON object"):
        own.training({})
