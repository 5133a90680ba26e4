"""One data set in every form that is read trains to the same weights, bit for bit."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.marks import LONG, cases
from tests.helpers.packed import rows_of, write_hf, write_parquet, write_tar, write_tfds
from tests.helpers.pictures import encode
from tests.helpers.runs import same_weights
from tests.helpers.stores import KEY, SECRET, Web, bucket, upload
from tests.helpers.teachers import fit
from tests.helpers.words import checked
from tlcli.config import registry
from tlcli.options.data.digits import FILE
from tlcli.system import remote, remote_cache

SPLITS = ("train", "validation", "test")
NAMES = ["five", "seven", "six"]
SMALL = (
    "backbone=tiny", "image_size=16", "epochs=2", "batch_size=32", "report=false",
    "calibrate=false", "strangers=null",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Scans of three digits as PNG files, which hold each pixel as it is; each name once."""
    root = tmp_path_factory.mktemp("forms") / "folder"
    with np.load(FILE) as file:
        images, labels = (file["images"] * (255 / 16)).astype(np.uint8), file["labels"]
    for number, (digit, name) in enumerate(((5, "five"), (7, "seven"), (6, "six"))):
        scans = images[labels == digit][:60]
        for row, scan in enumerate(scans):
            place = root / SPLITS[(row % 6 > 3) + (row % 6 > 4)] / name
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.repeat(scan[..., None], 3, axis=-1)
            (place / f"{number}{row:02d}.png").write_bytes(encode(pixels))
    return root


def of(folder, split):
    """Rows of a split with the ids that they have in the folder."""
    return [(f"{split}/{name}", data, label) for name, data, label in rows_of(folder / split)]


def npy(folder, place):
    for split in SPLITS:
        rows = rows_of(folder / split)
        pixels = [np.asarray(Image.open(folder / split / name)) for name, *_ in rows]
        np.save(place / f"{split}_data.npy", np.stack(pixels))
        np.save(place / f"{split}_labels.npy", [NAMES.index(label) for *_, label in rows])


def tfrecord(folder, place):
    from tlcli.commands import prepare

    words = [f"data.path={folder}", f"output={place}", f"cache_dir={place.parent / 'prepared'}"]
    assert prepare.run(checked("prepare", *words)) == 0


def parquet(folder, place):
    for split in SPLITS:
        write_parquet(place / f"{split}.parquet", of(folder, split), NAMES, row_group_size=17)


def webdataset(folder, place):
    for split in SPLITS:
        rows = of(folder, split)
        for number in range(2):
            half = rows[number * len(rows) // 2 : (number + 1) * len(rows) // 2]
            write_tar(place / f"{split}-{number}.tar", half)


def hf(folder, place):
    write_hf(place, {split: of(folder, split) for split in SPLITS}, NAMES)


def tfds(folder, place):
    write_tfds(place, {split: of(folder, split) for split in SPLITS}, NAMES)


MAKERS = {
    "npy": npy, "tfrecord": tfrecord, "parquet": parquet, "webdataset": webdataset, "hf": hf,
    "tfds": tfds,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(folder):
    """The run on the folder, and what it knows of its data."""
    return fit(folder.parent / "run", *SMALL, "data=folder", f"data.path={folder}")


@pytest.mark.parametrize(
    "option", cases(MAKERS, quick=["parquet"], slow=["tfrecord", "webdataset", "hf", "tfds"])
)
def test_every_form_trains_to_the_same_weights(folder, trained, tmp_path, option):
    place = tmp_path / option
    place.mkdir()
    MAKERS[option](folder, place)
    further = ["data.class_names=[five,seven,six]"] if option == "npy" else []
    run = fit(tmp_path / "run", *SMALL, f"data={option}", f"data.path={place}", *further)
    same_weights(trained, run)
    held, other = ((one / "split.csv").read_text().splitlines() for one in (trained, run))
    assert len(held) == len(other)
    if option in ("tfrecord", "parquet", "webdataset", "tfds"):
        assert sorted(held) == sorted(other)
    # Arrays have no names, and `datasets` keeps the last part of a path alone.
    ids = [line.split(",")[0].rsplit("/", 1)[-1] for line in other[1:]]
    if option == "hf":
        assert sorted(ids) == sorted(line.split(",")[0].rsplit("/", 1)[-1] for line in held[1:])


@pytest.fixture(scope="module")
def stores(folder, tmp_path_factory):
    """The folder, and its shards, in an S3 and on a web server; gives addresses by kind."""
    place = tmp_path_factory.mktemp("served")
    shutil.copytree(folder, place / "photos")
    for name, make in (("pq", parquet), ("tar", webdataset)):
        (place / name).mkdir()
        make(folder, place / name)
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as client, Web(place).running() as w:
        upload(client, place, "set")
        yield {"s3": "s3://bucket/set", "http": w.address}, w


@pytest.mark.parametrize(
    ("store", "option", "name"),
    [("s3", "folder", "photos"),
     pytest.param("http", "parquet", "pq", marks=pytest.mark.slow),
     pytest.param("http", "folder", "photos", marks=LONG),
     pytest.param("s3", "webdataset", "tar", marks=pytest.mark.slow)],
)  # fmt: skip
def test_what_lies_in_a_store_trains_to_the_same_weights(
    folder, trained, stores, tmp_path, monkeypatch, store, option, name
):
    """With a fifth of all answers of the web server being errors."""
    addresses, web = stores
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    monkeypatch.setattr(remote_cache, "_in_use", [])
    remote_cache.use(tmp_path / "cache", "1GB")
    web.fault = lambda number, path: ("cut", 503)[number % 2] if number % 5 == 0 else None
    before = remote.RETRIES.total()
    place = f"{addresses[store]}/{name}"
    words = [f"data={option}", f"data.path={place}", f"cache_dir={tmp_path / 'cache'}"]
    run = fit(tmp_path / "run", *SMALL, *words)
    same_weights(trained, run)
    held, other = (sorted((one / "split.csv").read_text().splitlines()) for one in (trained, run))
    assert held == other
    assert (remote.RETRIES.total() > before) == (store == "http" and option == "folder")
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET.encode() not in content, path
            assert KEY.encode() not in content, path


def test_a_run_on_one_form_is_measured_on_another(folder, trained, tmp_path, capsys):
    from tlcli.commands import evaluate

    parquet(folder, tmp_path / "parquet")
    capsys.readouterr()
    told = []
    for words in ([], ["data=parquet", f"data.path={tmp_path / 'parquet'}"]):
        evaluate.run(checked("eval", f"checkpoint={trained}", "format=json", *words))
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert '"accuracy"' in told[0]


def test_parquet_of_a_folder_is_the_same_data(folder, tmp_path):
    """By content, ids, labels and splits: features and states of one serve the other."""
    parquet(folder, tmp_path / "set")
    one, other = (
        registry.build("data", {**registry.defaults("data", option), "path": str(path)})
        for option, path in (("folder", folder), ("parquet", tmp_path / "set"))
    )
    one, other = (data.manifest(0, tmp_path / "cache") for data in (one, other))
    assert one.ids.tolist() == other.ids.tolist()
    assert one.same_data(other.identity())
    assert tf.reduce_all(one.images.image(tf.constant(3)) == other.images.image(tf.constant(3)))
