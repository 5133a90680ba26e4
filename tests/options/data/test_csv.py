import json
import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.data import PLAIN
from tests.helpers.pictures import encode, make_classes, smooth
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.csv import Data


def table(path, tmp_path, **changes):
    fields = {
        "path": str(path),
        "image_root": None,
        "label_separator": "|",
        "multi_label": None,
        "validation_fraction": 0.0,
        "test_fraction": 0.0,
        "on_error": "fail",
        "damaged": "skip",
        "max_pixels": 1_000_000,
    }
    return Data(**(PLAIN | fields | changes)).manifest(0, tmp_path / "cache")


@pytest.fixture
def root(tmp_path):
    """Eight pictures, p0 to p7."""
    path = tmp_path / "set"
    path.mkdir()
    for row in range(8):
        (path / f"p{row}").write_bytes(encode(smooth(row)))
    return path


def write(root, text):
    (root / "t.csv").write_text(text, encoding="utf-8")
    return root / "t.csv"


def test_rows_are_sorted_and_belong_to_their_pictures(root, tmp_path):
    path = write(root, "label,path,more\ndog,p2,x\n cat ,p0,y\ndog,./p1,\n")
    manifest = table(path, tmp_path)
    assert manifest.ids.tolist() == ["p0", "p1", "p2"]
    assert manifest.class_names == ("cat", "dog")
    assert manifest.labels.tolist() == [0, 1, 1]
    for row, image in enumerate(tf.data.Dataset.range(3).map(manifest.images.image)):
        np.testing.assert_array_equal(image, smooth(row))


def test_json_lines_say_the_same(root, tmp_path):
    rows = [("p0", "cat", "train"), ("p1", "dog", "train"), ("p2", "dog", "val")]
    text = "".join(f"{path},{label},{split}\n" for path, label, split in rows)
    from_csv = table(write(root, f"path,label,split\n{text}"), tmp_path)
    lines = [json.dumps(dict(zip(("path", "label", "split"), row, strict=True))) for row in rows]
    (root / "t.jsonl").write_text("\n".join(lines) + "\n\n")
    from_json = table(root / "t.jsonl", tmp_path)
    assert from_json.fingerprint == from_csv.fingerprint
    assert from_csv.splits.tolist() == [0, 0, 1]


