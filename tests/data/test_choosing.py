import numpy as np
import pytest

from tests.helpers.data import PLAIN
from tests.helpers.pictures import make_classes
from tlcli.config import registry
from tlcli.contracts.data import TEST, TRAIN
from tlcli.data.resize import Resize
from tlcli.data.views import Views
from tlcli.errors import ConfigError, DataError
from tlcli.options.data.folder import Data


@pytest.fixture
def data(tmp_path):
    root = make_classes(tmp_path / "data", {"cat": 8, "dog": 8})

    def made(**changes):
        given = {**PLAIN, **changes}
        found = Data(
            path=str(root),
            validation_fraction=0.25,
            test_fraction=0.25,
            on_error="skip",
            damaged="skip",
            max_pixels=10**6,
            **given,
        )
        return found.manifest(0, tmp_path / "cache")

    return made


def table(folder, *rows, columns="id,kind,suggestion", name="audit.csv"):
    path = folder / name
    path.write_text("\n".join([columns, *rows]) + "\n")
    return str(path)


def test_rows_that_are_left_out_are_gone_and_the_splits_stay(data, tmp_path):
    whole = data()
    gone = [*whole.ids[whole.splits == TRAIN][:2], *whole.ids[whole.splits == TEST][:1]]
    left = data(exclude=table(tmp_path, *gone, columns="id"))
    kept = ~np.isin(whole.ids.astype(str), gone)
    assert left.ids.tolist() == whole.ids[kept].tolist()
    np.testing.assert_array_equal(left.splits, whole.splits[kept])
    np.testing.assert_array_equal(left.labels, whole.labels[kept])
    assert left.report["notes"][-1].endswith("audit.csv: 2 of train, 1 of test")
    np.testing.assert_array_equal(
        left.images.hashes(np.arange(13)), whole.images.hashes(np.flatnonzero(kept))
    )
    assert left.images.encoded(12) == whole.images.encoded(int(np.flatnonzero(kept)[12]))
    resize = Resize(8, "crop", 1.0, True)
    one, other = (
        next(Views(m, resize, None, 0, 2).batches(rows, np.zeros(3), 3)).numpy()
        for m, rows in ((left, [0, 5, 12]), (whole, np.flatnonzero(kept)[[0, 5, 12]]))
    )
    np.testing.assert_array_equal(one, other)


def test_labels_are_corrected(data, tmp_path):
    whole = data()
    rows = [f"{whole.ids[0]},label_error,dog", f"{whole.ids[9]},outlier,look"]
    found = data(relabel=table(tmp_path, *rows))
    assert found.labels[0] == 1
    np.testing.assert_array_equal(found.labels[1:], whole.labels[1:])
    np.testing.assert_array_equal(found.splits, whole.splits)


def test_what_was_corrected_is_not_left_out(data, tmp_path):
    ids = data().ids
    rows = [f"{ids[0]},label_error,dog", f"{ids[1]},exact_duplicate,exclude",
            f"{ids[9]},conflicting_label,dog"]  # fmt: skip
    path = table(tmp_path, *rows)
    assert data(relabel=path, exclude=path).ids.tolist() == [*ids[:1], *ids[2:]]
    assert data(exclude=path).ids.tolist() == ids[2:].tolist()


def test_the_fingerprint_tells_what_a_table_says(data, tmp_path):
    whole = data()
    one = table(tmp_path, whole.ids[0], whole.ids[1], columns="id", name="one.csv")
    same = table(tmp_path, whole.ids[1], whole.ids[0], columns="id", name="same.csv")
    other = table(tmp_path, whole.ids[0], columns="id", name="other.csv")
    first, again, less = (data(exclude=path) for path in (one, same, other))
    assert first.identity() == again.identity()
    assert len({whole.identity(), first.identity(), less.identity()}) == 3
    assert not first.same_data(whole.identity())
    label = table(tmp_path, f"{whole.ids[0]},dog", columns="id,label", name="label.csv")
    assert data(relabel=label).fingerprint not in (whole.fingerprint, first.fingerprint)


def test_a_group_is_in_one_split(tmp_path):
    root = tmp_path / "data"
    make_classes(root, {"cat": 40, "dog": 40})
    given = {**PLAIN, "groups": r"/\d"}
    found = Data(
        path=str(root),
        validation_fraction=0.25,
        test_fraction=0.25,
        on_error="skip",
        damaged="skip",
        max_pixels=10**6,
        **given,
    )
    manifest = found.manifest(0, tmp_path / "cache")
    for digit in range(10):
        own = [str(name).split("/")[1].startswith(str(digit)) for name in manifest.ids]
        assert len({*manifest.splits[own].tolist()}) <= 1
    assert {*manifest.splits.tolist()} == {0, 1, 2}
    assert manifest.report["notes"][-1] == "10 groups"


@pytest.mark.parametrize(
    ("rows", "columns", "key", "message"),
    [
        (["nobody.png"], "id", "exclude", r"names no picture of .* as nobody\.png"),
        (["cat/0.png,wolf"], "id,label", "relabel", "suggests the class 'wolf'"),
        ([f"cat/{i}.png" for i in range(8)], "id", "exclude", "no training image of the class"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(data, tmp_path, rows, columns, key, message):
    with pytest.raises(DataError, match=message):
        data(**{key: table(tmp_path, *rows, columns=columns)})


def test_rows_of_other_pictures_are_told(data, tmp_path):
    found = data(exclude=table(tmp_path, "cat/0.png", "nobody.png", columns="id"))
    assert found.report["notes"][-1].endswith("; 1 rows are of pictures that are not there")


@pytest.mark.parametrize("name", [p.stem for p in (registry.config_root() / "data").glob("*.yaml")])
def test_every_option_has_these_keys(name):
    assert PLAIN.items() <= registry.defaults("data", name).items()
    values = {**registry.defaults("data", name), "path": "x", "groups": "("}
    values = {k: v for k, v in values.items() if name != "digits" or k != "path"}
    with pytest.raises(ConfigError, match=r"^data\.groups"):
        registry.build("data", values)


def test_arrays_can_be_left_out_too(tmp_path):
    path = table(tmp_path, "digits/0005", "digits/0006", columns="id")
    values = registry.defaults("data", "digits")
    whole = registry.build("data", values).manifest(0, tmp_path)
    left = registry.build("data", {**values, "exclude": path}).manifest(0, tmp_path)
    assert len(left.ids) == len(whole.ids) - 2
    assert left.images.encoded is None
    assert left.identity() != whole.identity()
