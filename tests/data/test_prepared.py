"""How the images of each split are dealt out to shards."""

import numpy as np

from tlcli.contracts.data import TEST, TRAIN
from tlcli.data.prepared import plan_shards, read_facts, read_part


def test_shards_hold_every_image_once_in_order_and_one_split_each():
    splits = np.array([TRAIN, TEST, TRAIN, TRAIN, TEST, TRAIN, TRAIN], np.int8)
    shards = plan_shards(splits, [2, 0, 1])
    assert len(shards) == 3
    assert len({shard.name for shard in shards}) == 3
    for shard in shards:
        assert len(set(splits[shard.rows])) == 1
    np.testing.assert_array_equal(
        np.concatenate([shard.rows for shard in shards]), [0, 2, 3, 5, 6, 1, 4]
    )


def test_what_is_no_prepared_folder_has_no_facts(tmp_path):
    assert read_facts(tmp_path) is None
    (tmp_path / "x.npz").write_bytes(b"damaged")
    assert read_part(tmp_path / "x.npz") is None
