import pytest

from tlcli.config.weights_settings import VERBS, Weights
from tlcli.errors import ConfigError


def settings(*words, mirror=None):
    return Weights(words, None, 224, False, mirror, False)


def test_the_verb_and_what_it_is_for():
    assert (settings("list").verb, settings("list").given) == ("list", "")
    assert settings("add", "a b.h5").given == "a b.h5"
    assert settings("fetch", "vgg16", mirror="https://example.org/a").mirror


@pytest.mark.parametrize("words", [(), ("lost",), ("fetch",), ("add", "a", "b"), ("verify", "a")])
def test_other_words_are_refused(words):
    with pytest.raises(
        ConfigError, match=r"^weights: .*Write tl weights list \[NAME\], fetch NAME"
    ):
        settings(*words)
    assert set(VERBS) == {"list", "fetch", "verify", "add"}


def test_a_mirror_is_on_the_web():
    for mirror in ("/srv/files", "file:///srv", "ftp://example.org"):
        with pytest.raises(ConfigError, match=r"^mirror: got"):
            settings("fetch", "vgg16", mirror=mirror)
