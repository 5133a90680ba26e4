"""What the options of each config group must have; the API of plug-ins."""

GROUPS = (
    "data", "augmentation", "backbone", "head", "finetune", "loss",
    "distillation", "teacher", "optimizer", "schedule", "hardware",
)  # fmt: skip
