"""Options of the group head."""
