"""`tl prepare`: pack pictures into TFRecord shards that a training can start from in seconds.

Each shard appears whole, then its index with its sha256; a run that was killed keeps those that
are there. Nothing of the source is changed.
"""

import io
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tlcli import console, files, options
from tlcli.data import Manifest
from tlcli.data import _prepared as prepared
from tlcli.data._decode import decode, upright
from tlcli.data._header import inspect, quiet_pillow
from tlcli.data._prepared import Part, Shard
from tlcli.errors import ConfigError, TlError
from tlcli.pipeline import worker_count
from tlcli.settings import Prepare, cache_folder

log = logging.getLogger(__name__)
SAMPLE = 256
SPARE_BYTES = 256 << 20
# A record's frame, and what tf.train.Example adds to a picture.
OVERHEAD = 128
JPEG_QUALITY = 95


def run(config: Mapping[str, Any]) -> int:
    """Write the shards as configured; returns the exit code.

    Raises:
        ConfigError: Data without encoded pictures, or a folder that holds something else.
        TlError: The disk is too small or cannot be written.
    """
    console.start_log(None)
    own = {k: v for k, v in config.items() if k not in options.GROUPS}
    settings: Prepare = options.build_dataclass(Prepare, own, "")
    folder = Path(settings.output).expanduser()
    source = options.build("data", config["data"])
    manifest = source.manifest(settings.seed, cache_folder(settings.cache_dir))
    if not hasattr(manifest.images, "encoded"):
        raise ConfigError("data", f"{config['data']['name']} has no encoded pictures",
                          "Give folder, csv or tfrecord; arrays are read as they are.")  # fmt: skip
    facts, shards = planned(manifest, settings)
    check_folder(folder, manifest, facts)
    files.make_folder(folder)
    files.remove_torn(folder)
    done = finished(folder, shards)
    todo = [shard for shard in shards if shard.name not in done]
    check_room(folder, sum(len(s.rows) for s in todo) * facts["bytes_an_image"])
    files.write_json(folder / prepared.FACTS, {**facts, "complete": False})
    write_all(manifest, folder, todo, settings, len(done))
    files.write_text(folder / "labels.txt", "".join(f"{n}\n" for n in manifest.class_names))
    files.write_json(folder / prepared.FACTS, {**facts, "complete": True})
    counts = [sum(len(s.rows) for s in shards if s.split == split) for split in range(3)]
    console.say(f"prepared   {folder}: {counts[0]} train, {counts[1]} validation, {counts[2]} test")
    console.say(f"next       tl train data=tfrecord data.path={folder}")
    return 0


def planned(manifest: Manifest, settings: Prepare) -> tuple[dict[str, Any], list[Shard]]:
    """What identifies the preparation, and its shards."""
    rows = np.linspace(0, len(manifest.ids) - 1, min(SAMPLE, len(manifest.ids))).astype(int)
    sizes = [len(content(manifest, int(row), settings.shrink)) for row in np.unique(rows)]
    each = int(np.mean(sizes)) + OVERHEAD
    images = [int((manifest.splits == split).sum()) for split in range(3)]
    counts = [-(-n * each // (settings.shard_size << 20)) for n in images]
    shards = prepared.plan_shards(manifest.splits, counts)
    facts = {
        "format": prepared.FORMAT, "source": manifest.root, "fingerprint": manifest.fingerprint,
        "shrink": settings.shrink, "shard_size": settings.shard_size, "bytes_an_image": each,
        "class_names": list(manifest.class_names), "multi_label": manifest.multi_label,
        "shards": [shard.name for shard in shards],
    }  # fmt: skip
    return facts, shards


def check_folder(folder: Path, manifest: Manifest, facts: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else, or lies in the source.

    Raises:
        ConfigError: It does.
    """
    root = Path(manifest.root).expanduser().resolve()
    if root.is_dir() and folder.resolve().is_relative_to(root):
        raise ConfigError("output", f"{folder} lies in the data", "Give a folder beside it.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError("output", f"{folder} is a file", "Give a folder.")
    found = prepared.read_facts(folder)
    if found is None:
        if any(folder.iterdir()):
            raise ConfigError("output", f"{folder} holds other files", "Give a new folder.")
        return
    now = json.loads(json.dumps(dict(facts)))
    differ = [key for key in now if key != "source" and found.get(key) != now[key]]
    if differ:
        raise ConfigError(
            "output", f"{folder} was made from other data or options ({', '.join(differ)})",
            "Give another folder.",
        )  # fmt: skip


def finished(folder: Path, shards: list[Shard]) -> set[str]:
    """Names of the shards that are there and whole, by their sha256."""

    def whole(shard: Shard) -> bool:
        part, path = prepared.read_part(shard.index(folder)), shard.records(folder)
        if part is None or not path.is_file() or path.stat().st_size != part.size:
            return False
        if files.sha256(path) != part.sha256:
            log.warning("%s is damaged; it is written again", path)
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        kept = {s.name for s, good in zip(shards, pool.map(whole, shards), strict=True) if good}
    if kept:
        console.say(f"{len(kept)} of {len(shards)} shards are there and whole")
    return kept


def check_room(folder: Path, size: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        TlError: It is too small.
    """
    free = files.free_bytes(folder)
    if size + SPARE_BYTES > free:
        raise TlError(
            f"output: about {size >> 20} MB are to be written to {folder}, which has "
            f"{free >> 20} MB free. Give another folder, or shrink=256."
        )


def write_all(
    manifest: Manifest, folder: Path, todo: list[Shard], settings: Prepare, done: int
) -> None:
    """Write shards in threads, telling of each."""
    total, started = sum(len(shard.rows) for shard in todo), time.monotonic()
    if not todo:
        return
    pool = ThreadPoolExecutor(worker_count(settings.workers))
    bar, images = console.Bar(total), 0

    def one(shard: Shard) -> Shard:
        write_shard(manifest, folder, shard, settings.shrink)
        return shard

    try:
        with quiet_pillow():
            for number, shard in enumerate(pool.map(one, todo), done + 1):
                images += len(shard.rows)
                bar.move(images)
                speed = images / max(time.monotonic() - started, 1e-9)
                console.say(f"shard {number} of {done + len(todo)}  {shard.name}: "
                            f"{len(shard.rows)} images, {speed:.0f} img/s")  # fmt: skip
    finally:
        bar.close()
        pool.shutdown(cancel_futures=True)


def write_shard(manifest: Manifest, folder: Path, shard: Shard, shrink: int | None) -> None:
    """Write one file of records, then its index."""
    path = shard.records(folder)
    try:
        with _appearing(path) as temporary:
            columns = write_records(manifest, temporary, shard, shrink)
            size, sha256 = temporary.stat().st_size, files.sha256(temporary)
    except (OSError, tf.errors.OpError) as error:
        raise TlError(f"{path}: cannot be written ({error}). Run the command again.") from error
    part = Part(columns, list(manifest.ids[shard.rows]), manifest.labels[shard.rows], size, sha256)
    files.write(shard.index(folder), lambda file: save_part(file, part))


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A temporary file that is flushed to the disk and renamed, or removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}{files.MARK}")
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
    words = json.dumps({"size": part.size, "sha256": part.sha256}).encode()
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
    data: bytes = manifest.images.encoded(row)  # type: ignore[attr-defined]
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
