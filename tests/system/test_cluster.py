import pytest

from tlcli.errors import ConfigError
from tlcli.system import cluster


def test_a_process_alone_agrees_with_itself_and_writes():
    alone = cluster.Alone()
    assert alone.is_chief
    assert alone.from_chief("runs/ä") == "runs/ä"
    assert (alone.any(True), alone.any(False)) == (True, False)
    alone.agree("data", "anything")
    with alone.waiting():
        pass


def test_a_process_joins_each_training_once(monkeypatch):
    class Hardware:
        def __init__(self, *membership):
            self.membership, self.joined = membership, 0

        def connect(self):
            self.joined += 1
            return cluster.Alone()

    monkeypatch.setattr(cluster, "_joined", {})
    first, same, other = Hardware("a:1", 0), Hardware("a:1", 0), Hardware("a:1", 1)
    assert cluster.join(first) is cluster.join(same)
    assert cluster.join(other) is not cluster.join(first)
    assert (first.joined, same.joined, other.joined) == (1, 0, 1)


class Two(cluster.Member):
    """A member of two processes whose sums are told, not computed."""

    def __init__(self, rank, sums):
        self.rank, self.size, self.sums = rank, 2, iter(sums)

    def _total(self, values):
        return next(self.sums)


def test_the_chiefs_text_reaches_the_others_and_differences_are_refused():
    text = "runs/ä".encode()
    told = [len(text), *text, *[0] * 10]
    import numpy as np

    sums = [np.array(told, np.float32), np.array([1.0])]
    with pytest.raises(ConfigError, match=r"it is runs/b, the chief has runs/ä"):
        Two(1, sums).agree("run_dir", "runs/b")
    Two(1, [np.array(told, np.float32), np.array([0.0])]).agree("run_dir", "runs/ä")


def test_what_tensorflow_says_is_what_happened_and_not_where():
    message = """Graph execution error:

Detected at node while/CollectiveReduceV2 defined at (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main

Collective ops is aborted by: Socket closed
The error could be from a previous operation."""
    assert cluster.told(message) == "Collective ops is aborted by: Socket closed"
    assert cluster.told("Socket closed") == "Socket closed"
    assert cluster.told("") == ""
