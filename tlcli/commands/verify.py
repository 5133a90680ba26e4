"""`tl teacher verify`: compute stored teacher outputs again and compare."""

import sys
from collections.abc import Mapping
from typing import Any

from tlcli.config.job import verify_job
from tlcli.errors import ConfigError
from tlcli.system import console


def run(config: Mapping[str, Any]) -> int:
    """Compare; returns 0 when all differences are within the tolerance, else 1.

    Raises:
        TlError: There is no teacher, nothing is stored, or it belongs to something else.
    """
    from tlcli.distill.attach import attach
    from tlcli.training.build import pieces_of

    console.start_log(None)
    options, job = verify_job(config)
    if not job.teacher.is_teacher:
        raise ConfigError("teacher", "there is none", "Give the words of the training it is for.")
    built = attach(pieces_of(job)).teacher.built
    if built is None or built.kept is None:
        raise ConfigError(
            "teacher",
            "a file of outputs is no store",
            "Give a teacher that is run, as teacher=run.",
        )
    kept = built.kept
    found = kept.differences(options.samples)
    sys.stdout.write(f"{found['items']} of {kept.items} outputs in {found['folder']}\n")
    wrong = 0
    for name, value in found["largest"].items():
        fine = value <= options.tolerance
        wrong += not fine
        verdict = "ok" if fine else f"DIFFERS, {options.tolerance:g} is allowed"
        sys.stdout.write(f"{name:<24} largest difference {value:.3g}  {verdict}\n")
    return int(wrong > 0)
