"""A run as one page: read from its folder, measured, drawn, written."""
