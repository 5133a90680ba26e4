"""A command's settings from its composed configuration."""

from typing import Any

from tlcli.config.commands import COMMANDS


def check(word: str, config: dict[str, Any]) -> Any:
    """The command's checked settings.

    Raises:
        ConfigError: The first mistake.
    """
    from tlcli.config import registry, settings
    from tlcli.config.checked import build_dataclass
    from tlcli.config.job import parted, train_job, verify_job
    from tlcli.contracts import GROUPS

    schema = COMMANDS[word].schema
    if schema == "train":
        return train_job(config)
    if schema == "verify":
        return verify_job(config)
    if schema.startswith("train+"):
        own, train = parted(getattr(settings, schema.removeprefix("train+")), config)
        train_job(train)
        return own
    own = {k: v for k, v in config.items() if k not in GROUPS}
    for group in GROUPS:
        if "name" in (config.get(group) or {}):
            registry.build(group, config[group])
    return build_dataclass(getattr(settings, schema), own, "")
