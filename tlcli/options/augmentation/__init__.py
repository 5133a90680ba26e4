"""Options of the group augmentation."""
