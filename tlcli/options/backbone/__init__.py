"""Options of the group backbone."""
