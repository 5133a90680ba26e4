"""Groups of pictures that must share a split: of one patient, one camera, one burst."""

import re
from collections.abc import Callable
from typing import Any

from tlcli.contracts.data import TEST, TRAIN, VALIDATION
from tlcli.errors import ConfigError, DataError
from tlcli.lazy import np
from tlcli.system.shown import shown

# From ids to names of groups, str (samples,); empty for a group of its own.
Groups = Callable[[Any], Any]
LONGEST = 1000


def check_groups(given: str | None) -> None:
    """Refuse what is no expression.

    Raises:
        ConfigError: It is none.
    """
    if given is None:
        return
    remedy = "Give a regular expression, as '^([^_]+)_', or null."
    if not given or len(given) > LONGEST:
        raise ConfigError("data.groups", f"got {shown(given)!r}", remedy)
    try:
        re.compile(given)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError("data.groups", f"got {shown(given)!r} ({error})", remedy) from None


def by_expression(given: str | None) -> Groups | None:
    """Groups by what an expression finds in ids: its own groups, else all that it matches."""
    if given is None:
        return None
    pattern = re.compile(given)

    def names(ids: Any) -> Any:
        found = [pattern.search(str(name)) for name in ids]
        if len(ids) and not any(found):
            raise ConfigError(
                "data.groups", f"{shown(given)!r} is in no id, as {shown(ids[0])}",
                "Give an expression that is in the paths of the pictures.",
            )  # fmt: skip
        return np.array(["" if one is None else _name(one) for one in found], object)

    return names


def _name(found: Any) -> str:
    return "\0".join(part or "" for part in found.groups()) if found.groups() else found[0] or ""


def numbered(names: Any) -> Any:
    """Number of the group of each sample, int64 (samples,); those without a name are alone."""
    alone = names == ""
    _, numbers = np.unique(names.astype(str), return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(alone.sum())
    return np.unique(numbers, return_inverse=True)[1].reshape(-1)


def split_groups(labels: Any, numbers: Any, fractions: tuple[float, float], seed: int) -> Any:
    """Split of each sample, groups whole and classes shared out as well as they allow; int8.

    Large groups first, each to the split that lacks its classes most. A class that only one group
    is left of, and that is not trained on yet, is trained on.

    Args:
        labels: Class indices, int (samples,), -1 where unlabelled; or multi-hot (samples, classes).
        numbers: Group of each sample, from 0, int (samples,).
        fractions: Of validation and of test.
        seed: Decides among groups of one size.

    Raises:
        DataError: There are fewer groups than splits.
    """
    shares = np.array([1 - sum(fractions), *fractions])
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    wanted = [split for split in (TRAIN, VALIDATION, TEST) if shares[split] > 0]
    if len(members) < len(wanted):
        raise DataError(
            "data.groups", f"there are {len(members)} groups for {len(wanted)} splits",
            "Give an expression that makes more groups, or fractions of 0.",
        )  # fmt: skip
    classes = [_classes(labels, rows) for rows in members]
    count = max((int(own.max(initial=-1)) for own in classes), default=-1) + 2
    room = shares[:, None] * sum(np.bincount(own, minlength=count) for own in classes)
    waiting = sum(np.bincount(np.unique(own), minlength=count) for own in classes)
    splits = np.full(len(numbers), TRAIN, np.int8)
    trained, empty = np.zeros(count, bool), set(wanted)
    random = np.random.default_rng(seed).permutation(len(members))
    for done, place in enumerate(sorted(random.tolist(), key=lambda i: -len(members[i]))):
        own = classes[place]
        kinds = np.unique(own)
        left = len(members) - done
        allowed = sorted(empty) if left <= len(empty) else wanted
        if (~trained[kinds] & (waiting[kinds] == 1)).any():
            allowed = [TRAIN]
        need = [room[split, own].sum() for split in allowed]
        split = allowed[int(np.argmax(need))]
        splits[members[place]] = split
        room[split] -= np.bincount(own, minlength=count)
        waiting[kinds] -= 1
        trained[kinds] |= split == TRAIN
        empty.discard(split)
    return splits


def _classes(labels: Any, rows: Any) -> Any:
    """Classes of a group's samples, each as often as it is there; no label counts as one more."""
    if labels.ndim == 2:
        own = np.nonzero(labels[rows])[1]
        return own if len(own) else np.array([labels.shape[1]])
    return np.where(labels[rows] < 0, labels.max(initial=-1) + 1, labels[rows])


def apart(numbers: Any, splits: Any) -> int:
    """How many groups lie in more than one of the splits train, validation and test."""
    inside = splits <= TEST
    pairs = np.unique(np.stack([numbers[inside], splits[inside]], 1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum()) if len(pairs) else 0
