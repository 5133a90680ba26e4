"""Records of TFRecord files."""

import tensorflow as tf

from tlcli.data.records import masked_crc


def test_the_checksum_is_tensorflows(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        writer.write(b"12345")
    data = (tmp_path / "x").read_bytes()
    assert masked_crc(data[:8]) == int.from_bytes(data[8:12], "little")
    assert masked_crc(b"12345") == int.from_bytes(data[17:21], "little")
