import sys

import pytest

from tlcli.system import workers


def test_lines_carry_a_label_and_results_do_not(capfdbinary):
    workers.written("1 b", b"line\n", False)
    workers.written("1 b", b"last", True)
    workers.results("1 b", b"row\n", False)
    workers.results("1 b", b"told\n", True)
    told = capfdbinary.readouterr()
    assert (told.out, told.err) == (b"[1 b] line\nrow\n", b"[1 b] last\n[1 b] told\n")


@pytest.mark.parametrize(
    ("code", "said", "lost", "gone"),
    [(0, "exit code 0", False, False), (2, "exit code 2", False, False),
     (75, "exit code 75", True, False), (-9, "SIGKILL", True, True),
     (-15, "SIGTERM", True, False), (255, "connection lost", True, True)],
)  # fmt: skip
def test_what_an_exit_code_means(code, said, lost, gone):
    assert workers.told(code) == said
    assert (workers.is_lost(code), workers.is_gone(code)) == (lost, gone)


def test_places_are_the_ranks_on_this_machine(capfdbinary):
    line = [sys.executable, "-S", "-c", "import os; print(os.environ['LOCAL_RANK'])"]
    made = workers.local([line, line], workers.written, [0, 2])
    for worker in made:
        worker.finish()
    assert [worker.poll() for worker in made] == [0, 0]
    assert sorted(capfdbinary.readouterr().out.splitlines()) == [b"[0] 0", b"[2] 2"]
