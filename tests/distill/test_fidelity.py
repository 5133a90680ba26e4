"""How near a student comes to its teacher."""

import functools

import numpy as np
import pytest

from tests.helpers.taught import taught, weights_after
from tlcli.contracts.data import TEST
from tlcli.distill.attach import accuracy_of
from tlcli.distill.fidelity import closeness, fidelity
from tlcli.runs import checkpoint


@pytest.fixture(scope="module")
def student(teacher, tmp_path_factory):
    return functools.partial(taught, teacher, tmp_path_factory.mktemp("cache"))


def test_evaluation_leaves_all_variables_as_they_are(student):
    plan = student("distillation=crd")
    _, _, phase = weights_after(plan, 2)
    everything = phase.state_variables()
    before = {name: v.numpy() for name, v in everything.items()}
    phase.validate()
    pieces, built = plan.pieces, plan.lesson.teacher.built
    fidelity(pieces, built, plan.lesson.student.model, pieces.manifest.rows(TEST))
    accuracy_of(pieces, built)
    for name, variable in everything.items():
        np.testing.assert_array_equal(variable.numpy(), before[name], name)


def test_fidelity_of_equal_models_is_perfect(student, teacher):
    plan = student()
    model = checkpoint.read_run(teacher).model
    rows = plan.pieces.manifest.rows(TEST)
    found = fidelity(plan.pieces, plan.lesson.teacher.built, model, rows)
    assert found["agreement"] == 1.0
    assert abs(found["kl"]) < 1e-5
    assert found["teacher_accuracy"] == found["student_accuracy"]
    assert found["teacher_parameters"] == found["student_parameters"] > 60_000
    assert found["teacher_flops"] == found["student_flops"] > 1_000_000
    assert found["teacher_bytes"] == found["student_bytes"] >= 4 * found["student_parameters"]
    assert set(found["class_change"].values()) == {0.0}
    assert len(found["stage_cka"]) > 1
    for pair in found["stage_cka"]:
        assert pair["student"] == pair["teacher"]
        assert pair["cka"] == pytest.approx(1)


def test_divergence_is_the_closed_form():
    # p = (3/4, 1/4), q = (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
    p, q = np.log([[3.0, 1.0]]), np.zeros((1, 2))
    found = closeness(p, q, multi_label=False)
    assert found["kl"] == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    both = closeness(np.array([[np.log(3.0), np.log(3.0)]]), q, multi_label=True)
    assert both["kl"] == pytest.approx(2 * found["kl"])
    one = closeness(np.array([[1.0, -1.0]]), np.array([[-1.0, -1.0]]), multi_label=True)
    assert one["agreement"] == 0.5
