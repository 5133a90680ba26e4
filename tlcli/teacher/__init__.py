"""Options of the teacher group."""
