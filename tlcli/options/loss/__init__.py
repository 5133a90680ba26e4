"""Options of the group loss."""
