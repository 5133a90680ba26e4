"""Frozen computation: run once over finite views, and kept."""
