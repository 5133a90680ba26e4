"""Inputs that are changed without a trace in size or time, and shards of pictures."""

import os
import time


def flip(path, at=None):
    """Change a byte; size and time of the file stay."""
    before = os.stat(path)
    at = before.st_size // 2 if at is None else at
    while True:
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        if os.stat(path).st_ctime_ns != before.st_ctime_ns:
            return
        time.sleep(0.01)
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(bytes([byte]))


def shard_of(folder, pictures):
    """One shard of encoded pictures of two classes in turn."""
    # Here and not above: tests without TensorFlow shall not wait for it.
    import tensorflow as tf

    folder.mkdir()
    path = folder / "train.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, picture in enumerate(pictures):
            data = tf.train.BytesList(value=[picture.read_bytes()])
            values = {
                "image/encoded": tf.train.Feature(bytes_list=data),
                "image/class/label": tf.train.Feature(
                    int64_list=tf.train.Int64List(value=[number % 2])
                ),
            }
            example = tf.train.Example(features=tf.train.Features(feature=values))
            writer.write(example.SerializeToString(deterministic=True))
    return path
