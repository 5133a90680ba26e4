"""Tables as tensors that share the memory of their arrays."""

from typing import Any

import numpy as np
import tensorflow as tf

from tlcli.system.array_file import ALIGNMENT


def as_tensor(array: Any) -> Any:
    """A tensor of an array's numbers: the same memory on a processor, a copy on an accelerator.

    Args:
        array: Any; only one from `aligned_empty` or `load_npy` is shared, and must not change.
    """
    bits = array.view(np.uint16) if str(array.dtype) == "bfloat16" else array
    shared = (
        bits.ctypes.data % ALIGNMENT == 0 and bits.flags.c_contiguous and bits.flags.writeable
        and bits.size and not tf.config.list_logical_devices("GPU")
    )  # fmt: skip
    if not shared:
        return tf.constant(array)
    made = tf.experimental.dlpack.from_dlpack(bits.__dlpack__())
    return made if bits is array else tf.bitcast(made, tf.bfloat16)
