from types import SimpleNamespace

import numpy as np

from tlcli.distill.teaching import NoTeacher, Taught


def test_nobody_says_nothing():
    nobody = NoTeacher()
    assert nobody.built is None
    assert nobody.tabular
    assert (nobody.outputs({}), nobody.feed(), nobody.reference()) == (None, None, None)
    assert (nobody.table(None, [], 1), nobody.plan_notes()) == ({}, [])


def test_a_teacher_is_told_with_its_accuracy_and_its_adapters():
    built = SimpleNamespace(label="run x", classes="5 classes by name",
                            names=("teacher_logits", "teacher_embedding"),
                            reference=lambda: {"run": "x"})  # fmt: skip
    taught = Taught(built, [np.zeros((30, 40))], "kd", (0.91, "validation accuracy"), ("a map",))
    assert [note.plain for note in taught.plan_notes()] == [
        "teacher    run x: validation accuracy 0.9100; 5 classes by name",
        "           kd on logits, embedding; adapters 1,200 numbers",
        "           a map",
    ]
    assert taught.reference() == {"run": "x", "figure": "validation accuracy", "value": 0.91}
    unknown = Taught(built, [], "kd", None, ())
    assert "accuracy unknown" in unknown.plan_notes()[0].text
