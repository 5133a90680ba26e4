"""Where a student's classes stand among a teacher's outputs."""

from collections import Counter
from collections.abc import Sequence

from tlcli.errors import ConfigError, nearest
from tlcli.models.imagenet import class_names, wnids


def imagenet_places(classes: dict[str, str] | None, names: tuple[str, ...]) -> list[int]:
    """Column of each of the student's classes among ImageNet's.

    Args:
        classes: ImageNet label or WordNet id of each class; None when the names are such.
        names: The student's classes.

    Raises:
        ConfigError: A class without an ImageNet label, or with one that two classes share.
    """
    given = classes if classes is not None else {name: name for name in names}
    missing = [name for name in names if name not in given]
    if missing:
        raise ConfigError(
            "teacher.classes", f"has no entry for {', '.join(missing[:8])}",
            "Give each class an ImageNet label or WordNet id.",
        )  # fmt: skip
    labels, ids = class_names(), wnids()
    counts = Counter(labels)
    wanted = [given[name] for name in names]
    shared = [label for label in wanted if counts[label] > 1]
    if shared:
        raise ConfigError(
            "teacher.classes", f"two ImageNet classes are called {shared[0]}",
            f"Give the WordNet id: {ids[labels.index(shared[0])]} is the first.",
        )  # fmt: skip
    as_labels = [labels[ids.index(word)] if word in ids else word for word in wanted]
    found = class_places(as_labels, labels, "teacher.classes")
    return [ids.index(w) if w in ids else p for w, p in zip(wanted, found, strict=True)]


def class_places(wanted: Sequence[str], known: Sequence[str], where: str) -> list[int]:
    """Column of each of the student's classes among the teacher's, by name.

    Raises:
        ConfigError: Classes that the teacher does not know.
    """
    places = {name: place for place, name in reversed([*enumerate(known)])}
    missing = [name for name in wanted if name not in places]
    if missing:
        shown = ", ".join(missing[:8]) + (", …" if len(missing) > 8 else "")
        raise ConfigError(
            where, f"the teacher does not know {shown}; it knows {len(wanted) - len(missing)} of "
            f"{len(wanted)} classes",
            f"{nearest(missing[0], known)} Its class names must hold the student's.",
        )  # fmt: skip
    return [places[name] for name in wanted]


def mapping_text(names: Sequence[str], known: Sequence[str], places: Sequence[int]) -> str:
    """How the teacher's classes became the student's, for the plan.

    Args:
        names: The student's classes.
        known: The teacher's.
        places: Column of each of the student's classes.
    """
    renamed = [f"{ours} = {known[place]}" for ours, place in zip(names, places, strict=True)
               if str(ours) != str(known[place])]  # fmt: skip
    unused = [str(name) for column, name in enumerate(known) if column not in set(places)]
    count = f"{len(names)} of its {len(known):,}" if unused else str(len(names))
    text = f"{count} classes by name"
    if renamed:
        text += f", {', '.join(renamed[:6])}{', …' if len(renamed) > 6 else ''}"
    if unused:
        few = len(unused) <= 6
        text += f"; not used: {', '.join(unused)}" if few else f"; {len(unused)} not used"
    return text
