"""A record holds the picture as it was, or smaller, with the names that other tools use."""

import io

import tensorflow as tf
from PIL import Image

from tests.helpers.data import PLAIN
from tests.helpers.pictures import make_classes
from tlcli.data.prepared import plan_shards, read_part
from tlcli.data.shards import content, example, write_shard
from tlcli.options.data.folder import Data


def listed(root):
    """The pictures of a folder, all for training."""
    options = {"validation_fraction": 0.0, "test_fraction": 0.0, "max_pixels": 10**6}
    found = Data(path=str(root), on_error="skip", damaged="skip", **options, **PLAIN)
    return found.manifest(0, root.with_name("cache"))


def manifest(tmp_path):
    root = make_classes(tmp_path / "p", {"cat": 3, "dog": 3})
    return root, listed(root)


def test_a_record_is_its_picture(tmp_path):
    root, found = manifest(tmp_path)
    data = content(found, 1, None)
    assert data == (root / found.ids[1]).read_bytes()
    made = tf.train.Example.FromString(example(found, 1, data)).features.feature
    assert made["image/encoded"].bytes_list.value[0] == data
    assert made["image/class/text"].bytes_list.value[0] == b"cat"
    assert made["image/class/label"].int64_list.value[0] == 0


def test_pictures_shrink_to_their_short_side_and_small_ones_stay(tmp_path):
    root, found = manifest(tmp_path)
    assert content(found, 0, 8) == (root / found.ids[0]).read_bytes()
    Image.new("RGB", (64, 32)).save(root / "cat" / "0.png")
    found = listed(root)
    smaller = Image.open(io.BytesIO(content(found, 0, 16)))
    assert (smaller.format, smaller.size) == ("JPEG", (32, 16))


def test_a_shard_and_its_index_are_read_back(tmp_path):
    _, found = manifest(tmp_path)
    (shard,) = plan_shards(found.splits, [1, 0, 0])
    write_shard(found, tmp_path, shard, None)
    part = read_part(shard.index(tmp_path))
    assert list(part.ids) == found.ids.tolist()
    assert part.size == shard.records(tmp_path).stat().st_size
    assert list(part.columns["widths"]) == [8] * 6
