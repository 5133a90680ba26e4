import pytest

from tests.helpers.words import checked
from tlcli.errors import ConfigError


@pytest.mark.parametrize(
    ("word", "classes"),
    [("class=cat", ("cat",)), ("class=3", ("3",)), ("class=[3,cat]", ("3", "cat")),
     ("class=null", ()), ("class=Golden retriever", ("Golden retriever",))],
)  # fmt: skip
def test_classes_are_names_whatever_they_look_like(word, classes):
    assert checked("explain", "a.jpg", word).settings.classes == classes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "images: no value. Give one picture"),
        (("a.jpg", "batch_size=0"), "batch_size: got 0"),
        (("a.jpg", "workers=0"), "workers: got 0"),
        (("a.jpg", "method=cam"), "method: got 'cam'. Choose one of auto"),
        (("a.jpg", "clas=cat"), "clas: there is no such key. Did you mean class?"),
    ],
)
def test_mistakes_are_told(words, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        checked("explain", *words)
