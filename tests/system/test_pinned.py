import os
import subprocess
import sys

from tests.helpers.runs import environment
from tlcli.system.pinned import cores


def test_cores_are_taken_in_turn():
    assert cores(2, 0, [0, 1, 2, 3]) == {0, 1}
    assert cores(2, 2, [3, 2, 1, 0]) == {2, 3}
    assert cores(1, 5, [4, 6]) == {6}
    assert cores(3, 0, [4, 6]) == {4, 6}


def test_a_program_is_kept_to_its_cores_and_gets_its_words():
    program = "import os, sys; print(sorted(os.sched_getaffinity(0)), sys.argv[1:])"
    line = [sys.executable, "-m", "tlcli.system.pinned", "1", "1"]
    found = subprocess.run(
        [*line, sys.executable, "-c", program, "a b"], env=environment(), text=True,
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    usable = sorted(os.sched_getaffinity(0))
    assert found == f"{[usable[1 % len(usable)]]} ['a b']\n"
