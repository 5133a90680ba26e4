"""Files of outputs in every format: keyed, in order, and all that is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.teachers import configure, fit, metadata
from tlcli.config import registry
from tlcli.contracts.data import TRAIN
from tlcli.contracts.teacher import Target
from tlcli.distill import reading
from tlcli.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def manifest():
    return registry.build("data", configure()["data"]).manifest(0, None)


@pytest.fixture(scope="module")
def logits(manifest):
    """Of all images, in their order; right on 9 of 10 of them."""
    generator = np.random.default_rng(0)
    said = np.where(generator.random(len(manifest.ids)) < 0.9, manifest.labels, 0)
    return (3 * np.eye(5)[said] + generator.normal(0, 0.3, (len(said), 5))).astype(np.float32)


@pytest.fixture
def built(manifest):
    """A function that builds the teacher from a file."""

    def made(path, data=manifest, **changes):
        values = {**registry.defaults("teacher", "file"), "path": str(path), **changes}
        rows = data.rows(TRAIN)
        target = Target(data, 32, rows, SimpleNamespace(finite=1), frozenset(), None)
        return registry.build("teacher", values).build(target)

    return made


def write(path, /, **columns):
    """A file of the format that its suffix says."""
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".npy":
        np.save(path, next(iter(columns.values())))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        names = columns.pop("class_names", None)
        table = pyarrow.table({k: list(np.asarray(v)) for k, v in columns.items()})
        if names is not None:
            table = table.replace_schema_metadata({"class_names": json.dumps(list(names))})
        parquet.write_table(table, path)
    else:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in range(len(next(iter(columns.values())))):
                features = {k: feature(v[row]) for k, v in columns.items()}
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
    return path


def feature(value):
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(value)))


def test_all_formats_are_covered():
    from tlcli.options.teacher.file import SUFFIXES

    assert set(SUFFIXES) == {".npz", ".npy", ".tfrecord", ".parquet"}


@pytest.mark.parametrize("suffix", [".npz", ".tfrecord", ".parquet"])
@pytest.mark.parametrize("key", ["id", "path"])
def test_keyed_rows_find_their_images_in_any_order(built, manifest, logits, tmp_path, suffix, key):
    order = np.random.default_rng(1).permutation(len(logits))
    names = manifest.ids.astype(str)
    if key == "path":
        names = np.array([f"./{name}" for name in names])
    path = write(tmp_path / f"a{suffix}", **{key: names[order], "logits": logits[order]})
    teacher = built(path)
    rows = manifest.rows(TRAIN)[::-1]
    np.testing.assert_allclose(
        teacher.logits(SimpleNamespace(manifest=manifest), rows), logits[rows], atol=1e-6
    )
    assert teacher.classes == "5 classes by position, for it tells no names"


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".tfrecord", ".parquet"])
def test_probabilities_are_taken_as_such(built, manifest, logits, tmp_path, suffix):
    powers = np.exp(logits.astype(np.float64))
    given = powers / powers.sum(-1, keepdims=True)
    columns = {"probabilities": given.astype(np.float32), "ids": manifest.ids.astype(str)}
    more = {}
    if suffix == ".npy":
        columns.pop("ids")
        more = {"kind": "probabilities", "rows": "all"}
    teacher = built(write(tmp_path / f"a{suffix}", **columns), **more)
    np.testing.assert_allclose(np.exp(teacher.stored.logits), given, rtol=1e-4)
    wrong = write(tmp_path / "b.npz", ids=manifest.ids.astype(str), logits=given)
    with pytest.raises(DataError, match=r"calls probabilities logits.*teacher.kind=probabilities"):
        built(wrong)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".tfrecord", ".parquet"])
def test_rows_without_ids_are_taken_in_order_when_told_so(
    built, manifest, logits, tmp_path, suffix
):
    path = write(tmp_path / f"a{suffix}", logits=logits)
    with pytest.raises(ConfigError, match=r"teacher.ids: .* does not say which image .*rows=train"):
        built(path)
    np.testing.assert_array_equal(built(path, rows="all").stored.logits, logits)
    train = manifest.rows(TRAIN)
    part = write(tmp_path / f"b{suffix}", logits=logits[train])
    np.testing.assert_array_equal(built(part, rows="train").table, logits[train])
    with pytest.raises(DataError, match=rf"has {len(train)} rows, .*rows=all means {len(logits)}"):
        built(part, rows="all")
    shuffled = np.random.default_rng(2).permutation(logits[train])
    wrong = write(tmp_path / f"c{suffix}", logits=shuffled)
    with pytest.raises(DataError, match=r"in any other order .* Store the ids beside the rows"):
        built(wrong, rows="train")
    shifted = write(tmp_path / f"d{suffix}", logits=np.roll(logits[train], 1, axis=0))
    with pytest.raises(DataError, match=r"are not in the order of split.csv"):
        built(shifted, rows="train")


def test_rows_without_ids_need_labels(built, manifest, logits, tmp_path):
    from dataclasses import replace

    path = write(tmp_path / "a.npz", logits=logits)
    bare = replace(manifest, labels=np.full_like(manifest.labels, -1))
    with pytest.raises(ConfigError, match=r"teacher.rows: the order .* Store the ids"):
        built(path, data=bare, rows="all")


def test_columns_are_chosen_by_name(built, manifest, logits, tmp_path):
    names, ids = list("98765x"), manifest.ids.astype(str)
    wide = np.concatenate([logits[:, ::-1], logits[:, :1]], axis=1)
    for suffix in (".npz", ".parquet"):
        path = tmp_path / f"a{suffix}"
        write(path, ids=ids, logits=wide, class_names=np.array(names))
        teacher = built(path)
        np.testing.assert_array_equal(teacher.stored.logits, logits)
        assert teacher.classes == "5 of its 6 classes by name; not used: x"
        option = {**registry.defaults("teacher", "file"), "path": str(path)}
        assert registry.build("teacher", option).known_classes() == tuple(names)
    with pytest.raises(ConfigError, match=r"class_names: got a, b, and .* says 9, 8, 7"):
        built(path, class_names=["a", "b"])
    record = write(tmp_path / "b.tfrecord", id=ids, logits=wide)
    assert reading.class_names(record) is None
    np.testing.assert_array_equal(built(record, class_names=names).stored.logits, logits)
    with pytest.raises(DataError, match=r"has 6 classes, and the data has 5. Store class_names"):
        built(record)
    with pytest.raises(ConfigError, match=r"does not know 9; it knows 4 of 5 classes"):
        built(record, class_names=list("y8765x"))


def test_a_file_of_something_else_is_refused(built, manifest, logits, tmp_path):
    ids = manifest.ids.astype(str)
    good = write(tmp_path / "a.npz", ids=ids, logits=logits, data_fingerprint=manifest.fingerprint)
    assert built(good).table.shape == (len(manifest.rows(TRAIN)), 5)
    other = write(tmp_path / "b.npz", ids=ids, logits=logits, data_fingerprint="0123456789abcdef")
    with pytest.raises(DataError, match=r"fingerprint 0123456789ab….* Compute the outputs for"):
        built(other)
    with pytest.raises(DataError, match=r"has SHA-256 \w{64}, and teacher.sha256 is 000"):
        built(good, sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"teacher.sha256: got 'abc'. Give 64 digits"):
        built(good, sha256="abc")
    names = np.array([f"other/{i}.png" for i in range(len(ids))])
    foreign = write(tmp_path / "c.npz", ids=names, logits=logits)
    message = r"lacks (\d+) of \1 training images: digits/.* are called other/0.png, other/1.png"
    with pytest.raises(DataError, match=message):
        built(foreign)
    with pytest.raises(ConfigError, match=r"teacher.rows: got 'all', and .* ids of its own"):
        built(good, rows="all")
    with pytest.raises(ConfigError, match=r"teacher.rows: got 'all'. Leave it out"):
        built(good, rows="all", ids="ids.txt")
    with pytest.raises(DataError, match="holds ids, logits, probabilities"):
        built(write(tmp_path / "d.npz", ids=ids, logits=logits, probabilities=logits))
    with pytest.raises(ConfigError, match="there is no such file"):
        built(tmp_path / "none.npz")
    with pytest.raises(ConfigError, match=r"Give a .npz, .npy, .tfrecord, .parquet file"):
        built(tmp_path / "outputs.pt")


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".tfrecord", ".parquet"])
def test_a_truncated_file_is_refused(built, manifest, logits, tmp_path, suffix):
    columns = {"logits": logits, "ids": manifest.ids.astype(str)}
    path = write(tmp_path / f"a{suffix}", **columns)
    path.write_bytes(path.read_bytes()[:-40])
    more = {"rows": "all"} if suffix == ".npy" else {}
    with pytest.raises(DataError, match=r"cannot be read \(.*Give a whole "):
        built(path, **more)


def test_records_that_do_not_fit_each_other_are_refused(built, manifest, logits, tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in ({"id": "a", "logits": [1.0, 2.0]}, {"id": "b", "logits": [1.0]}):
            features = tf.train.Features(feature={k: feature(v) for k, v in row.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())
    with pytest.raises(DataError, match="do not all have logits of one length"):
        built(path)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"no example")
    with pytest.raises(DataError, match=r"record 0 is no tf.train.Example"):
        built(path)
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = tmp_path / "a.parquet"
    for values, message in (([[1.0], [1.0, 2.0]], "lists of 1 to 2"), ([[1.0], None], "without a")):
        parquet.write_table(pyarrow.table({"id": ["a", "b"], "logits": values}), table)
        with pytest.raises(DataError, match=message):
            built(table)


def test_a_missing_reader_names_its_extra(monkeypatch, built, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"pip install 'tlcli\[parquet\]'"):
        built(tmp_path / "a.parquet")


def test_paths_of_photos_name_their_outputs_to_the_end(pictures, tmp_path):
    names = sorted(pictures.glob("*/*.png"))
    ours = [[2.0, -1.0] if path.parent.name == "round" else [-1.0, 2.0] for path in names]
    order = np.random.default_rng(0).permutation(len(names))
    path = write(
        tmp_path / "a.parquet", path=np.array(list(map(str, names)))[order],
        logits=np.array(ours, np.float32)[order], class_names=["round", "square"],
    )  # fmt: skip
    run = fit(
        tmp_path / "run", "data=folder", f"data.path={pictures}", "teacher=file", "epochs=2",
        f"teacher.path={path}", "distillation=kd", "distillation.hard_weight=0",
        "finetune=linear_probe", "batch_size=8", f"cache_dir={tmp_path}",
    )  # fmt: skip
    facts = metadata(run)
    assert facts["teacher"]["value"] == 1.0
    assert len(facts["teacher"]["sha256"]) == 64
    assert facts["fidelity"]["teacher_accuracy"] == 1.0
    assert np.isfinite(facts["fidelity"]["kl"])
