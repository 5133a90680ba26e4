"""Mild crops and mirror images, which leave colours as they are."""

from dataclasses import dataclass

from tlcli.options.augmentation._view import RandomView


@dataclass(frozen=True)
class Augmentation(RandomView):
    """A random crop, perhaps mirrored; the fields are RandomView's."""