def test_a_column_of_splits_is_kept_and_what_is_missing_carved(root, tmp_path):
    rows = "".join(f"p{n},{'ab'[n % 2]},{'test' if n > 5 else ''}\n" for n in range(8))
    path = write(root, f"path,label,split\n{rows}")
    manifest = table(path, tmp_path, validation_fraction=0.3, test_fraction=0.3)
    assert [len(manifest.rows(split)) for split in range(3)] == [4, 2, 2]
    assert manifest.ids[manifest.rows(2)].tolist() == ["p6", "p7"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_several_labels_become_multi_hot(root, tmp_path, form):
    path = write(root, "path,label\np0,b|a\np1,c\np2,\n")
    if form == "jsonl":
        path = root / "t.jsonl"
        path.write_text(
            '{"path": "p0", "label": ["b", "a"]}\n{"path": "p1", "label": "c"}\n{"path": "p2"}\n'
        )
    manifest = table(path, tmp_path)
    assert manifest.multi_label
    assert manifest.class_names == ("a", "b", "c")
    assert manifest.labels.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_multi_label_can_be_said(root, tmp_path):
    path = write(root, "path,label\np0,a|b\np1,c\n")
    assert table(path, tmp_path, multi_label=False).class_names == ("a|b", "c")
    path = write(root, "path,label\np0,a\np1,b\n")
    assert table(path, tmp_path, multi_label=True).labels.tolist() == [[1, 0], [0, 1]]
    assert table(path, tmp_path).labels.tolist() == [0, 1]


def test_an_empty_label_means_unlabelled_and_training(root, tmp_path):
    rows = "".join(f"p{n},{'ab'[n % 2] if n < 6 else ''}\n" for n in range(8))
    path = write(root, f"path,label\n{rows}")
    manifest = table(path, tmp_path, validation_fraction=0.3, test_fraction=0.3)
    assert manifest.labels[6:].tolist() == [-1, -1]
    assert manifest.splits[6:].tolist() == [0, 0]
    assert [len(manifest.rows(split)) for split in range(3)] == [4, 2, 2]


def test_pictures_may_lie_elsewhere(root, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"path,label\np0,a\n{root}/p1,b\n")
    manifest = table(path, tmp_path, image_root=str(root))
    assert manifest.ids.tolist() == [f"{root}/p1", "p0"]


def test_missing_files_follow_on_error(root, tmp_path):
    path = write(root, "path,label\np0,a\np1,b\nnone.jpg,a\n")
    with pytest.raises(DataError, match=r"^none\.jpg: there is no such file\. .*on_error=skip"):
        table(path, tmp_path)
    manifest = table(path, tmp_path, on_error="skip")
    assert manifest.report["skipped"] == [("none.jpg", "there is no such file")]
    assert manifest.ids.tolist() == ["p0", "p1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none"),
        ("file,class\np0,a\n", r"has the columns file, class\. Give a first line with path, label"),
        ("path,label\n", "has no rows"),
        ("path,label\np0,\n", "has no labels"),
        ("path,label\n,a\n", "line 2: has no path"),
        ("path,label\n../p0,a\n", r"line 2: \.\./p0 leads out of the image folder\. Set data\.im"),
        ("path,label\nx/../../p0,a\n", "leads out of the image folder"),
        ("path,label\np0,a\np1,b\np0,b\n", "line 4: p0 stands in line 2 as well"),
        ("path,label,split\np0,a,dev\n", "has the split 'dev'. Give train, validation, test"),
        ("path,label\np0,a\np1,a\n", "has only the class 'a'"),
        (
            "path,label,split\np0,a,train\np1,b,train\np2,c,test\n",
            "train has 'a', 'b', but test has 'c'",
        ),
    ],
)
def test_mistakes_name_the_line(root, tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        table(write(root, text), tmp_path)


def test_json_mistakes_name_the_line(root, tmp_path):
    path = root / "t.jsonl"
    path.write_text('{"path": "p0", "label": "a"}\n{"path"\n')
    with pytest.raises(DataError, match="line 2: is no JSON"):
        table(path, tmp_path)
    path.write_text("[1]\n")
    with pytest.raises(DataError, match="line 1: is no JSON object"):
        table(path, tmp_path)
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match="is not UTF-8"):
        table(path, tmp_path)


def test_a_missing_table_or_folder_is_named(root, tmp_path):
    with pytest.raises(ConfigError, match=r"^data\.path: .*none\.csv: there is no such file"):
        table(root / "none.csv", tmp_path)
    path = write(root, "path,label\np0,a\np1,b\n")
    with pytest.raises(ConfigError, match=r"^data\.image_root: .*there is no such folder"):
        table(path, tmp_path, image_root=str(root / "none"))


def test_two_unicode_forms_of_a_label_are_one_class(root, tmp_path):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert one != other
    names = [path.name for path in sorted(root.glob("*"))][:4]
    labels = [one, other, "b", "b"]
    rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    manifest = table(write(root, "\n".join(["path,label", *rows])), tmp_path)
    assert manifest.class_names == ("b", one)


def test_groups_are_a_column_or_an_expression(tmp_path):
    rows = [f"{name}/{i}.png,{name},{i // 3}" for name in ("cat", "dog") for i in range(12)]
    make_classes(tmp_path / "set", {"cat": 12, "dog": 12})
    path = write(tmp_path / "set", "\n".join(["path,label,Patient", *rows]) + "\n")
    for groups in ("patient", r"/(\d)"):
        found = table(path, tmp_path, groups=groups, validation_fraction=0.25, test_fraction=0.25)
        own = {}
        for name, split in zip(found.ids, found.splits, strict=True):
            number = int(name.split("/")[1].split(".")[0])
            key = number // 3 if groups == "patient" else str(number)[0]
            own.setdefault(key, set()).add(int(split))
        assert all(len(splits) == 1 for splits in own.values())
        assert {*found.splits.tolist()} == {0, 1, 2}
