"""Who holds the token is let in."""

import pytest

from tlcli.serve.border import checker


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        (b"Bearer secret-secret-secret", True), (b"bearer  secret-secret-secret ", True),
        (b"Bearer secret-secret-secreT", False), (b"Bearer secret", False), (b"Bearer ", False),
        (b"secret-secret-secret", False), (b"Basic secret-secret-secret", False), (b"", False),
        (b"Bearer \xff\xfe", False),
    ],
)  # fmt: skip
def test_a_header_fits_or_not(header, fits):
    assert checker("secret-secret-secret")(header) is fits


def test_without_a_token_everybody_is_let_in():
    assert checker(None)(b"")
