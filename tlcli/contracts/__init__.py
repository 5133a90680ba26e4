"""What the options of each config group must have; the API of plug-ins.

Each group has a module, with the base class that its options subclass. Members that are annotated
and have no value are fields of every option's dataclass, or properties; all others have a default.
A field takes an inherited value for its own default, so what an option may leave out has the name
of no field: where one sets it from a field, as `mixing_factors` from `mixing`, it is a property.
"""

GROUPS = (
    "data", "augmentation", "backbone", "head", "finetune", "loss",
    "distillation", "teacher", "optimizer", "schedule", "hardware", "logger",
)  # fmt: skip
# Groups that take a list of options: the option that stands for several, and its key of them.
SEVERAL = {"distillation": ("sum", "methods"), "logger": ("several", "loggers")}
