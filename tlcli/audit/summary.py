"""An audit as a whole: audit.json, and what is said of the data beside single pictures."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlcli import __version__
from tlcli.audit import names
from tlcli.audit.findings import KINDS, Finding, Seen
from tlcli.contracts.data import SPLIT_NAMES, TRAIN, Manifest
from tlcli.data.samples import class_counts
from tlcli.system.shown import shown, typed

FORMAT = 1
# What data.groups takes for each way of grouping that a file name tells.
PATTERNS = {
    "prefix": r"([^/]*?)[ _.()-]*\d+[ _.()-]*\.\w+$",
    "name before a stroke": r"([^/ _.-]+)[ _.-][^/]*$",
}


@dataclass(frozen=True, eq=False)
class Summary:
    """An audit as a whole.

    Attributes:
        manifest: The data.
        network: What told pictures apart, in words.
        found: All findings.
        seen: What they were made of.
        notes: Sentences on the data.
        typed: What stands for the data on a command line.
    """

    manifest: Manifest
    network: str
    found: Sequence[Finding]
    seen: Seen
    notes: Sequence[str]
    typed: str

    def counts(self) -> dict[str, int]:
        """Findings of each kind."""
        found = Counter(one.kind for one in self.found)
        return {kind: found[kind] for kind in KINDS}

    def by_class(self) -> list[dict[str, Any]]:
        """Of each class its pictures by split, and its labels that are called errors."""
        labels, splits = self.manifest.labels, self.manifest.splits
        classes = len(self.manifest.class_names)
        wrong = Counter(one.label for one in self.found if one.kind == "label_error")
        counts = [class_counts(labels[splits == number], classes)
                  for number in range(len(SPLIT_NAMES))]  # fmt: skip
        return [
            {"name": name, **{split: int(counts[n][i]) for n, split in enumerate(SPLIT_NAMES)},
             "label_errors": wrong[name]}
            for i, name in enumerate(self.manifest.class_names)
        ]  # fmt: skip

    def as_json(self, seconds: float) -> dict[str, Any]:
        """What audit.json holds."""
        manifest, seen = self.manifest, self.seen
        names_of = manifest.class_names
        return {
            "format": FORMAT, "tl": __version__, "data": manifest.root,
            "fingerprint": manifest.fingerprint, "network": self.network,
            "images": {name: int((manifest.splits == number).sum())
                       for number, name in enumerate(SPLIT_NAMES)},
            "found": self.counts(), "classes": self.by_class(),
            "cues": [{"cue": one.name, "class": names_of[one.label], "auc": round(one.score, 4),
                      "p": round(one.p, 4), "values": one.values} for one in seen.cues],
            "leaks": [{"by": one.name, "groups": one.shared, "images": len(one.rows),
                       "closer": round(one.closer, 4)} for one in seen.leaks],
            "notes": list(self.notes), "seconds": round(seconds, 1),
        }  # fmt: skip


def notes_of(manifest: Manifest, seen: Seen) -> list[str]:
    """Sentences on the data."""
    train = manifest.labels[manifest.splits == TRAIN]
    found = names.notes(manifest.class_names, class_counts(train, len(manifest.class_names)))
    if seen.errors is None:
        why = "pictures have several" if manifest.multi_label else "there are none to judge"
        found.append(f"Labels are not judged, nor what tells them beside the picture: {why}.")
    for cue in seen.cues:
        label = shown(manifest.class_names[cue.label], 60)
        found.append(
            f"The {cue.name} alone tells {label!r} (AUC {cue.score:.2f}, p {cue.p:.2f}): "
            f"{shown(cue.values)}. A network may learn it and fail elsewhere."
        )
    for leak in seen.leaks:
        remedy = f" data.groups='{PATTERNS[leak.name]}' keeps each in one split." * (
            leak.name in PATTERNS)  # fmt: skip
        found.append(f"{leak.shared:,} groups of one {leak.name} lie in test and in other splits, "
                     f"{len(leak.rows):,} pictures.{remedy}")  # fmt: skip
    skipped = manifest.report.get("skipped") or ()
    if skipped:
        name, reason = skipped[0]
        found.append(f"{len(skipped):,} files cannot be read and were left out, as {shown(name)}: "
                     f"{shown(reason)}.")  # fmt: skip
    return [*found, *(f"{shown(note)}." for note in manifest.report.get("notes") or ())]


def typed_data(values: Mapping[str, Any]) -> str:
    """Data as it is typed.

    Args:
        values: Of the option.
    """
    if "path" not in values:
        return f"data={typed(values['name'])}"
    option = "" if values["name"] == "folder" else f"data={typed(values['name'])} "
    root = f" data.image_root={typed(values['image_root'])}" if values.get("image_root") else ""
    return f"{option}data.path={typed(values['path'])}{root}"


def lines(summary: Summary) -> Mapping[str, str]:
    """The audit for a person, by label."""
    counts = {kind: count for kind, count in summary.counts().items() if count}
    told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items())
    images = len(summary.manifest.ids)
    return {
        "audited": f"{images:,} images of {shown(summary.manifest.root)}",
        "network": summary.network, "found": told or "nothing",
    }  # fmt: skip
