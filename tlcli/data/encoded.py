"""Pictures in files or records as an image source: decoded one by one inside tf.data."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tlcli.contracts.data import ImageSource, Region
from tlcli.data.content import AGAIN, Contents, Origin
from tlcli.data.damage import ERROR, WARNING, Damage, Fault
from tlcli.data.decode import DCT, DECODERS, decode, jpeg, plain_error, upright
from tlcli.data.header import BY_JPEG, REMEDY
from tlcli.data.labels import held_tensor
from tlcli.data.stamps import stamp_of
from tlcli.errors import DataError
from tlcli.lazy import Tensor, np, tf
from tlcli.system import complaints
from tlcli.system.opened import open_regular, reason
from tlcli.system.remote import StoreError
from tlcli.system.shown import shown

# Kinds of decoding: JPEGs at 1, 1/2, 1/4 and 1/8 of their size are 0 to 3, others BY_ + _OTHER;
# pictures that must be turned or mirrored _TURNED more.
_WHOLE_JPEG, _OTHER, _TURNED = 0, 3, 16
_ROWS = 1 << 16  # that are planned at a time, to keep memory small
_WARNED = "is damaged: libjpeg decodes it with warnings, and part of it is made up"


def _made(kind: int, data: Tensor, plan: Tensor | None, orientation: Tensor | None) -> Tensor:
    """A picture decoded in some way, upright; where there is a plan, the part of it."""
    if kind == _WHOLE_JPEG and plan is not None:
        image = tf.io.decode_and_crop_jpeg(data, plan[:4], channels=3, dct_method=DCT)
    else:
        stored = kind % _TURNED
        image = DECODERS[stored - _OTHER](data) if stored > _OTHER else jpeg(data, 2**stored)
        image = upright(image, orientation) if kind >= _TURNED else image
    return image if plan is None else tf.slice(image, plan[4:7], plan[7:])


def _plan(box: Tensor, sides: Tensor, crops: Tensor) -> Tensor:
    """What to decode of pictures so that boxes can be cut out of it.

    Colours of a JPEG are stored at half the size and interpolated: two pixels more each way make
    the pixels those that decoding all would give.

    Args:
        box: int32 (..., 4).
        sides: Height and width, int32 (..., 2).
        crops: Whether the decoder can leave out what is not asked for, bool (..., 1).

    Returns:
        int32 (..., 10): the window to decode, where in it the box begins (row, column, 0), and the
        box's size (height, width, 3).
    """
    first = tf.where(crops, tf.maximum(box[..., :2] - 2, 0), 0)
    last = tf.minimum(box[..., :2] + box[..., 2:] + 2, sides)
    none = tf.zeros_like(box[..., :1])
    parts = [first, last - first, box[..., :2] - first, none, box[..., 2:], none + 3]
    return tf.concat(parts, axis=-1)


class EncodedImages(ImageSource):
    """Pictures that are decoded one by one."""

    def __init__(
        self,
        read: Callable[[Tensor], Tensor],
        ids: Sequence[str],
        headers: Any,
        encoded: Callable[[int], bytes] | None = None,
        contents: Contents | None = None,
        damage: Damage | None = None,
    ) -> None:
        """Keep what is needed to decode a sample.

        Args:
            read: Encoded image (string scalar) of a row (int64 scalar), inside tf.data.
            ids: Names of the samples for messages.
            headers: `decoders` (BY_ numbers) and `orientations` (EXIF), uint8 (samples,); `heights`
                and `widths`, upright, integers (samples,).
            encoded: Encoded image of a row, outside of tf.data.
            contents: Hashes of the encoded images.
            damage: Where faults are remembered, so that they can be left out; None raises them.
        """
        self.encoded, self.contents, self._damage = encoded, contents, damage
        self.heeds_warnings = damage is not None and damage.damaged != "use"
        self._read, self._ids, self._headers = read, ids, headers

    def image(self, index: Tensor, short_side: int = 0, region: Region | None = None) -> Tensor:
        """Picture of one sample, uint8 (height, width, 3) RGB, upright; see ImageSource."""
        data, orientations = self._read(index), self._headers.orientations
        kinds, sides = self._kinds(short_side)
        plan = None if region is None else self._planned(index, kinds, sides, region)
        known = np.unique(kinds).tolist()
        turned = (orientations != 1).any()
        orientation = tf.gather(held_tensor(orientations), index) if turned else None
        branches = [lambda k=k: _made(k, data, plan, orientation) for k in known]
        if len(known) == 1:
            image = branches[0]()
        else:
            numbers = held_tensor(np.searchsorted(known, kinds).astype(np.int32))
            image = tf.switch_case(tf.gather(numbers, index), branches)
        return tf.ensure_shape(image, (None, None, 3))

    def _kinds(self, short_side: int) -> tuple[Any, Any]:
        """How each picture is decoded, uint8 (samples,), and its size then, int32 (samples, 2)."""
        headers = self._headers
        sides = np.stack([headers.heights, headers.widths], -1).astype(np.int32)
        jpeg = headers.decoders == BY_JPEG
        kinds = (headers.decoders + _OTHER).astype(np.uint8)
        kinds[jpeg] = 0
        short = sides.min(-1)
        for ratio in (2, 4, 8) if short_side else ():
            half = jpeg & (short >= short_side * ratio)
            kinds += half
            sides[half] = -(-sides[half] // 2)
        return kinds + np.uint8(_TURNED) * (headers.orientations != 1), sides

    def _planned(self, index: Tensor, kinds: Any, sides: Any, region: Region) -> Tensor:
        """See _plan; that of a fixed region comes from a table, which spares many small ops."""
        crops = kinds[:, None] == _WHOLE_JPEG
        if not region.fixed:
            of_row = tf.gather(held_tensor(sides), index)
            return _plan(region.box(of_row), of_row, tf.gather(held_tensor(crops), index))
        table = np.empty((len(sides), 10), np.uint16 if sides.max(initial=0) < 2**16 else np.int32)
        with tf.init_scope(), tf.device("/CPU:0"):
            for start in range(0, len(table), _ROWS):
                some = slice(start, start + _ROWS)
                table[some] = _plan(region.box(sides[some]), sides[some], crops[some])
        return tf.cast(tf.gather(held_tensor(table), index), tf.int32)

    def first_broken(self, rows: Any) -> DataError | None:
        """Decode again to find what stopped a tf.data pipeline; None if all are well.

        TensorFlow's decoding errors do not say which file they mean. Where faults are remembered
        every picture is looked at, so that one pass finds them all.
        """
        if self.contents is not None and self.contents.changed is not None:
            return self.contents.first_changed()
        if self._damage is not None:
            rows = range(len(self._ids))
        with ThreadPoolExecutor(4) as pool:
            problems = list(pool.map(self._problem, map(int, rows)))
            first = next((p for p in problems if p is not None), None)
            changed = next((p for p in problems if p is not None and p.remedy == AGAIN), None)
            if changed is not None or self._damage is None:
                return changed or first
            found = {
                row: (ERROR, p.problem)
                for row, p in zip(rows, problems, strict=True) if p is not None
            }  # fmt: skip
            if self.heeds_warnings:
                whole = [row for row in rows if self._headers.decoders[row] == BY_JPEG
                         and row not in found]  # fmt: skip
                found |= dict.fromkeys(self._warned(whole, pool), (WARNING, _WARNED))
        if not found:
            return None
        faults = {str(self._ids[row]): self._fault(row, *told) for row, told in found.items()}
        return self._damage.fault(faults, len(self._ids))

    def _fault(self, row: int, kind: str, why: str) -> Fault:
        """A fault with what its picture is known by."""
        if self.contents is None:
            return Fault(kind, why, "", 0, 0)
        return Fault(kind, why, self.contents.of([row]).tobytes().hex(), *self.contents.stamp(row))

    def _problem(self, row: int) -> DataError | None:
        """Why a picture does not decode."""
        found, name = self._headers, shown(self._ids[row])
        try:
            image = decode(self._read(tf.constant(row, tf.int64)), int(found.decoders[row]))
        except DataError as error:
            return error
        except tf.errors.OpError as error:
            return DataError(name, plain_error(error), REMEDY)
        except Exception as error:
            return DataError(name, f"cannot be decoded: {reason(error)}", REMEDY)
        sides = upright(image, int(found.orientations[row])).shape[:2]
        if tuple(sides) != (found.heights[row], found.widths[row]):
            return DataError(name, "is another picture than when it was listed", AGAIN)
        return None

    def _warned(self, rows: Sequence[int], pool: ThreadPoolExecutor) -> list[int]:
        """Rows whose pictures libjpeg warns of: parts that are warned of are halved."""
        waiting = [rows[start : start + 32] for start in range(0, len(rows), 32)]
        found = []
        while waiting:
            part = waiting.pop()
            # Another pipeline may still decode ahead; it does not warn each of three times.
            times = 3 if len(part) == 1 else 1
            if not all(self._complained(part, pool) for _ in range(times)):
                continue
            if len(part) == 1:
                found.append(part[0])
            else:
                waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
        return sorted(found)

    def _complained(self, rows: Sequence[int], pool: ThreadPoolExecutor) -> bool:
        with complaints.listening() as heard:
            list(pool.map(self._problem, rows))
            return heard()

    def hashes(self, rows: Any) -> Any:
        """Hash of each row; see ImageSource."""
        return super().hashes(rows) if self.contents is None else self.contents.of(rows)

    def known(self) -> Any:
        """Rows whose hash is known; see ImageSource."""
        return None if self.contents is None else self.contents.known()


def file_images(  # noqa: PLR0913
    below: str, names: Sequence[str], ids: Sequence[str], scan: Any, memory: Path | None = None,
    fresh: bool = True, damage: Damage | None = None,
) -> EncodedImages:  # fmt: skip
    """Image source over whole files.

    Args:
        below: What the paths of all files begin with.
        names: The rest of each path, in the order of the manifest.
        ids: Their ids.
        scan: What their headers say, see EncodedImages; and their sizes and marks.
        memory: File that remembers what they hold.
        fresh: Whether each file was looked at when they were listed.
        damage: See EncodedImages.
    """

    def whole(row: int) -> bytes:
        # In Python: TensorFlow waits for ever for a pipe, and hashes are taken here anyway.
        try:
            with open_regular(below + names[row], "picture") as file:
                now, data = stamp_of(os.fstat(file.fileno())), file.read()
        except DataError as error:
            gone = error.problem == "is missing"
            problem = "is not there any more" if gone else error.problem
            raise contents.other(row, problem) from None
        except StoreError as error:
            raise contents.unreached(row, error) from None
        except OSError as error:
            raise contents.other(row, f"cannot be read ({reason(error)})") from None
        return contents.taken(row, data, now)

    def read(index: Tensor) -> Tensor:
        return read_by(whole, index)

    stamps = np.stack([scan.sizes, scan.marks], -1)
    contents = Contents(
        Origin(
            lambda row: below + names[row], None, stamps, ids, whole, memory, fresh
        )
    )  # fmt: skip
    return EncodedImages(read, ids, scan, whole, contents, damage)


def read_by(whole: Callable[[int], bytes], index: Tensor) -> Tensor:
    """Bytes of a row, string scalar, inside tf.data.

    Args:
        whole: From a row to its bytes.
        index: The row, int64 scalar.
    """
    data = tf.numpy_function(lambda row: whole(int(row)), [index], tf.string, stateful=False)
    return tf.ensure_shape(data, ())
