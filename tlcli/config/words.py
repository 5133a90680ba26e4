"""What somebody meant who typed a word that `tl` has otherwise, or not at all.

Words of other tools lead to ours by one table. A key of an option that is typed without its group
needs no entry: it is looked for in all groups.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

from tlcli.errors import nearest

# A word of another tool: the key of ours that takes the same value.
SAME = {
    "lr": "optimizer.learning_rate", "lr0": "optimizer.learning_rate",
    "eta": "optimizer.learning_rate", "base_lr": "optimizer.learning_rate",
    "wd": "optimizer.weight_decay", "decay": "optimizer.weight_decay",
    "l2": "optimizer.weight_decay", "betas": "optimizer.beta_1", "eps": "optimizer.epsilon",
    "grad_clip": "optimizer.clip_norm", "clip": "optimizer.clip_norm",
    "clip_grad": "optimizer.clip_norm", "max_norm": "optimizer.clip_norm",
    "clipnorm": "optimizer.clip_norm", "max_grad_norm": "optimizer.clip_norm",
    "optim": "optimizer", "opt": "optimizer", "solver": "optimizer",
    "scheduler": "schedule", "lr_scheduler": "schedule", "sched": "schedule",
    "criterion": "loss", "loss_fn": "loss", "smoothing": "loss.label_smoothing",
    "warmup_epochs": "schedule.warmup", "warmup_steps": "schedule.warmup",
    "model": "backbone", "arch": "backbone", "architecture": "backbone", "net": "backbone",
    "network": "backbone", "model_name": "backbone", "encoder": "backbone",
    "drop": "head.dropout", "drop_rate": "head.dropout", "dropout_rate": "head.dropout",
    "classifier": "head", "pool": "head.pooling",
    "num_epochs": "epochs", "n_epochs": "epochs", "max_epochs": "epochs",
    "nepochs": "epochs", "batch": "batch_size", "bs": "batch_size", "batchsize": "batch_size",
    "train_batch_size": "batch_size", "per_device_train_batch_size": "batch_size",
    "gradient_accumulation_steps": "accumulation_steps", "accumulate": "accumulation_steps",
    "grad_accum": "accumulation_steps",
    "imgsz": "image_size", "img_size": "image_size", "input_size": "image_size",
    "resolution": "image_size", "size": "image_size", "image_sz": "image_size",
    "patience": "early_stopping", "random_state": "seed", "random_seed": "seed",
    "manual_seed": "seed", "num_workers": "workers", "threads": "workers", "nproc": "workers",
    "dtype": "precision", "metric": "monitor", "crop_pct": "crop_fraction",
    "output_dir": "run_dir", "save_dir": "run_dir", "outdir": "run_dir", "out": "run_dir",
    "logdir": "run_dir", "log_dir": "run_dir", "project": "name", "exp_name": "name",
    "dataset": "data", "data_dir": "data.path", "data_path": "data.path", "root": "data.path",
    "train_dir": "data.path", "folder": "data.path", "dir": "data.path",
    "val_split": "data.validation_fraction", "validation_split": "data.validation_fraction",
    "val_size": "data.validation_fraction", "test_split": "data.test_fraction",
    "test_size": "data.test_fraction",
    "augment": "augmentation", "aug": "augmentation", "transform": "augmentation",
    "transforms": "augmentation", "auto_augment": "augmentation",
    "kd": "distillation", "distill": "distillation", "method": "distillation",
    "tau": "distillation.temperature", "alpha": "distillation.soft_weight",
    "teacher_model": "teacher", "teacher_path": "teacher.path",
    "ckpt": "checkpoint", "run": "checkpoint", "source": "images", "topk": "top", "k": "top",
}  # fmt: skip

# A word whose value means something else here: what to type.
OTHERWISE = {
    "device": "hardware=cpu or hardware=gpu", "gpu": "hardware=gpu", "gpus": "hardware=mirrored",
    "cuda": "hardware=gpu", "accelerator": "hardware=gpu", "strategy": "finetune=NAME",
    "pretrained": "backbone.weights=imagenet or backbone.weights=none",
    "weights": "backbone.weights=imagenet or backbone.weights=none",
    "freeze": "finetune=linear_probe, or finetune=partial finetune.last_blocks=N",
    "frozen": "finetune=linear_probe, or finetune=partial finetune.last_blocks=N",
    "freeze_backbone": "finetune=linear_probe",
    "trainable": "finetune=full, or finetune=partial finetune.last_blocks=N",
    "unfreeze": "finetune=full, or finetune=partial finetune.last_blocks=N",
    "amp": "precision=mixed_bfloat16", "fp16": "precision=mixed_float16",
    "half": "precision=mixed_float16", "bf16": "precision=mixed_bfloat16",
    "mixed_precision": "precision=mixed_bfloat16", "compile": "jit=true",
    "checkpoint": "resume=RUN, or extend=RUN epochs=+5", "load": "resume=RUN or backbone=run",
    "dry_run": "plan_only=true", "multirun": "-m", "lora": "finetune=lora",
    "ema": "optimizer.ema=0.999", "mixup": "augmentation.mixup=0.2 with augmentation=standard",
}  # fmt: skip
# Words for which there is nothing to type.
NEEDLESS = dict.fromkeys(
    ("num_classes", "nc", "n_classes", "classes", "class_names"),
    "Leave it out: the classes are those of the data.",
)

# How other languages write null.
NOTHING = ("None", "none", "nil", "NONE", "Nil", "nothing", "undefined")
_COMMA = re.compile(r"([-+]?\d+),(\d+)")


def remedy(key: str, value: Any, keys: Collection[str], places: Sequence[str]) -> str:
    """What to type in the place of a key that is none.

    Args:
        key: As it was typed, without dots.
        value: What it was given.
        keys: Keys and groups that there are.
        places: Dotted keys of options that end in it.
    """
    word = key.lower().replace("-", "_").lstrip("_")
    if word in keys:
        return f"Write {word}={_value(value)}."
    if word in NEEDLESS:
        return NEEDLESS[word]
    target = SAME.get(word, "")
    if target.split(".")[0] in keys:
        return f"Give {target}={_value(value)}."
    if word in OTHERWISE and OTHERWISE[word].split("=")[0].split(".")[0] in {*keys, "-m"}:
        return f"Give {OTHERWISE[word]}."
    if places:
        return f"Give {' or '.join(f'{place}={_value(value)}' for place in places[:4])}."
    return nearest(key, keys)


def inner_remedy(key: str, value: Any, where: str, fields: Collection[str]) -> str:
    """What to type in the place of an option's key that it lacks.

    Args:
        key: As it was typed, without its group.
        value: What it was given.
        where: The group, or the dotted place of the option.
        fields: Keys of the option.
    """
    meant = SAME.get(key.lower(), "").rpartition(".")[2]
    if meant in fields:
        return f"Give {where}.{meant}={_value(value)}."
    return nearest(key, fields)


def number_remedy(value: Any, otherwise: str) -> str:
    """What to type in the place of a text that should be a number.

    Args:
        value: The text.
        otherwise: What to say where it is nothing like a number.
    """
    found = _COMMA.fullmatch(value) if isinstance(value, str) else None
    return f"Write {found[1]}.{found[2]}: a point, no comma." if found else otherwise


def several_remedy(value: str) -> str:
    """What to type in the place of several values where one is wanted."""
    found = _COMMA.fullmatch(value)
    if found:
        return f"Write {found[1]}.{found[2]}: a point, no comma; to try both, add -m."
    return "Give one of them; to try each, add -m; a text with a comma stands in quotes, \"'a,b'\"."


def _value(value: Any) -> str:
    """A plain value as it would be typed; VALUE for what is more."""
    if isinstance(value, bool):
        return str(value).lower()
    plain = isinstance(value, (int, float, str)) and str(value) and len(str(value)) <= 40
    return str(value) if plain else "VALUE"
