"""What the folders above pictures mean: splits, classes, or nothing at all.

One resolver for the layouts that data comes in: `train/CLASS`, `Training/CLASS`, `training_set`,
`seg_train`, `val2017`, class folders alone, and any of these below a single folder as archives
have it.
"""

import contextlib
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tlcli.config.split_names import split_of
from tlcli.contracts.data import SPLIT_NAMES, TRAIN
from tlcli.data.samples import some_names
from tlcli.data.walk import Found, LeftOut, hidden, is_utf8
from tlcli.errors import DataError
from tlcli.system.shown import escaped, shown, typed

LAYOUT = "Expected PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with validation and test beside."


@dataclass(frozen=True)
class Layout:
    """Where in the paths of a folder's files splits and classes stand.

    Attributes:
        splits: Folder of a split, below the root, to the split; empty where there are none.
        depth: Folders above the class, the split's included.
        notes: What a person should know of it.
    """

    splits: Mapping[str, int]
    depth: int
    notes: tuple[str, ...]

    def split(self, name: str) -> int | None:
        """Split of a file or of those in a folder (`a/b/`), None outside of all splits."""
        if not self.splits:
            return TRAIN
        return next((s for folder, s in self.splits.items() if name.startswith(folder)), None)

    def class_name(self, name: str) -> str | None:
        """Class of a file, None where it lies in no class folder."""
        parts = name.split("/", self.depth + 1)
        return (
            unicodedata.normalize("NFC", parts[self.depth]) if len(parts) > self.depth + 1 else None
        )


def resolve(root: str, names: Sequence[str], folders: Iterable[str]) -> Layout:
    """The layout of a folder.

    Args:
        root: For messages.
        names: Folders that hold what may be pictures, below the root, each with / at its end.
        folders: Every folder below the root that was looked into, without the root itself.

    Raises:
        DataError: The folders contradict each other, or a class has no picture.
    """
    folders = sorted(folders)
    _check_names(root, folders)
    inside, notes = "", []
    while True:
        tops = sorted({name[len(inside) :].split("/", 1)[0] for name in names if
                       name.startswith(inside) and "/" in name[len(inside) :]})  # fmt: skip
        splits = {top: split for top in tops if (split := split_of(top)) is not None}
        single = len(tops) == 1 and not splits
        if not single or not all(n.count("/") > inside.count("/") + 1 for n in names):
            break
        inside += f"{tops[0]}/"
    if inside:
        notes.append(f"the pictures lie in {shown(root)}/{shown(inside[:-1])}, which is taken for "
                     f"the data: say data.path={typed(f'{root}/{inside[:-1]}')}")  # fmt: skip
    if TRAIN not in splits.values():
        _check_no_train(root, inside, names, tops, splits)
        splits = {}
    _check_twice(root, splits)
    depth = inside.count("/") + bool(splits)
    found = {f"{inside}{top}/": split for top, split in splits.items()}
    layout = Layout(found, depth + _further(names, found, depth), ())
    _check_classes(root, layout, names, folders)
    return Layout(found, layout.depth, (*notes, *_notes(layout, names)))


def _further(names: Sequence[str], splits: Mapping[str, int], depth: int) -> int:
    """Folders between a split and its classes: one that all pictures of all splits lie in."""
    if not splits:
        return 0
    more = 0
    while True:
        parts = [name.split("/") for name in names if name.startswith(tuple(splits))]
        at = depth + more
        single = len({part[at] for part in parts if len(part) > at + 1}) == 1
        if not single or not all(len(part) > at + 2 for part in parts):
            return more
        more += 1


def _check_names(root: str, folders: Iterable[str]) -> None:
    for folder in folders:
        if not is_utf8(folder):
            raise DataError(
                root, f"has the folder '{escaped(folder)}', whose name is not UTF-8",
                "Rename it; as it stands, its pictures would be missing.",
            )  # fmt: skip


def _check_no_train(
    root: str, inside: str, names: Sequence[str], tops: list[str], splits: Mapping[str, int]
) -> None:
    """Refuse folders for splits where none is for training."""
    if not splits:
        return
    if len(splits) == len(tops):
        raise DataError(root, f"has {some_names(tops)} but no 'train'", LAYOUT)
    for top in splits:
        below = {
            n[len(inside) + len(top) + 1 :].split("/", 1)[0]
            for n in names if n.startswith(f"{inside}{top}/")
        }  # fmt: skip
        same = sorted(below & set(tops))
        if same:
            raise DataError(
                root, f"has {some_names(same)} beside {top!r} and in it, but no 'train'",
                "Move the classes for training into a folder train.",
            )  # fmt: skip


