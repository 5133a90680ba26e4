"""`tl train -m`: every job checked before the first, each in its folder, a table at the end."""

import os
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from tlcli.cli.hydra import Execute, begin
from tlcli.config import compose
from tlcli.config.checking import check, check_request
from tlcli.config.data_words import quoted
from tlcli.errors import ConfigError, TlError
from tlcli.runs import claim

SWEEPS = Path("runs/sweep")
# Exit codes of a training that was asked to stop.
STOPPED = (76, 130)


def run(request: compose.Request, execute: Execute) -> int:
    """Run the jobs of a sweep by Hydra's launcher and sweeper, then show and write the table.

    Args:
        request: The command line, with -m among its flags.
        execute: What each job is given to.

    Raises:
        ConfigError: A mistake in any of the jobs.
        TlError: The first job that failed; the others ran.
    """
    validate(request)
    if "plan_only=true" in request.overrides:
        return _jobs(request, execute, _given_dir(request) or claim.free_name(SWEEPS))
    given = _given_dir(request)
    folder = given or claim.new_folder(SWEEPS, "hydra.sweep.dir")
    with claim.owned(folder, "hydra.sweep.dir", new=given is None):
        return _jobs(request, execute, folder)


def _jobs(request: compose.Request, execute: Execute, folder: Path) -> int:
    """Run the jobs in their folders, then show and write the table."""

    def task(config: Any) -> float | None:
        overrides = HydraConfig.get().overrides.task
        values = request.whole(compose.container(config), overrides)
        typed = request.typed(overrides)
        if "run_dir" in values and values["run_dir"] is None:
            values["run_dir"] = HydraConfig.get().runtime.output_dir
        return _result(execute, request, values, typed)

    more = [f"hydra.sweep.dir={quoted(str(folder))}", "hydra.sweep.subdir=${hydra.job.num}"]
    # Otherwise Hydra prints a traceback and ends the process.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        begin(request, task, [*more, *_direction(request)])
    except Exception as error:
        if not type(error).__module__.startswith(("hydra", "omegaconf")):
            raise
        raise compose.told(error, request) from None
    finally:
        if request.word == "train":
            # Here and not above: mistakes are told without NumPy.
            from tlcli.commands import compare

            compare.after_sweep(folder)
    return 0


def _result(
    execute: Execute, request: compose.Request, values: dict[str, Any], typed: tuple[str, ...]
) -> float | None:
    """Run one job; gives what a sweeper optimises."""
    word = request.word
    try:
        code = execute(check(word, values, typed))
        return _objective(code, Path(str(values.get("run_dir"))), _turned(request))
    except TlError as error:
        if error.exit_code not in STOPPED:
            raise
        # Hydra would take an exception as one failed job, and begin the next.
        sys.stderr.write(f"tl {word}: {error}\n")
        raise SystemExit(error.exit_code) from None


def _given_dir(request: compose.Request) -> Path | None:
    """The folder of a sweep that was typed: known here, so that its table can be written.

    Raises:
        ConfigError: A folder that only Hydra could name.
    """
    given = [o.partition("=")[2] for o in request.overrides if o.startswith("hydra.sweep.dir=")]
    if not given:
        return None
    if "${" in given[-1]:
        raise ConfigError("hydra.sweep.dir", f"got {given[-1]}", "Give a plain folder.")
    return Path(given[-1].strip("'\""))


def _direction(request: compose.Request) -> list[str]:
    """Which way a sweeper that optimises goes; Hydra's own default is to minimise."""
    keys = {o.partition("=")[0].lstrip("+") for o in request.overrides}
    optimises = any(o.startswith("hydra/sweeper=") and not o.endswith("=basic")
                    for o in request.overrides)  # fmt: skip
    if not optimises or "hydra.sweeper.direction" in keys:
        return []
    return [f"hydra.sweeper.direction={'minimize' if _falls(request) else 'maximize'}"]


def _falls(request: compose.Request) -> bool:
    """Whether a figure was typed that is better when lower."""
    return any(o.lstrip("+") == "monitor=loss" for o in request.overrides)


def _turned(request: compose.Request) -> bool:
    """Whether a figure that is better when lower changes its sign for a sweeper that goes up."""
    return bool(_direction(request)) and not _falls(request)


def _objective(code: int, run_dir: Path, turned: bool = False) -> float | None:
    """What a sweeper optimises: the validation figure that chose the best epoch.

    Args:
        code: Exit code of the job.
        run_dir: Its folder.
        turned: Give a loss, which a recipe or `auto` may have chosen, with the other sign.

    Raises:
        TlError: The job failed.
    """
    if code:
        raise TlError(f"the job ended with {code}")
    if not (run_dir / "metrics.json").is_file():
        return None
    from tlcli.commands.compare_rows import FALLING, gather

    figure, rows = gather([run_dir], "auto")
    figures = rows[0].figures
    value = figures["test"] if figures["validation"] is None else figures["validation"]
    return -value if turned and figure in FALLING and value is not None else value


def validate(request: compose.Request) -> None:
    """Compose and check every combination before the first job starts."""
    parsed = OverridesParser.create().parse_overrides(list(request.overrides))
    choices: list[list[str]] = []
    for item in parsed:
        key = item.get_key_element()
        if item.is_sweep_override() and item.is_discrete_sweep():
            choices.append([f"{key}={v}" for v in item.sweep_string_iterator()])
        elif not item.is_sweep_override():
            choices.append([str(item.input_line)])
    for number, combination in enumerate(product(*choices)):
        if number >= 1000:
            return
        one = replace(request, overrides=tuple(combination), flags=())
        try:
            check_request(one)
        except ConfigError as error:
            shown = " ".join(c.lstrip("+") for c in combination if not c.startswith("hydra"))
            job = f" (in the job {shown})" if shown else ""
            raise ConfigError(error.where, error.problem + job, error.remedy) from None
