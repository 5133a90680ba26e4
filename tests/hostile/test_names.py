"""Names that command a terminal, a spreadsheet or a reader."""

import csv
import io
import json
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from tlcli.commands import compare_rows, compare_text, listing
from tlcli.commands.predict import WRITERS
from tlcli.config import registry
from tlcli.runs import folder
from tlcli.runs.seen import seen_by
from tlcli.system.shown import CsvWriter, defused, escaped, fused, shown, shown_lines, typed

EVIL = [
    "\x1b[31mred\x1b]0;title\x07.jpg", "\udcff.jpg", "a\nb.jpg", "=cmd|' /C calc'!A0", "+1",
    "@SUM(1)", "\u202egpj.exe", "\x9b2J", "a,b\"c.jpg", "-2+3", "\ttab", "plain é 猫.jpg",
    "\u2028line", "'quoted",
]  # fmt: skip


def names():
    """The list above, and random ones of letters that do something."""
    letters = [*"=+-@'\",;|\t\r\n\\ aé猫", "\x1b", "\x07", "\x00", "\u202e", "\udc80", "\u200b"]
    rng = np.random.default_rng(0)
    return EVIL + ["".join(rng.choice(letters, rng.integers(1, 30))) for _ in range(200)]


def written(kind, found):
    out = io.StringIO()
    writer = WRITERS[kind](out)
    for name in found:
        best = [{"label": name, "probability": 0.5}]
        writer.add({"path": name, "label": name, "probability": 0.5, "top": best})
    writer.add({"path": "x", "error": found[0]})
    writer.close()
    return out.getvalue()


def harmless(text):
    return all(letter.isprintable() or letter in "\n\u200c\u200d" for letter in text)


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_no_format_lets_a_name_reach_the_terminal_as_it_is(kind):
    text = written(kind, names())
    assert harmless(text)
    text.encode("utf-8")


def test_json_gives_back_each_name_exactly():
    for row, name in zip(json.loads(written("json", names())), names(), strict=False):
        assert row["path"] == row["label"] == name
    lines = written("jsonl", names()).splitlines()
    assert [json.loads(line)["path"] for line in lines[:-1]] == names()


def test_csv_is_read_by_python_and_computes_nothing():
    rows = list(csv.reader(io.StringIO(written("csv", names()))))
    assert len(rows) == len(names()) + 2
    assert {len(row) for row in rows} == {4}
    for path, label, probability, _ in rows[1:-1]:
        assert not path.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert path == label
        assert probability == "0.5"
    out = io.StringIO()
    CsvWriter(out).row([-0.5, "-0.5"])
    assert out.getvalue() == "-0.5,'-0.5\n"


def test_what_a_spreadsheet_is_not_to_compute_can_be_given_back():
    for name in names():
        assert not defused(name).startswith(("=", "+", "-", "@", "\t", "\r"))
        assert fused(defused(name)) == name


def test_the_split_of_a_run_computes_nothing_and_is_read_back(tmp_path):
    ids = [name for name in names() if name and name.isprintable()]
    count = len(ids)
    manifest = SimpleNamespace(
        ids=np.array(ids, object), splits=np.zeros(count, np.int8), class_names=("=1+1", "b"),
        labels=np.zeros(count, np.int32), multi_label=False,
    )  # fmt: skip
    folder.write_split(manifest, tmp_path)
    with (tmp_path / "split.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert len(rows) == count
    assert not [c for row in rows for c in row if c.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert set(seen_by(tmp_path).splits) == set(ids)


def test_a_table_of_strangers_runs_is_harmless():
    nothing = {"validation": None, "test": 0.5}
    rows = [compare_rows.Row(name, {"data.path": name, f"x.{name}": [name]}, 1, nothing, nothing,
                             nothing, nothing, 1, 1.0, True) for name in names()]  # fmt: skip
    for kind, writer in compare_text.WRITERS.items():
        text = writer("accuracy", rows)
        text.encode("utf-8")
        assert harmless(text), kind
    assert len(compare_text.as_table("accuracy", rows).splitlines()) == len(rows) + 1


@pytest.mark.parametrize("text", ["# \x1b[31mred\nname: x\n", "# \xe9", "\x00", ""])
def test_options_of_strangers_are_listed_harmlessly(tmp_path, monkeypatch, text):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "\x1b]0;x\x07.yaml").write_bytes(text.encode("latin-1"))
    (tmp_path / "head" / "a.yaml").mkdir()
    monkeypatch.setattr(registry, "own_config_dir", lambda: tmp_path)
    assert all(map(harmless, listing.options("head")))


def test_what_is_shown():
    assert shown("\x1b[31m") == "\\x1b[31m"
    assert shown("\udcff") == "\\xff"
    assert shown("plain é 猫") == "plain é 猫"
    assert len(shown("x" * 10_000)) <= 240
    assert shown_lines("a\n\x1bb") == "a\n\\x1bb"
    assert escaped("a\nb") == "a\\nb"
    assert shlex.split(typed("a b'c; rm x")) == ["a b'c; rm x"]
    assert all(harmless(shown(name)) and "\n" not in shown(name) for name in names())
