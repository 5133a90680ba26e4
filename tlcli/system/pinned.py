"""A program on some cores of its machine: threads that it starts keep to them too.

python -m tlcli.system.pinned COUNT FIRST PROGRAM WORD…
"""

import os
import sys
from collections.abc import Sequence


def cores(count: int, first: int, usable: Sequence[int]) -> set[int]:
    """So many usable cores from one on, in turn where there are fewer."""
    ordered = sorted(usable)
    return {ordered[(first + number) % len(ordered)] for number in range(count)}


def main(argv: list[str]) -> None:
    """Become the program."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores(int(argv[0]), int(argv[1]), usable))
    os.execv(argv[2], argv[2:])  # noqa: S606 - no shell


if __name__ == "__main__":
    main(sys.argv[1:])
