"""Options of the group optimizer."""
