"""Scores of a classifier, the same in validation, test, eval and predict."""
