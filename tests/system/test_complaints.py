"""What libjpeg says of damaged pictures is heard, and nothing else."""

import numpy as np
import tensorflow as tf

from tests.helpers.pictures import encode, smooth
from tlcli.system.complaints import listening


def damaged():
    """A JPEG whose scan was cut out in the middle."""
    data = encode(smooth(0, 64, 64), "JPEG", quality=95)
    middle = len(data) // 2
    return data[:middle] + b"\0" * 40 + data[middle + 300 :]


def test_damage_is_heard_and_a_whole_picture_is_not():
    with listening() as heard:
        tf.io.decode_jpeg(encode(smooth(), "JPEG"))
        assert not heard()
        with listening() as inner:
            assert np.any(tf.io.decode_jpeg(damaged()))
            assert inner()
        assert heard()
    with listening() as again:
        assert not again()
