"""Write shards."""

import io
import json
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlcli.config.settings import Prepare
from tlcli.contracts.data import Manifest
from tlcli.data import prepared
from tlcli.data.decode import decode, upright
from tlcli.data.header import inspect, quiet_pillow
from tlcli.data.prepared import Part, Shard
from tlcli.data.views import worker_count
from tlcli.errors import TlError
from tlcli.lazy import np, tf
from tlcli.system import console, files
from tlcli.system.crew import PART, Crew, Work

# A record's frame, and what tf.train.Example adds to a picture.
OVERHEAD = 128


JPEG_QUALITY = 95


def write_all(
    manifest: Manifest, folder: Path, todo: list[Shard], settings: Prepare, done: int
) -> None:
    """Write shards in threads, telling of each."""
    total, started = sum(len(shard.rows) for shard in todo), time.monotonic()
    if not todo:
        return
    pool = ThreadPoolExecutor(worker_count(settings.workers))
    images = 0

    def one(shard: Shard) -> Shard:
        write_shard(manifest, folder, shard, settings.shrink)
        return shard

    try:
        with quiet_pillow(), console.Stage("writing shards", total, "images") as stage:
            for number, shard in enumerate(pool.map(one, todo), done + 1):
                images += len(shard.rows)
                stage.move(images)
                speed = images / max(time.monotonic() - started, 1e-9)
                console.say(f"shard {number} of {done + len(todo)}  {shard.name}: "
                            f"{len(shard.rows)} images, {speed:.0f} img/s")  # fmt: skip
    finally:
        pool.shutdown(cancel_futures=True)


def write_shared(
    manifest: Manifest, folder: Path, todo: list[Shard], settings: Prepare, crew: Crew
) -> None:
    """Write the shards that no other worker writes, until all are there."""
    place = crew.place("shards", f"{folder.resolve()}{manifest.fingerprint}{settings.shrink}")
    order = [(todo[number].name, todo[number]) for number in crew.rotated(len(todo))]

    def do(_: str, shard: Shard) -> None:
        write_shard(manifest, folder, shard, settings.shrink)
        files.write_text(place / f"{shard.name}{PART}", stamped(shard.records(folder)))
        console.say(f"shard      {shard.name}: {len(shard.rows)} images")

    def done(name: str) -> bool:
        mark = place / f"{name}{PART}"
        try:
            return mark.read_text() == stamped(folder / f"{name}.tfrecord")
        except OSError:
            return False

    with quiet_pillow():
        Work(place, lambda: order, do, done, tell="shards" if crew.is_chief else "").finish()


def stamped(path: Path) -> str:
    """Size and time of a file, by which one that was changed is known."""
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns}"


def write_shard(manifest: Manifest, folder: Path, shard: Shard, shrink: int | None) -> None:
    """Write one file of records, then its index."""
    path = shard.records(folder)
    try:
        with _appearing(path) as temporary:
            columns = write_records(manifest, temporary, shard, shrink)
            size, sha256 = temporary.stat().st_size, files.sha256(temporary)
    except (OSError, tf.errors.OpError) as error:
        raise TlError(f"{path}: cannot be written ({error}). Run the command again.") from error
    ids, pictures = list(manifest.ids[shard.rows]), manifest.content(shard.rows)
    part = Part(columns, ids, manifest.labels[shard.rows], size, sha256, pictures)
    files.write(shard.index(folder), lambda file: save_part(file, part))


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A temporary file that is flushed to the disk and renamed, or removed."""
    # Workers of other machines may have the same process id.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{files.MARK}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_records(
    manifest: Manifest, path: Path, shard: Shard, shrink: int | None
) -> dict[str, Any]:
    """Write the records; gives the columns of their index."""
    rows, at = [], 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in shard.rows.tolist():
            data = content(manifest, row, shrink)
            header = inspect(data, 2**62, str(manifest.ids[row]))
            record = example(manifest, row, data)
            writer.write(record)
            place = (at + 12 + record.index(data), len(data), header.decoder, header.orientation)
            rows.append((*place, header.width, header.height, header.checksum))
            at += 16 + len(record)
    table = np.array(rows, np.int64).reshape(-1, len(prepared.COLUMNS)).T
    return dict(zip(prepared.COLUMNS, np.ascontiguousarray(table), strict=True))


def save_part(file: Any, part: Part) -> None:
    """Write the index of a shard, .npz."""
    told = {"size": part.size, "sha256": part.sha256, "pictures": part.pictures}
    words = json.dumps(told).encode()
    ids = "\0".join(part.ids).encode()
    np.savez(
        file, words=np.frombuffer(words, np.uint8), ids=np.frombuffer(ids, np.uint8),
        labels=part.labels, **part.columns,
    )  # fmt: skip


def example(manifest: Manifest, row: int, data: bytes) -> bytes:
    """A serialized tf.train.Example with the names that TensorFlow's image tools use."""
    feature = tf.train.Feature
    label = manifest.labels[row]
    numbers = np.flatnonzero(label).tolist() if manifest.multi_label else [int(label)]
    numbers = [number for number in numbers if number >= 0]
    texts = [manifest.class_names[number].encode() for number in numbers]
    values = {
        "image/encoded": feature(bytes_list=tf.train.BytesList(value=[data])),
        "image/filename": feature(bytes_list=tf.train.BytesList(
            value=[str(manifest.ids[row]).encode("utf-8", "surrogateescape")])),
        "image/class/label": feature(int64_list=tf.train.Int64List(value=numbers)),
        "image/class/text": feature(bytes_list=tf.train.BytesList(value=texts)),
    }  # fmt: skip
    made = tf.train.Example(features=tf.train.Features(feature=values))
    return bytes(made.SerializeToString(deterministic=True))


def content(manifest: Manifest, row: int, shrink: int | None) -> bytes:
    """Bytes of a picture: the original ones, or a smaller JPEG where it is to shrink."""
    assert manifest.images.encoded is not None
    data = manifest.images.encoded(row)
    if shrink is None:
        return data
    header = inspect(data, 2**62, str(manifest.ids[row]))
    if min(header.width, header.height) <= shrink:
        return data
    from PIL import Image

    pixels = upright(decode(tf.constant(data), header.decoder), header.orientation).numpy()
    height, width = pixels.shape[:2]
    ratio = shrink / min(height, width)
    sides = (max(shrink, round(width * ratio)), max(shrink, round(height * ratio)))
    file = io.BytesIO()
    smaller = Image.fromarray(pixels).resize(sides, Image.Resampling.BICUBIC, reducing_gap=3.0)
    smaller.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
