"""Options of the group schedule."""
