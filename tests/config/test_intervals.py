import pytest

from tlcli.config.intervals import Every
from tlcli.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("off", Every()),
        ("100steps", Every(steps=100)),
        ("1step", Every(steps=1)),
        ("0.5epochs", Every(epochs=0.5)),
        ("30s", Every(seconds=30)),
        ("1.5min", Every(seconds=90)),
        ("2h", Every(seconds=7200)),
    ],
)
def test_intervals_are_read(text, found):
    assert Every.parse(text, "save_every") == found


@pytest.mark.parametrize("text", ["", "10", "min", "-1s", "0steps", "1 s", "3days"])
def test_other_words_are_refused(text):
    with pytest.raises(ConfigError, match=r"^save_every: .*Write 100steps, 1epochs, 10min or off"):
        Every.parse(text, "save_every")
