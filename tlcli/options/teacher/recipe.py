"""A training of its own that comes before the student's."""

from dataclasses import dataclass
from typing import Any

from tlcli.contracts.teacher import Target
from tlcli.errors import ConfigError
from tlcli.options.teacher._common import Computed


@dataclass(frozen=True)
class Teacher(Computed):
    """What `tl train` trains first, in RUN/teacher, and then takes as teacher=run.

    Attributes:
        config: A shipped recipe by name, or a YAML file; None for the defaults with the overrides.
        overrides: What a recipe may say, put over it.
        content: What the recipe says; None until it is read.
    """

    config: str | None
    overrides: dict[str, Any]
    content: dict[str, Any] | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.config or self.overrides or self.content):
            raise ConfigError(
                "teacher.config", "no value",
                "Give a recipe by name or a YAML file, or teacher.overrides={KEY: VALUE}.",
            )  # fmt: skip

    def build(self, target: Target) -> Any:
        """There is nothing to build before it is trained.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "teacher", "is trained first by tl train, and there is none before",
            "Give teacher=run teacher.path=RUN/teacher of a training that came so far.",
        )  # fmt: skip
