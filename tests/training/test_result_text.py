from pathlib import Path
from types import SimpleNamespace

from tlcli.training.result_text import closing_notes

METADATA = {"peers": None, "fidelity": None}


def test_what_to_type_next_is_quoted_and_the_calibration_told():
    facts = {**METADATA, "temperature": 1.5, "validation_ece_before": 0.2,
             "validation_ece_after": 0.1}  # fmt: skip
    result = SimpleNamespace(figures={}, metadata=facts, test=None)
    notes = closing_notes(result, ("a", "b"), Path("my run"))
    assert [note.plain for note in notes] == [
        "calibrated temperature 1.500: validation ECE 0.2000 -> 0.1000",
        "run        my run",
        "next       tl eval checkpoint='my run'",
        "           tl predict photo.jpg checkpoint='my run'",
    ]
