"""Faults of labelled pictures, found before a training; each kind is a leaf of its own."""
