"""The contact sheet shows what training sees, to the pixel, and says what it is."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.words import checked
from tlcli.cli import main
from tlcli.commands import preview
from tlcli.contracts.data import TRAIN
from tlcli.data.labels import label_table
from tlcli.training.build import pieces_of
from tlcli.training.order import make_order

STANDARD = ("augmentation=standard", "data.images_per_class=8", "seed=3")
MIXED = ("augmentation.mixup=0.4", "augmentation.cutmix=1.0", "batch_size=10")


def shown(*words):
    """The rows of the sheet and the training that they are of."""
    given = checked("preview", *STANDARD, *words)
    own, job = given.settings, given.job
    return preview.tiles(job, own), pieces_of(job)


def cut(picture, row, column, side):
    """A tile of the sheet, at the size of the view."""
    left, top = preview.place(row, column, side)
    scale = preview.scale_of(side)
    array = np.asarray(picture)[top : top + scale * side, left : left + scale * side]
    np.testing.assert_array_equal(array, array[::scale, ::scale].repeat(scale, 0).repeat(scale, 1))
    return array[::scale, ::scale]


def test_tiles_are_the_views_of_training():
    rows, pieces = shown("images=3", "views=4")
    picture = preview.sheet(rows)
    samples = pieces.manifest.rows(TRAIN)[[0, 19, 39]]
    assert [len(row) for row in rows] == [5, 5, 5]
    for index, sample in enumerate(samples):
        name = pieces.manifest.class_names[pieces.manifest.labels[sample]]
        captions = [tile.caption for tile in rows[index]]
        assert captions == [name, "epoch 1", "epoch 2", "epoch 3", "epoch 4"]
        whole = pieces.plain_views.image(tf.constant(sample), tf.constant(0, tf.int64))
        np.testing.assert_array_equal(cut(picture, index, 0, 32), whole)
        for epoch in range(4):
            view = pieces.train_views.image(tf.constant(sample), tf.constant(epoch, tf.int64))
            np.testing.assert_array_equal(cut(picture, index, epoch + 1, 32), view)
    assert not np.array_equal(rows[0][1].image, rows[0][2].image)


def test_few_views_are_shown_once_each():
    rows, _ = shown("images=2", "views=6", "augmentation.views=3")
    assert [tile.caption for tile in rows[0]][1:] == ["view 1", "view 2", "view 3"]
    plain, _ = shown("images=2", "augmentation=none")
    assert [len(row) for row in plain] == [2, 2]
    np.testing.assert_array_equal(plain[0][0].image, plain[0][1].image)


def test_mixed_batches_are_those_of_training_with_their_shares():
    rows, pieces = shown("images=2", "views=3", *MIXED)
    assert len(rows) == 4
    samples = pieces.manifest.rows(TRAIN)
    order = make_order(pieces, samples, 0)
    table = label_table(pieces.manifest, samples)
    stream = pieces.train_views.stream(samples, table, order, range(2), range(1))
    for row, batch in zip(rows[2:], stream, strict=True):
        for index, tile in enumerate(row):
            image = np.rint(batch["images"][index].numpy()).astype(np.uint8)
            np.testing.assert_array_equal(tile.image, image)
            shares = batch["labels"][index].numpy()
            for name, share in zip(pieces.manifest.class_names, shares, strict=True):
                if 0.01 < share < 0.99:
                    assert f"{name} ({share:.2f})" in tile.caption
    assert any("(" in tile.caption for row in rows[2:] for tile in row)


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ([0, 1, 0], "dog"),
        ([0.25, 0, 0.75], "owl (0.75)\ncat (0.25)"),
        ([1, 0, 1], "cat\nowl"),
        ([1, 1, 1], "cat\ndog, …"),
        ([0.999, 0.001, 0], "cat"),
        ([0, 0, 0], ""),
    ],
)
def test_captions_name_classes_by_their_share(shares, text):
    assert preview.caption(np.array(shares, np.float32), ["cat", "dog", "owl"]) == text


def test_long_names_are_cut_to_the_tile():
    tile = preview.Tile(np.zeros((96, 96, 3), np.uint8), "a name that is far too long " * 3)
    array = np.asarray(preview.sheet([[tile, tile]]))
    left, top = preview.place(0, 1, 96)
    below = array[top + 96 :]
    assert (below[:, preview.GAP : left - preview.GAP] < 128).any()
    assert (below[:, left - preview.GAP : left] == 255).all()


def test_the_command_writes_a_picture_and_nothing_else(tl, pictures, tmp_path):
    words = ("data=folder", f"data.path={pictures}", "image_size=48", "images=2", "views=3",
             "backbone=tiny")  # fmt: skip
    done = tl(
        "preview", *words, "augmentation=standard", "augmentation.mixup=0.5", "output=a b.jpg"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a b.jpg\n"
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a b.jpg"]
    with Image.open(tmp_path / "a b.jpg") as picture:
        assert picture.format == "JPEG"
        assert picture.size == preview.place(4, 4, 48)


def test_what_cannot_be_trained_on_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.run(["preview", "data=folder", "data.path=nowhere"]) in (1, 2)
    shown = capsys.readouterr().err
    assert shown.startswith("tl preview: ")
    assert "nowhere" in shown
    assert main.run(["preview", "output=none/a.png", "images=1", "views=1"]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
