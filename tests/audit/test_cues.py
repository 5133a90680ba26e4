import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tlcli.audit import cues
from tlcli.audit.facts import Facts
from tlcli.audit.looked import Looked


def given(labels, **columns):
    random = np.random.default_rng(0)
    count = len(labels)
    values = {
        "width": random.integers(300, 700, count), "height": random.integers(300, 700, count),
        "kind": np.full(count, "JPEG", object), "quality": random.integers(50, 900, count),
        "camera": random.choice(["A", "B", ""], count).astype(object),
        "time": 1e9 + random.uniform(0, 1e7, count),
        "light": random.uniform(60, 190, count), "spread": random.uniform(30, 70, count),
        **columns,
    }  # fmt: skip
    facts = Facts(*(values[name] for name in Facts.__annotations__))
    nothing = np.zeros((count, 1))
    return Looked(nothing, nothing, values["light"], values["spread"], nothing), facts


@pytest.fixture
def labels():
    return np.repeat([0, 1, 2, 3], 60)


def found(labels, **columns):
    looked, facts = given(labels, **columns)
    return {(one.name, one.label) for one in cues.cues(looked, facts, labels, 4, 0)}


def test_what_is_dealt_out_at_random_is_no_cue(labels):
    assert found(labels) == set()


def test_each_cue_is_named_with_its_class(labels):
    own = labels == 2
    random = np.random.default_rng(1)
    plain = random.integers(300, 700, len(labels))
    assert found(labels, kind=np.where(own, "PNG", "JPEG").astype(object)) == {("file type", 2)}
    assert found(labels, camera=np.where(own, "C", "A").astype(object)) == {("camera", 2)}
    assert found(labels, quality=np.where(own, 9, plain)) == {("JPEG quality", 2)}
    assert found(labels, light=np.where(own, 200.0, plain / 5)) == {("brightness", 2)}
    assert found(labels, time=np.where(own, 2e9, 1e9 + plain * 1e5)) == {("date", 2)}
    assert ("width", 2) in found(labels, width=np.where(own, 900, plain))


def test_a_cue_of_some_pictures_of_a_class_is_told(labels):
    marked = (labels == 1) & (np.arange(len(labels)) % 3 == 0)
    assert found(labels, kind=np.where(marked, "GIF", "JPEG").astype(object)) == {("file type", 1)}


def test_classes_may_differ_in_their_light(labels):
    # As ships are brighter than frogs.
    light = np.random.default_rng(2).normal(np.where(labels == 0, 130, 110), 25)
    assert found(labels, light=light) == set()


def test_the_area_is_that_of_scikit_learn():
    random = np.random.default_rng(3)
    labels, bins = random.integers(0, 3, 900), random.integers(0, 6, 900)
    bins[labels == 1] = np.minimum(bins[labels == 1] + 2, 5)
    # The same counts in each fold: shares counted on the others are those of all.
    table = np.stack([cues._table(np.zeros(900, int), bins, labels, 6, 3)[0]] * cues.FOLDS)
    shares = table[0] / table[0].sum(1, keepdims=True)
    wanted = [roc_auc_score(labels == k, shares[bins, k]) for k in range(3)]
    np.testing.assert_allclose(cues.area(table), wanted, atol=1e-9)


def test_nothing_is_said_of_one_class_or_few_pictures():
    labels = np.zeros(30, int)
    assert cues.cues(*given(labels), labels, 1, 0) == []
    assert cues.cues(*given(labels[:2]), labels[:2], 2, 0) == []


def test_unlabelled_pictures_are_left_out(labels):
    some = np.where(np.arange(len(labels)) % 5 == 0, -1, labels)
    kind = np.where(labels == 2, "PNG", "JPEG").astype(object)
    assert found(some, kind=kind) == {("file type", 2)}
