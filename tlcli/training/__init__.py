"""A training from checked configuration to result."""
