"""One conductor a command."""
