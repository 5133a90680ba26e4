from types import SimpleNamespace

from tlcli.contracts.distillation import NO_STATE
from tlcli.distill.lesson import Lesson
from tlcli.distill.teaching import NoTeacher


def test_variables_are_those_of_the_student_then_of_the_method():
    student = SimpleNamespace(model=SimpleNamespace(variables=[1, 2]))
    state = SimpleNamespace(variables=[3])
    assert Lesson(student, None, state, NoTeacher()).variables == [1, 2, 3]
    alone = Lesson(student, None, NO_STATE, NoTeacher())
    assert (alone.variables, alone.borrowed, alone.fixed) == ([1, 2], None, ())
