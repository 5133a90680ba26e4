"""Whether and how a training goes on from what its folder holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tlcli.config.job import TrainJob, distrusted
from tlcli.config.places import STARTED
from tlcli.config.recipe import value_at
from tlcli.config.upgraded import changed_numbers
from tlcli.contracts.data import Manifest
from tlcli.errors import ConfigError, TlError
from tlcli.runs import checkpoint, identity, state
from tlcli.runs.state_data import same_pictures
from tlcli.runs.stored_job import found_again
from tlcli.system import cluster, console
from tlcli.system.shown import typed as typed_word
from tlcli.system.surroundings import changes, surroundings

# Keys that may differ between a state and the training that goes on from it.
FREE_KEYS = (
    "resume", "run_dir", "name", "save_every", "save_retry", "keep_state", "strict_resume",
    "extend", "on_nan", "workers", "cache", "cache_dir", "cache_memory", "plan_only", "verbose",
    "calibrate", "abstain_below", "control", "hardware", "accumulation_steps",
    STARTED, "offline", "seeds", "logger", "report", "remote_cache",
)  # fmt: skip
# Within these, what decides the weights all the same.
KEPT_KEYS = ("hardware.batch_norm",)
# Of these, what a stored run keeps whatever is typed.
OWN_KEYS = ("extend", "run_dir", "name", "control")
# Free for a state, but what a finished run was made with.
DONE_KEYS = ("calibrate", "abstain_below", "control", "keep_state")


def check_finished(job: TrainJob, run_dir: Path, typed: Sequence[str]) -> None:
    """Refuse words that a finished run does not heed.

    Args:
        job: As composed from the new command line.
        run_dir: The finished run.
        typed: Dotted keys and groups that the command line or its recipe gives.

    Raises:
        ConfigError: The run was trained with another configuration.
    """
    stored = checkpoint.read_config(run_dir)
    now = json.loads(json.dumps(dict(job.config)))
    ignored = unheeded(job, stored, typed)
    if ignored:
        where, word = "resume" if job.settings.resume else "run_dir", typed_word(run_dir)
        raise ConfigError(
            where, f"{run_dir} is finished, and was trained otherwise: {_told(ignored)}",
            f"See it as it is with tl eval checkpoint={word}; go on from its weights as a new "
            f"run with tl train extend={word} epochs=+{_more(stored, now):g}; or train anew in "
            "another run_dir.",
        )  # fmt: skip


def check_teacher(job: TrainJob, run_dir: Path, typed: Sequence[str]) -> None:
    """Refuse a finished teacher that is not what its recipe asks for.

    Args:
        job: As its recipe asks for.
        run_dir: The teacher.
        typed: Dotted keys and groups that the recipe gives.

    Raises:
        ConfigError: It was trained with another configuration.
    """
    ignored = unheeded(job, checkpoint.read_config(run_dir), typed)
    if ignored:
        raise ConfigError(
            "teacher.config", f"{run_dir} was trained otherwise: {_told(ignored)}",
            "Give another run_dir, or remove that folder to train the teacher anew; teacher=run "
            "teacher.path takes it as it is.",
        )  # fmt: skip


def unheeded(
    job: TrainJob, stored: Mapping[str, Any], typed: Sequence[str]
) -> list[tuple[str, Any, Any]]:
    """What a finished run was made with and a job asks for otherwise.

    Args:
        job: As it is asked for.
        stored: Configuration of the run.
        typed: Dotted keys and groups that are no defaults.
    """
    now = json.loads(json.dumps(dict(job.config)))
    if job.settings.resume or job.settings.auto:
        found = []
        for key in sorted({*typed}):
            found += differences(value_at(stored, key), value_at(now, key), key)
    else:
        found = differences(stored, now)
    return [one for one in found if one[0].split(".")[0] in DONE_KEYS or not is_free(one[0])]


def placed_as_begun(job: TrainJob, run_dir: Path) -> TrainJob:
    """The job of a chain, its teacher's folder written as when it was begun, whatever it is now.

    Args:
        job: Its teacher is another training of the chain.
        run_dir: Its folder.
    """
    if not (run_dir / "config.json").is_file():
        return job
    before = value_at(checkpoint.read_config(run_dir), "teacher.path")
    now = value_at(job.config, "teacher.path")
    inside = isinstance(now, str) and Path(now).parent == run_dir.parent
    if not (inside and isinstance(before, str) and Path(before).name == Path(now).name):
        return job
    return replace(job, config={**job.config, "teacher": {**job.config["teacher"], "path": before}})


def _more(stored: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    """Epochs that a run lacks to what is wanted; as many again where it lacks none."""
    more = float(now["epochs"]) - float(stored["epochs"])
    return more if more > 0 else float(now["epochs"])


def _told(found: Sequence[tuple[str, Any, Any]]) -> str:
    """Differences in words, the first few."""
    told = list(dict.fromkeys(f"{k} was {a!r} and is {b!r}" for k, a, b in found))
    return "; ".join(told[:5]) + ("; …" if len(told) > 5 else "")


def resumed_job(job: TrainJob, run_dir: Path, typed: Sequence[str]) -> TrainJob:
    """The job that a run was started with, with the free keys that were typed.

    Args:
        job: As composed from the new command line.
        run_dir: The run to go on with.
        typed: Dotted keys and groups that the command line or its recipe gives.

    Raises:
        ConfigError: A typed key that is not free differs from the run's.
    """
    stored = checkpoint.read_config(run_dir)
    now = json.loads(json.dumps(dict(job.config)))
    free = {k.split(".")[0] for k in typed} & set(FREE_KEYS) - set(OWN_KEYS)
    differ = []
    for key in sorted({*typed}):
        if not is_free(key):
            differ += differences(value_at(stored, key), value_at(now, key), key)
    if differ:
        told = "; ".join(dict.fromkeys(f"{k} was {a!r} and is {b!r}" for k, a, b in differ))
        raise ConfigError(
            "resume", f"{run_dir} was started with another configuration: {told}",
            f"Leave that out, or train anew; free are {', '.join(_free_to_type())}.",
        )  # fmt: skip
    merged = {**now, **stored, **{k: now[k] for k in free}, "resume": now["resume"]}
    for key in KEPT_KEYS:
        group, name = key.split(".")
        if name in merged[group] and name in stored[group]:
            merged[group] = {**merged[group], name: stored[group][name]}
    trusted = distrusted(merged, typed)
    if trusted != merged:
        raise ConfigError(
            "teacher.trust", f"{run_dir} runs a SavedModel, which is a program, and trust counts "
            "only where it is typed", "Give teacher.trust=true if you know who made it.",
        )  # fmt: skip
    return found_again(trusted, checkpoint.started_in(run_dir))


def is_free(key: str) -> bool:
    """Whether a dotted key may differ between a state and the training that goes on from it."""
    return key.split(".")[0] in FREE_KEYS and key not in KEPT_KEYS


def _free_to_type() -> list[str]:
    return [k for k in FREE_KEYS if k not in (*OWN_KEYS, "resume")]


def check_same_config(job: TrainJob, run_dir: Path) -> None:
    """Refuse to go on with another configuration.

    Raises:
        ConfigError: Keys that differ, each with its values.
    """
    if not (run_dir / "config.json").is_file():
        return
    stored = checkpoint.read_config(run_dir)
    now = json.loads(json.dumps(dict(job.config)))
    differ = [f"{k} was {a!r} and is {b!r}" for k, a, b in differences(stored, now)
              if not is_free(k)]  # fmt: skip
    if differ:
        raise ConfigError(
            "run_dir", f"{run_dir} was started with another configuration: {'; '.join(differ[:5])}",
            "Give another run_dir, or the same configuration.",
        )  # fmt: skip


def differences(old: Any, new: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys with different values in two configurations."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in sorted({*old, *new}):
            place = f"{where}.{key}" if where else str(key)
            found += differences(old.get(key), new.get(key), place)
        return found
    return [] if old == new else [(where, old, new)]


def check_agreement(
    member: cluster.Alone, job: TrainJob, manifest: Manifest, found: state.State | None
) -> None:
    """Refuse workers that would not train the same.

    Raises:
        ConfigError: Configuration, data or the saved state differ.
    """
    whole = found is not None and bool(found.arrays)
    step = (found.facts["phase"], found.facts["step"]) if found and whole else None
    member.agree("configuration", identity.config_hash(job.config, FREE_KEYS)[:16])
    member.agree("data", manifest.fingerprint[:64])
    member.agree("state", str(step))
    # A step that tells its gradient's norm has figures of another shape.
    member.agree("logger", str(any(one.wants_gradients for one in job.logger.parts)))


def _as_stored(run_dir: Path) -> Mapping[str, Any] | None:
    """config.json as it was written, which a state of an earlier version knows by its hash."""
    path = run_dir / "config.json"
    return checkpoint.read_json(path) if path.is_file() else None


def check_state(
    job: TrainJob, manifest: Manifest, replicas: int, found: state.State | None, run_dir: Path
) -> None:
    """Refuse a state that the rest of the training would not be the same after.

    Args:
        job: As it goes on.
        manifest: Its data.
        replicas: Devices that share a batch now.
        found: The state, or None.
        run_dir: Where it lies.

    Raises:
        TlError: Other data, another configuration, or (unless strict_resume=false) other versions,
            threads or devices.
    """
    if found is None or not found.arrays:
        return
    facts = found.facts
    stored = _as_stored(run_dir) or job.config
    if facts["fingerprint"] != manifest.fingerprint or not same_pictures(manifest, facts):
        raise TlError(
            f"{run_dir}: the data changed since the state was saved. Train anew in another run_dir."
        )
    hashes = {identity.config_hash(config, FREE_KEYS) for config in (job.config, stored)}
    if facts["config_hash"] not in hashes:
        raise TlError(
            f"{run_dir / 'config.json'}: was changed since the state was saved. Restore it, or "
            "train anew in another run_dir."
        )
    now = surroundings(replicas)
    decisive, loose = changes(facts["surroundings"], now)
    decisive += changed_numbers(stored, manifest.multi_label)
    if decisive and job.settings.strict_resume:
        raise TlError(
            f"{run_dir}: the state was saved elsewhere: {'; '.join(decisive)}. The weights would "
            "not be those of the unbroken run. Go on where it was saved, or with "
            "strict_resume=false."
        )
    for change in [*decisive, *loose]:
        console.say(f"since the state was saved, {change}")
