"""What is said of the classes as a whole: how many pictures they have, and how they are spelt."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from tlcli.lazy import np
from tlcli.system.shown import shown

# How many times as many pictures one class has as another.
IMBALANCED = 10
FEW = 5
# Letters from which two names that differ in one of them may be one.
LONG = 6
MOST_NAMES = 2000


def notes(class_names: Sequence[str], counts: Any) -> list[str]:
    """Sentences on the classes.

    Args:
        class_names: In index order.
        counts: Training pictures of each, int (classes,).
    """
    found = [f"{shown(a)!r} and {shown(b)!r} differ in their spelling only: perhaps one class."
             for a, b in alike(class_names)]  # fmt: skip
    if not len(counts):
        return found
    most, least = int(np.argmax(counts)), int(np.argmin(counts))
    if counts[most] >= IMBALANCED * max(1, counts[least]):
        found.append(
            f"Classes are imbalanced: {shown(class_names[most])!r} has {counts[most]:,} training "
            f"pictures, {shown(class_names[least])!r} {counts[least]:,}."
        )
    few = [shown(class_names[i]) for i in np.flatnonzero(counts < FEW).tolist()]
    if few:
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        found.append(f"Fewer than {FEW} training pictures: {', '.join(few[:5])}{more}.")
    return found


def alike(class_names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in their spelling."""
    found = []
    keys = [key(name) for name in class_names]
    groups: dict[str, list[str]] = {}
    for name, one in zip(class_names, keys, strict=True):
        groups.setdefault(one, []).append(name)
    for same in groups.values():
        found += list(combinations(same, 2)) if len(same) < 10 else []
    if len(keys) <= MOST_NAMES:
        long = [(name, one) for name, one in zip(class_names, keys, strict=True)
                if len(one) >= LONG and not re.search(r"\d", one)]  # fmt: skip
        found += [(a, b) for (a, one), (b, other) in combinations(long, 2)
                  if one != other and one_letter(one, other)]  # fmt: skip
    return found


def key(name: str) -> str:
    """A name without case, accents, strokes and the s of a plural."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(one for one in plain if one.isalnum())
    return letters[:-1] if len(letters) > 3 and letters.endswith("s") else letters or name


def one_letter(one: str, other: str) -> bool:
    """Whether two texts differ by one letter, or by two neighbours that change places."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(short, long, strict=False)) if a != b),
                 len(short))  # fmt: skip
    if len(short) < len(long):
        return short[start:] == long[start + 1 :]
    swapped = long[start + 1 : start + 2] + long[start : start + 1] + long[start + 2 :]
    return short[start + 1 :] == long[start + 1 :] or short[start:] == swapped
