"""Which of many cases of a kind run always, which when slow tests do, which before a release."""

import pytest

# Of a kind that another case shows as well; they run by `-m long`.
LONG = (pytest.mark.slow, pytest.mark.long)


def cases(names, quick=(), slow=()):
    """Parameters of names: those in `quick` always, those in `slow` slow, others long."""
    return [
        pytest.param(n, marks=() if n in quick else pytest.mark.slow if n in slow else LONG)
        for n in names
    ]
