"""Options of the group distillation."""
