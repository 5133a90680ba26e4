"""Values of data options in tests."""

# All pictures, with the labels that they have, each in a split of its own.
PLAIN = {"exclude": None, "relabel": None, "groups": None}
