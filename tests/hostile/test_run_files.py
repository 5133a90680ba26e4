"""Files of a run that damage or a stranger changed: one line with the file, or the run itself."""

import json
import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.helpers.sealing import resealed, sealed_again
from tests.helpers.words import checked
from tlcli.commands import compare_rows, train
from tlcli.config import registry
from tlcli.errors import DataError, TlError
from tlcli.runs import checkpoint, sealed, state

SETS = {"coverage": 0.9, "penalty": 0.01, "free": 5, "thresholds": [0.5] * 5, "own": [False] * 5}
# Wrong on purpose; those of the first kind must be refused whatever their hash says.
TAMPERED = {
    "metadata.json": [
        {"temperature": float("nan")}, {"temperature": -1}, {"class_names": "abc"},
        {"class_names": []}, {"class_names": ["a", ""]}, {"resize": None},
        {"resize": {"size": 20000, "mode": "crop", "crop_fraction": 1.0, "antialias": True}},
        {"resize": {"size": 10**30, "mode": "crop", "crop_fraction": 1.0, "antialias": True}},
        {"thresholds": [float("nan")]}, {"sha256": "x"}, {"sha256": {"config.json": "x"}},
        {"abstain_below": [1]}, {"seed": -1}, {"parameters": 10**400}, {"format": True},
        {"metrics": {"test": {"accuracy": "high"}}}, {"temperature": 10**400}, {"plugins": [[]]},
        {"vector_scale": [1.0]}, {"vector_scale": [0.0], "vector_bias": [0.0]},
        {"vector_scale": [1.0], "vector_bias": [1e300]}, {"vector_bias": "x"},
        {"conformal": {"coverage": 0.9}}, {"conformal": SETS | {"thresholds": [0.5]}},
        {"conformal": SETS | {"thresholds": [-1] * 5}}, {"conformal": SETS | {"own": [1] * 5}},
        {"conformal": SETS | {"coverage": 2}}, {"conformal": SETS | {"free": 10**40}},
    ],
    "config.json": [
        {"seed": None}, {"seed": "x"}, {"backbone": {"name": ["a"]}}, {"data": 5}, {"head": []},
        {"epochs": float("nan")}, {"assistants": {}}, {"backbone": {"name": "../evil"}},
    ],
}  # fmt: skip
CASES = [(name, change) for name, changes in TAMPERED.items() for change in changes]


# How the hashes are made to fit a changed file.
SEALED = {
    "metadata.json": sealed_again, "config.json": resealed, "metrics.json": resealed,
    sealed.SEAL: lambda _: None,
}  # fmt: skip


@pytest.fixture
def run(digits_run, tmp_path):
    return Path(shutil.copytree(digits_run, tmp_path / "run"))


def edited(path, change):
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def refused(action, run):
    """The one line that an action ends with; it names a file of the run."""
    with pytest.raises(DataError) as told:
        action()
    assert "\n" not in str(told.value)
    assert str(told.value).startswith(str(run))
    return str(told.value)


@pytest.mark.parametrize(("name", "change"), CASES, ids=str)
def test_a_wrong_value_is_refused_by_every_reader(run, name, change):
    edited(run / name, change)
    refused(lambda: compare_rows.gather([run], "auto"), run)
    refused(lambda: train.run(checked("train", f"resume={run}")), run)
    for seal in (lambda _: None, SEALED[name]):
        seal(run)
        assert name in refused(lambda: checkpoint.read_run(run), run)


@pytest.mark.parametrize("name", sealed.FILES)
def test_any_other_byte_of_any_file_is_noticed(run, name):
    if not (run / name).exists():  # auto.yaml, which a run of fixed keys lacks
        (run / name).write_text("epochs: 2\n")
        resealed(run)
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run / name).write_bytes(bytes(content))
    told = refused(lambda: checkpoint.read_run(run), run)
    assert name in told
    refused(lambda: compare_rows.gather([run], "auto"), run)
    refused(lambda: train.run(checked("train", f"resume={run}")), run)
    values = {**registry.defaults("backbone", "run"), "run": str(run)}
    refused(lambda: registry.build("backbone", values).resolved(), run)


def test_a_value_that_could_be_right_is_noticed_too(run):
    edited(run / "metadata.json", {"temperature": 1.25})
    assert "metadata.json: is not the file" in refused(lambda: checkpoint.read_run(run), run)
    sealed_again(run)
    assert checkpoint.read_run(run).facts.temperature == 1.25
    (run / sealed.SEAL).unlink()
    assert f"{sealed.SEAL}: is missing" in refused(lambda: checkpoint.read_run(run), run)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "[]", "null", "\0",
                                  "9" * 5000, '{"format": NaN}', '{"format": 1e999}', "\ud800"],
                         ids=lambda t: t[:9])  # fmt: skip