def _check_twice(root: str, splits: Mapping[str, int]) -> None:
    for split in range(3):
        names = [name for name, number in splits.items() if number == split]
        if len(names) > 1:
            what = f"has {some_names(names)}, all for {SPLIT_NAMES[split]}"
            raise DataError(root, what, "Keep one of them.")


def _check_classes(root: str, layout: Layout, names: Sequence[str], folders: Sequence[str]) -> None:
    """Refuse a class folder that is empty, splits below classes, and one class alone."""
    has_picture = {layout.class_name(n) for n in names if layout.split(n) is not None} - {None}
    parents = {folder.rsplit("/", 1)[0] for folder in folders if "/" in folder}
    for folder in folders:
        name = layout.class_name(f"{folder}/")
        is_class = folder.count("/") == layout.depth and layout.split(f"{folder}/") == TRAIN
        if is_class and name not in has_picture and folder not in parents and _bare(root, folder):
            raise DataError(
                root, f"the class folder {shown(folder)!r} is empty: it has no picture",
                "Put pictures into it, or remove it.",
            )  # fmt: skip
    below = defaultdict(set)
    for name in names:
        parts = name.split("/")
        if len(parts) > layout.depth + 2 and not layout.splits:
            below[parts[layout.depth]].add(parts[layout.depth + 1])
    words = {word for some in below.values() for word in some}
    found = {split_of(word) for word in words}
    if len(below) == len(has_picture) and TRAIN in found and None not in found:
        raise DataError(
            root, f"has the splits {some_names(sorted(words))} below the classes, not above",
            "Move them above: PATH/train/CLASS/IMAGE, PATH/test/CLASS/IMAGE.",
        )  # fmt: skip


def _bare(root: str, folder: str) -> bool:
    """Whether a folder holds nothing but hidden files."""
    with contextlib.suppress(OSError):
        return all(map(hidden, os.listdir(os.path.join(root, folder))))
    return False


def _notes(layout: Layout, names: Sequence[str]) -> list[str]:
    """What was merged, and names that look alike."""
    merged, forms = defaultdict(set), defaultdict(set)
    for name in names:
        if layout.split(name) is None or (one := layout.class_name(name)) is None:
            continue
        parts = name.split("/", layout.depth + 2)
        forms[one].add(parts[layout.depth])
        if len(parts) > layout.depth + 2:
            merged[one].add(parts[layout.depth + 1])
    notes = []
    if merged:
        apart = [f"{one}/{sub}" for one, subs in sorted(merged.items()) for sub in sorted(subs)]
        notes.append(
            f"deeper folders were merged into {_some(merged)}: {_some(apart)}; to tell these "
            f"{len(apart)} apart, move them up one level, or list pictures in a table (data=csv)"
        )
    same = sorted(one for one, written in forms.items() if len(written) > 1)
    if same:
        notes.append(f"{_some(same)}: written in two Unicode forms, taken for one class each")
    alike = Counter(one.casefold().strip() for one in forms)
    notes += [
        f"the classes {_some(sorted(o for o in forms if o.casefold().strip() == key))} differ in "
        f"case or spaces alone"
        for key, count in sorted(alike.items()) if count > 1
    ]  # fmt: skip
    return notes


def _some(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(name, 80) for name in names[:most]) + more


def sorted_out(
    layout: Layout, found: Iterable[Found], left_out: LeftOut
) -> tuple[list[Found], list[str], list[int]]:
    """Files that have a class and a split, by name; why others are left out is counted.

    Returns:
        The files; the class of each; the split of each.
    """
    kept: list[Found] = []
    places: dict[str, tuple[str | None, int | None]] = {}
    for one in found:
        folder = one[0][: one[0].rfind("/") + 1]
        place = places.get(folder)
        if place is None:
            place = places[folder] = layout.class_name(folder), layout.split(folder)
        name, split = place
        if split is None:
            top = shown(folder.split("/", 1)[0])
            left_out.add(f"in {top}, which is no split" if folder else "outside", one[0])
        elif name is None:
            left_out.add("outside class folders", one[0])
        else:
            kept.append(one)
    kept.sort()
    # Written out: a call for each of a million names takes a second.
    of_kept = [places[one[0][: one[0].rfind("/") + 1]] for one in kept]
    return kept, [str(name) for name, _ in of_kept], [split or 0 for _, split in of_kept]
