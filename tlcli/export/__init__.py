"""Models in the formats that other programs run, and what proves them equal to their run."""