@pytest.mark.parametrize("name", ["metadata.json", "config.json"])
def test_json_of_nonsense_is_one_line(run, name, text):
    (run / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert name in refused(lambda: checkpoint.read_facts(run), run)


def test_a_hash_of_a_file_elsewhere_reads_nothing(run, tmp_path):
    (tmp_path / "secret").write_text("x")
    known = checkpoint.facts_of(run).sha256
    edited(run / "metadata.json", {"sha256": {**known, "../secret": 64 * "0"}})
    sealed_again(run)
    checkpoint.read_facts(run)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(run, value):
    with h5py.File(run / checkpoint.WEIGHTS, "r+") as file:
        found = []
        file.visititems(lambda _, item: found.append(item) if hasattr(item, "shape") else None)
        next(d for d in found if d.dtype.kind == "f" and d.size > 1).write_direct(
            np.full(next(d for d in found if d.dtype.kind == "f" and d.size > 1).shape, value,
                    np.float32)
        )  # fmt: skip
    resealed(run)
    assert "is not finite" in refused(lambda: checkpoint.read_run(run), run)


def test_a_model_that_is_not_finite_is_not_written(run, tmp_path):
    found = checkpoint.read_run(run)
    found.model.variables[-1].assign(np.full(found.model.variables[-1].shape, np.nan))
    (tmp_path / "new").mkdir()
    with pytest.raises(TlError, match="is not finite, so this is no run"):
        checkpoint.write_run(tmp_path / "new", found.model, found.config, {})
    assert list((tmp_path / "new").iterdir()) == []


def mangled(content, random):
    """Content with a fault of any kind: bits, cuts, repeats, other types, huge numbers."""
    kind = random.randrange(5)
    place = random.randrange(max(1, len(content)))
    if kind == 0:
        return content[:place] + bytes([random.randrange(256)]) + content[place + 1 :]
    if kind == 1:
        return content[:place]
    if kind == 2:
        return content[:place] + content[place // 2 :]
    words = [b"null", b"NaN", b"-1", b"1e999", b"9" * 400, b"[]", b"{}", b'"\\u0000"', b"true"]
    tokens = content.split(b",")
    number = random.randrange(len(tokens))
    key, colon, _ = tokens[number].partition(b":")
    tokens[number] = key + colon + random.choice(words) if kind == 3 else random.choice(words)
    return b",".join(tokens)


@pytest.mark.parametrize("name", ["metadata.json", "config.json", "metrics.json", sealed.SEAL])
def test_whatever_stands_in_a_file_ends_in_one_line(run, name):
    """With a hash that fits and one that does not; nothing but our own errors comes out."""
    seeded, whole = random.Random(name), (run / name).read_bytes()  # noqa: S311
    lines = []
    for number in range(400):
        (run / name).write_bytes(mangled(whole, seeded))
        if number % 2:
            SEALED[name](run)
        try:
            checkpoint.read_facts(run)
            checkpoint.read_metrics(run)
            compare_rows.gather([run], "auto")
        except TlError as error:
            lines.append(str(error))
    assert len(lines) > 200
    assert not [line for line in lines if "\n" in line]


def test_whatever_stands_in_a_state_is_skipped_or_read(tmp_path):
    seeded, folder = random.Random(1), tmp_path / "state"  # noqa: S311
    facts = {"phase": 0, "step": 5, "epoch": 1, "rows": [{"loss": 0.5}], "best": 0.5, "sums": [0.0]}
    for step in (5, 10):
        state.save(folder, step, {"a": np.zeros(4, np.float32)}, {**facts, "step": step})
    for name in ("0000000010.json", "0000000010.npz"):
        whole = (folder / name).read_bytes()
        for _ in range(300):
            content = mangled(whole, seeded)
            (folder / name).write_bytes(content)
            found = state.load(folder)
            assert found.facts["step"] == (10 if content == whole else 5), content
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize("change", [
    {"phase": -1}, {"step": "x"}, {"sums": None}, {"rows": {}}, {"best": float("nan")},
    {"plateau": 5}, {"halvings": 10**400}, {"best_epoch": [1.5]}, {"fingerprint": 7},
], ids=str)  # fmt: skip
def test_facts_of_a_state_have_their_types(tmp_path, change):
    folder = tmp_path / "state"
    state.save(folder, 5, {}, {"phase": 0, "step": 5})
    path = folder / "0000000005.json"
    content = json.loads(path.read_text())
    described = state.description(content["sha256"], [], {**content["facts"], **change})
    path.write_text(json.dumps(described))
    found = state.load(folder)
    assert found.arrays == {}
    assert f"{next(iter(change))} " in found.skipped[0]
