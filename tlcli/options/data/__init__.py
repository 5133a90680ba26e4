"""Options of the group data."""
