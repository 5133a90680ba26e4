"""Networks: built, cut, folded, their weights read and written."""
