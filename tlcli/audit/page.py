"""An audit as one page with pictures."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from tlcli.audit.findings import KINDS, Finding, split_of
from tlcli.audit.summary import Summary
from tlcli.contracts.data import SPLIT_NAMES
from tlcli.data.views import Views
from tlcli.lazy import np
from tlcli.report import tables
from tlcli.report.page import drawn, filled
from tlcli.report.pictures import thumbnail
from tlcli.system.shown import shown, typed

TITLES = {
    "label_error": "Labels that are probably wrong",
    "conflicting_label": "Copies with different labels",
    "exact_duplicate": "The same file twice",
    "near_duplicate": "Copies but for encoding, crop or mirror",
    "leak": "Groups that lie in test and in other splits",
    "spurious_cue": "What tells a class beside the picture",
    "odd_picture": "Blank, dark, blurred, tiny, of an odd shape",
    "outlier": "Far from all others",
}
_AT_ONCE = 32


def page(summary: Summary, views: Views, thumbnails: int, table: str) -> str:
    """The page.

    Args:
        summary: The audit.
        views: Whole pictures.
        thumbnails: Pictures of each kind.
        table: Path of audit.csv, for commands to copy.
    """
    manifest, found = summary.manifest, summary.found
    chosen = {
        kind: list(islice((one for one in found if one.kind == kind and one.row >= 0), thumbnails))
        for kind in KINDS
    }
    rows = [one.row for some in chosen.values() for one in some]
    pictures = dict(_pictures(views, sorted(set(rows))))
    sizes = [f"{int((manifest.splits == n).sum()):,} {s}" for n, s in enumerate(SPLIT_NAMES)]
    values = {
        "title": f"Audit of {shown(manifest.root)}",
        "subject": f"{', '.join(sizes)} pictures of {len(manifest.class_names):,} classes. "
                   f"They were told apart by {summary.network}.",
        "tiles": [(kind.replace("_", " "), count) for kind, count in summary.counts().items()],
        "notes": [shown(note, 600) for note in summary.notes],
        "commands": [f"tl train {summary.typed} data.{key}={typed(table)}"
                     for key in ("exclude", "relabel")],
        "cues": [(one.name, shown(manifest.class_names[one.label], 80), one.score, one.p,
                  shown(one.values)) for one in summary.seen.cues],
        "classes": [{**row, "name": shown(row["name"], 80)} for row in summary.by_class()],
        "galleries": [
            {"kind": kind, "title": TITLES[kind], "count": summary.counts()[kind],
             "cards": [_card(summary, one, pictures[one.row]) for one in some]}
            for kind, some in chosen.items() if some
        ],
        "findings": tables.audit_rows(list(_texts(summary))),
    }  # fmt: skip
    return filled("audit.html", values)


def _pictures(views: Views, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Addresses of pictures, by row."""
    batches = views.batches(rows, np.zeros(len(rows)), _AT_ONCE) if rows else ()
    images = (image for batch in batches for image in np.asarray(batch))
    for row, image in zip(rows, images, strict=True):
        yield row, thumbnail(image)


def _card(summary: Summary, one: Finding, picture: str) -> Mapping[str, Any]:
    return {
        "plain": drawn(picture), "id": shown(summary.manifest.ids[one.row], 80),
        "label": shown(one.label, 60), "split": split_of(summary.manifest, one.row),
        "suggestion": shown(one.suggestion, 60), "score": one.score,
        "detail": shown(one.detail, 160), "is_class": one.kind in ("label_error",
                                                                   "conflicting_label"),
    }  # fmt: skip


def _texts(summary: Summary) -> Iterator[dict[str, str]]:
    """Findings as the report shows them."""
    for one in summary.found:
        yield {
            "id": str(summary.manifest.ids[one.row]) if one.row >= 0 else "",
            "split": split_of(summary.manifest, one.row), "class": one.label, "kind": one.kind,
            "score": f"{one.score:.3f}", "suggestion": one.suggestion, "detail": one.detail,
        }  # fmt: skip
