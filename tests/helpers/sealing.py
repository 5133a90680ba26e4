"""Finished runs, changed on purpose, whose hashes fit all the same."""

import json
from pathlib import Path

from tlcli.runs import checkpoint, sealed


def resealed(run, **changed):
    """Make a run whole again after its files were changed; gives its folder.

    Args:
        run: Its folder.
        changed: Keys of metadata.json to set.
    """
    run = Path(run)
    found = sealed.hashes(run, run / checkpoint.WEIGHTS)
    content = json.loads((run / "metadata.json").read_text())
    content = {**content, "sha256": found, **changed}
    (run / "metadata.json").write_text(json.dumps(content))
    sealed.seal(run, content["sha256"])
    return run


def sealed_again(run):
    """Let the hash of metadata.json be that of what is written there now; gives the folder."""
    run = Path(run)
    try:
        found = dict(json.loads((run / "metadata.json").read_text())["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found = {}
    sealed.seal(run, found)
    return run
