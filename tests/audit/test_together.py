"""Comparisons by several workers: the bits of one."""

import threading

import numpy as np
import pytest

from tlcli.audit import neighbours
from tlcli.audit.looked import Looked
from tlcli.audit.near import near_copies
from tlcli.audit.neighbours import centred, nearest
from tlcli.audit.together import ALONE, Together
from tlcli.system.crew import PART, Crew


@pytest.fixture
def looked():
    """300 pictures, each tenth of which is there twice."""
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(300, 24)).astype(np.float32)
    grey = random.integers(0, 256, (300, 32, 32)).astype(np.uint8)
    grey[1::20], embeddings[1::20] = grey[0::20, :, ::-1], embeddings[0::20]
    flat = grey.reshape(300, -1).astype(np.float32)
    return Looked(embeddings, grey, flat.mean(1), flat.std(1), flat.std(1))


def compared(looked, together):
    vectors = centred(looked.embeddings)
    rows, likeness = nearest(vectors, 8, together)
    pairs = near_copies(looked, rows, likeness, together)
    return rows, likeness, pairs.first, pairs.second, pairs.turns, pairs.likeness


def test_workers_find_what_one_finds(looked, tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 300 * 7)
    alone, found = compared(looked, ALONE), {}
    assert len(alone[2]) == 15

    def work(rank):
        crew = Crew(tmp_path, rank, 3)
        found[rank] = compared(looked, Together.of(crew, (looked.embeddings, looked.grey)))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for rank in range(3):
        for one, other in zip(found[rank], alone, strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    names = {path.parent.name.rpartition("-")[0] for path in tmp_path.glob(f"*/*{PART}")}
    assert names == {"looking-for-neighbours", "comparing-pictures", "comparing-likely-copies"}


def test_other_pictures_are_other_work(looked, tmp_path):
    crew = Crew(tmp_path, 0, 2)
    one = Together.of(crew, (looked.embeddings,))
    assert one != Together.of(crew, (looked.embeddings[::-1],))
    assert one == Together.of(crew, (looked.embeddings.copy(),))
