"""Keys of a training outside the option groups."""

import pytest

from tests.helpers.words import checked, config
from tlcli.config.train_settings import Train
from tlcli.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, r"^epochs: got 0"),
        ({"image_size": 4}, r"^image_size: got 4"),
        ({"save_retry": "5steps"}, r"^save_retry: got '5steps'. Write 5min, 30s, 1h or off"),
        ({"crop_fraction": 1.5}, r"^crop_fraction: got 1.5"),
        ({"workers": 0}, r"^workers: got 0"),
    ],
)
def test_keys_of_a_training_have_ranges(change, message):
    names = Train.__dataclass_fields__
    given = {k: v for k, v in config("train").items() if k in names}
    assert Train(**given).retry_seconds > 0
    with pytest.raises(ConfigError, match=message):
        Train(**{**given, **change})


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", ".", "a\\b", " "])
def test_a_name_leads_nowhere_else(name):
    with pytest.raises(ConfigError, match=r"^name: got .*Give a plain name"):
        checked("train", f"name='{name}'")
