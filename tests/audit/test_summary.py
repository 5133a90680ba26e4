import json

import numpy as np

from tests.audit.test_findings import HOSTILE, errors, manifest, seen  # noqa: F401
from tlcli.audit import findings
from tlcli.audit.cues import Cue
from tlcli.audit.leaks import Leak
from tlcli.audit.summary import Summary, lines, notes_of, typed_data


def made(manifest, given):  # noqa: F811
    found = findings.findings(manifest, given)
    return Summary(manifest, "tiny", found, given, notes_of(manifest, given), "data")


def test_a_summary_counts(manifest):  # noqa: F811
    given = seen(
        errors=errors([2]), cues=[Cue("width", 1, 0.95, 0.5, 0.01, "9 px")],
        leaks=[Leak("prefix", np.full(6, "p"), np.array([1, 2]), 1, 0.9)],
    )  # fmt: skip
    found = made(manifest, given)
    told = json.loads(json.dumps(found.as_json(1.23)))
    assert told["images"] == {"train": 4, "validation": 1, "test": 1}
    assert told["found"]["label_error"] == 1
    assert told["found"]["leak"] == 2
    assert told["classes"][1] == {
        "name": "dog", "train": 1, "validation": 1, "test": 1, "label_errors": 1,
    }  # fmt: skip
    assert told["cues"][0]["cue"] == "width"
    assert told["seconds"] == 1.2
    assert any("alone tells 'dog' (AUC 0.95, p 0.01): 9 px" in note for note in told["notes"])
    assert any("data.groups='" in note for note in told["notes"])
    assert lines(found)["found"] == "1 label error, 2 leak, 1 spurious cue"


def test_data_is_told_as_it_is_typed():
    folder = {"name": "folder", "path": "my photos"}
    assert typed_data(folder) == "data.path='my photos'"
    table = {"name": "csv", "path": "a.csv", "image_root": "b"}
    assert typed_data(table) == "data=csv data.path=a.csv data.image_root=b"
    assert typed_data({"name": "digits"}) == "data=digits"


def test_labels_that_are_not_judged_are_told(manifest):  # noqa: F811
    found = made(manifest, seen())
    assert any(note.startswith("Labels are not judged") for note in found.notes)
    assert lines(found)["found"] == "nothing"
    assert "\n" not in "".join(lines(found).values())
    assert HOSTILE not in "".join(found.notes)
