"""Options of the group hardware."""
