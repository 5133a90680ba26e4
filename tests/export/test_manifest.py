"""manifest.json is read without trusting it."""

import json

import pytest

from tlcli.data.resize import Resize
from tlcli.errors import DataError
from tlcli.export import manifest
from tlcli.export.manifest import Manifest
from tlcli.runs.facts import Facts


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"model")
    facts = Facts(class_names=("a", "b"), multi_label=False, resize=Resize(8, "crop", 1.0, True))
    found = Manifest(facts=facts, format="onnx", quantize="none", model="model.onnx", max_pixels=9,
                     run="run", licence={}, proof={}, sha256={})  # fmt: skip
    (tmp_path / manifest.FILE).write_text(
        json.dumps(manifest.with_hashes(found, tmp_path).as_json())
    )
    return tmp_path


def test_what_is_written_is_read(folder):
    found = manifest.read(folder)
    assert found.facts.class_names == ("a", "b")
    assert list(found.sha256) == ["model.onnx"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "pickle", "is 'pickle', and not one of"),
        ("version", 2, "a whole number from 1 to 1"),
        ("sha256", {"../other": "0" * 64}, r"names \.\./other"),
        ("sha256", {"/etc/passwd": "0" * 64}, "names /etc/passwd"),
        ("sha256", {"gone": "0" * 64}, "is missing"),
        ("sha256", {"model.onnx": "0" * 64}, "is not the file that was exported"),
        ("model", "../../run", r"names \.\./\.\./run"),
    ],
)
def test_what_it_may_not_say_is_refused(folder, key, value, message):
    path = folder / manifest.FILE
    content = json.loads(path.read_text())
    content["export"][key] = value
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        manifest.read(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "{}"])
def test_what_is_no_manifest_is_told(folder, text):
    (folder / manifest.FILE).write_text(text)
    with pytest.raises(DataError, match=r"manifest\.json"):
        manifest.read(folder)
