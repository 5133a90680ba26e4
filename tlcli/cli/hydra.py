"""Run under Hydra's own entry point."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import hydra
import yaml

from tlcli.config.at_hand import settled
from tlcli.config.checking import Checked, check
from tlcli.config.commands import COMMANDS
from tlcli.config.compose import Request, container, plain
from tlcli.config.registry import config_root

# Runs a command; gives its exit code.
Execute = Callable[[Checked[Any, Any]], int]


def through_hydra(request: Request, execute: Execute) -> int:
    """One job under Hydra's own entry point: --cfg, --info, shell completion.

    Hydra never sees a recipe, so the configuration with one is shown here.
    """
    overrides = request.overrides
    typed = request.typed(overrides)
    if shows_job(request.flags) and (request.recipe is not None or "data.name" in typed):
        config, _ = settled(request.word, plain(request), typed)
        sys.stdout.write(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        return 0

    def task(config: Any) -> int:
        whole = request.whole(container(config), overrides)
        return execute(check(request.word, whole, typed))

    begin(request, task, [])
    return 0


def shows_job(flags: Sequence[str]) -> bool:
    """Whether the flags ask for the configuration instead of a run."""
    return any((flag in ("-c", "--cfg") and after == "job") or flag in ("-c=job", "--cfg=job")
               for flag, after in zip(flags, (*flags[1:], ""), strict=True))  # fmt: skip


def begin(request: Request, task: Callable[[Any], Any], more: list[str]) -> None:
    """Let Hydra compose and call the task, with further overrides of Hydra's own keys."""
    quiet = ["hydra.output_subdir=null", "hydra.run.dir=.", "hydra/job_logging=none"]
    sys.argv = ["tl", *request.flags, *request.overrides, *quiet, "hydra/hydra_logging=default"]
    sys.argv += more
    hydra.main(
        version_base="1.3",
        config_path=str(config_root()),
        config_name=COMMANDS[request.word].config,
    )(task)()
