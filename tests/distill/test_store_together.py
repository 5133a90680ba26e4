"""Teacher outputs that several workers store together."""

import threading
import time

import numpy as np
import pytest

from tests.distill.test_store import FACTS, Numbers, computing, dense, signals_of
from tlcli.distill.store import Store
from tlcli.system.crew import Crew


@pytest.mark.parametrize("lost", [False, True])
def test_each_computes_some_blocks_and_all_find_the_whole(tmp_path, lost):
    asked, numbers = [], Numbers(np.arange(9000))

    class Lost(BaseException):
        """The end of a process."""

    def fill(rank, dies=False):
        store = Store(tmp_path / "s", FACTS, numbers)

        def compute(items):
            if dies:
                raise Lost
            asked.append((rank, len(items)))
            time.sleep(0.05)
            yield from computing(items)

        try:
            store.fill(dense, compute, Crew(tmp_path / "parts", rank, 3))
        except Lost:
            return
        items = np.array([8999, 0, 1024, 7])
        for name, values in signals_of(items).items():
            np.testing.assert_array_equal(store.gather(items)[name], values)
        done.append(rank)

    done = []
    threads = [threading.Thread(target=fill, args=(rank, lost and rank == 1)) for rank in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(done) == ([0, 2] if lost else [0, 1, 2])
    assert sum(count for _, count in asked) == 9000
    assert len({rank for rank, _ in asked}) > 1
    assert not list((tmp_path / "parts").glob("*/*.part"))
    asked.clear()
    Store(tmp_path / "s", FACTS, numbers).fill(dense, lambda _: iter([None]))
    assert not asked
