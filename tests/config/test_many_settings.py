import pytest

from tlcli.config.many_settings import Gather, Launch, check_share, share_of
from tlcli.errors import ConfigError


def test_a_share_is_a_number_of_how_many():
    assert share_of("3/16") == (3, 16)
    for wrong in ("0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/1000000", "1/2/3"):
        with pytest.raises(ConfigError, match=r"^shard: got .*Write N/OF"):
            share_of(wrong)


def test_a_share_needs_a_file_of_its_own():
    check_share(None, None)
    check_share("3/16", "x.JSONL")
    for output in (None, "x.csv"):
        with pytest.raises(ConfigError, match=r"^output: .*part-3-16\.jsonl"):
            check_share("3/16", output)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Gather((), "x.jsonl", False), r"^parts: no value"),
        (lambda: Gather(("a",), "x.npy", False), r"^output: got 'x.npy'"),
        (lambda: Launch(("0", "--"), 0, 1.0, None, 1), r"^launch: .*N from 1 to 256"),
        (lambda: Launch(("2", "explain"), 0, 1.0, None, 1), r"^launch: got '2 explain'"),
        (lambda: Launch(("2", "train"), -1, 1.0, None, 1), r"^restarts: got -1"),
        (lambda: Launch(("2", "train"), 0, 1.0, None, -1), r"^returns: got -1"),
        (lambda: Launch(("2", "train"), 0, 1.0, 3, 1), r"^elastic: got 3. Give 1 to 2"),
        (lambda: Launch(("2", "eval"), 0, 1.0, 1, 1), r"^elastic: tl eval goes on"),
    ],
)
def test_mistakes_are_told(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


def test_the_words_of_launch():
    launch = Launch(("2", "train", "data=folder"), 0, 1.0, 1, 1)
    assert (launch.count, launch.command) == (2, ("train", "data=folder"))
    assert not launch.shares_rows
    assert Launch(("2", "predict", "x"), 0, 1.0, None, 1).shares_rows
