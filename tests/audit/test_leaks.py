import numpy as np

from tlcli.audit import leaks
from tlcli.audit.facts import Facts
from tlcli.audit.neighbours import unit


def plain(count):
    empty, numbers = np.full(count, "", object), np.full(count, -1)
    return Facts(numbers, numbers, empty, numbers, empty.copy(), np.full(count, np.nan))


def patients(alike=1.0, each=6, count=20):
    """Vectors that are alike within a patient; patient, split and label of each."""
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(count), each)
    own = random.normal(size=(count, 8))[patient]
    vectors = alike * own + random.normal(size=own.shape)
    splits = random.choice([0, 0, 1, 2], count * each)
    return unit(vectors), patient, splits, random.integers(0, 2, count * each)


def found(ids, facts, splits, labels, vectors):
    return leaks.leaks(np.array(ids, object), facts, splits, labels, vectors, 0)


def test_patients_in_several_splits_are_a_leak():
    vectors, patient, splits, labels = patients()
    ids = [f"cat/p{n:02d}x_{i}.png" for i, n in enumerate(patient)]
    (leak,) = found(ids, plain(len(ids)), splits, labels, vectors)
    assert leak.name == "prefix"
    assert leak.closer > 0.7
    both = {n for n in range(20) if len({s == 2 for s in splits[patient == n]}) == 2}
    assert leak.shared == len(both)
    assert {*patient[leak.rows].tolist()} == both
    told = leaks.told(leak, int(leak.rows[0]))
    assert told == f"prefix 'p{patient[leak.rows[0]]:02d}x' is in test and in other splits"


def test_names_that_mean_nothing_are_no_leak():
    vectors, patient, splits, labels = patients(alike=0)
    ids = [f"p{n:02d}x_{i}.png" for i, n in enumerate(patient)]
    assert found(ids, plain(len(ids)), splits, labels, vectors) == []


def test_counted_names_are_no_groups():
    vectors, _, splits, labels = patients()
    ids = [f"cat/img_{i}.png" for i in range(len(splits))]
    assert found(ids, plain(len(ids)), splits, labels, vectors) == []


def test_patients_that_keep_to_a_split_are_no_leak():
    vectors, patient, _, labels = patients()
    ids = [f"p{n:02d}x_{i}.png" for i, n in enumerate(patient)]
    assert found(ids, plain(len(ids)), np.where(patient < 5, 2, 0), labels, vectors) == []


def test_cameras_and_bursts_are_groups_too():
    vectors, patient, splits, labels = patients()
    ids, facts = [f"{i}.jpg" for i in range(len(splits))], plain(len(splits))
    facts.camera[:] = [f"camera {n}" for n in patient]
    assert [one.name for one in found(ids, facts, splits, labels, vectors)] == ["camera"]
    facts.time[:2] = [100, 101]
    splits[:2] = [0, 2]
    first, second = found(ids, facts, splits, labels, vectors)
    assert (first.name, first.rows.tolist()) == ("capture time", [0, 1])
    assert second.name == "camera"


def test_bursts_are_of_one_camera_within_moments():
    facts = plain(6)
    facts.time[:5] = [10, 11.5, 13, 20, 11]
    facts.camera[4] = "other"
    names = leaks.bursts(facts)
    assert names[0] == names[1] == names[2] != names[3]
    assert names[4] not in names[:4]
    assert names[5] == ""
