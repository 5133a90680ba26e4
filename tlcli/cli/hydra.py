"""Run under Hydra's own entry point."""

import sys
from collections.abc import Callable
from typing import Any

import hydra

from tlcli.config.checking import Checked, check
from tlcli.config.compose import Request, container
from tlcli.config.registry import config_root

# Runs a command; gives its exit code.
Execute = Callable[[Checked[Any, Any]], int]


def through_hydra(request: Request, execute: Execute) -> int:
    """One job under Hydra's own entry point: --cfg, --info, shell completion."""
    begin(request, lambda c: execute(check(request.word, container(c), request.typed)), [])
    return 0


def begin(request: Request, task: Callable[[Any], Any], more: list[str]) -> None:
    """Let Hydra compose and call the task, with further overrides of Hydra's own keys."""
    quiet = ["hydra.output_subdir=null", "hydra.run.dir=.", "hydra/job_logging=none"]
    sys.argv = ["tl", *request.flags, *request.overrides, *quiet, "hydra/hydra_logging=default"]
    sys.argv += more
    hydra.main(version_base="1.3", config_path=str(config_root()), config_name=request.word)(task)()
