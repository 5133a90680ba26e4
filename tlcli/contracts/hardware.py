"""Options of the hardware group."""
