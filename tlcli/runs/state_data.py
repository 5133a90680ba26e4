"""Whether the data of a state is the data of the training that goes on from it."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from tlcli.contracts.data import TEST, Manifest
from tlcli.data.damage import FaultyPictures
from tlcli.lazy import np
from tlcli.runs import state


def seen_pictures(manifest: Manifest) -> dict[str, str]:
    """What a state keeps of the pictures that were read until now: which, and their content."""
    known = manifest.images.known()
    if known is None:
        return {}
    known = known & (manifest.splits != TEST)
    rows = np.flatnonzero(known)
    packed = base64.b85encode(zlib.compress(np.packbits(known).tobytes())).decode("ascii")
    return {"seen": packed, "content": manifest.content(rows)}


def same_pictures(manifest: Manifest, facts: Mapping[str, Any]) -> bool:
    """Whether the pictures that a state has seen are what they were; others are read as they are.

    A state of an older version tells of none.
    """
    if "seen" not in facts:
        return True
    most = -(-len(manifest.ids) // 8)
    try:
        # A few bytes can expand to gigabytes.
        packed = zlib.decompressobj().decompress(base64.b85decode(facts["seen"]), most)
    # A border: whatever a damaged text raises means that these are others.
    except Exception:
        return False
    rows = np.flatnonzero(np.unpackbits(np.frombuffer(packed, np.uint8))[: len(manifest.ids)])
    return manifest.content(rows) == facts.get("content")


def made_with_faulty(manifest: Manifest, found: state.State | None) -> bool:
    """Whether a state is of this data, but of more or fewer faulty pictures left out.

    Raises:
        FaultyPictures: Of fewer: what was remembered of them is gone, and they are found again.
    """
    if found is None or not found.arrays:
        return False
    if found.facts["fingerprint"] == manifest.fingerprint:
        return False
    if found.facts.get("listed") != (manifest.listed or manifest.fingerprint):
        return False
    fault = manifest.images.first_broken(np.arange(len(manifest.ids)))
    if isinstance(fault, FaultyPictures):
        raise fault
    return True
