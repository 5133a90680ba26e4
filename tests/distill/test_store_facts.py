"""What stored outputs depend on is compared by name, the probe with tolerance."""

from tlcli.distill.store_facts import differences

FACTS = {"views": 4, "teacher": "a" * 64, "probe": [1.0, 2.0]}


def test_the_same_facts_differ_in_nothing():
    assert differences(FACTS, dict(FACTS)) == []
    assert differences(FACTS, {**FACTS, "probe": [1.001, 2.001]}) == []


def test_what_differs_is_named_short_values_with_it():
    other = {**FACTS, "views": 3, "teacher": "b" * 64, "probe": [1.0, 3.0]}
    assert differences(FACTS, other) == ["views (4, now 3)", "teacher", "graph"]


def test_a_fact_that_one_side_lacks_differs():
    assert differences({"seed": 0}, {}) == ["seed (0, now None)"]
    assert differences({}, {"seed": 0}) == ["seed (None, now 0)"]
    assert differences(FACTS, {**FACTS, "probe": [1.0]}) == ["graph"]
