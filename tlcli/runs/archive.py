"""Arrays as an .npz whose bytes depend on them alone: NumPy's own holds the time."""

import zipfile
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

from tlcli.lazy import np


def save_npz(file: BinaryIO, arrays: Mapping[str, Any], packed: Collection[str] = ()) -> None:
    """Write arrays by name; the same arrays give the same bytes.

    Args:
        file: Where to.
        arrays: By name.
        packed: Names of those that are compressed.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            small = name in packed
            member.compress_type = zipfile.ZIP_DEFLATED if small else zipfile.ZIP_STORED
            with archive.open(member, "w", force_zip64=True) as out:
                plain = np.ascontiguousarray(array) if array.ndim else array
                np.lib.format.write_array(out, plain, allow_pickle=False)
