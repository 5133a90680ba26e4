"""One module a format: how a network is written, and how its file is run."""
