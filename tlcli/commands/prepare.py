"""`tl prepare`: pack pictures into TFRecord shards that a training can start from in seconds.

Each shard appears whole, then its index with its sha256; a run that was killed keeps those that
are there. Nothing of the source is changed.
"""

import contextlib
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tlcli.commands.sharing import crew_of
from tlcli.config.checking import Checked
from tlcli.config.settings import Prepare, cache_folder
from tlcli.contracts.data import Manifest
from tlcli.data import prepared
from tlcli.data.hash_memory import remember_verified
from tlcli.data.prepared import Shard
from tlcli.data.shards import OVERHEAD, content, write_all, write_shared
from tlcli.errors import ConfigError
from tlcli.runs import output
from tlcli.system import console, files
from tlcli.system.crew import Crew
from tlcli.system.shown import typed

log = logging.getLogger(__name__)
SAMPLE = 256


def run(checked: Checked[Prepare, None]) -> int:
    """Write the shards as configured; returns the exit code.

    Raises:
        ConfigError: Data without encoded pictures, or a folder that holds something else.
        TlError: The disk is too small or cannot be written.
    """
    console.start_log(None)
    settings, crew = checked.settings, crew_of(checked, computes=False)
    output.check_apart(settings.output, checked.config["data"])
    with contextlib.ExitStack() as stack:
        with crew.one_by_one():
            folder = stack.enter_context(
                output.folder(settings.output, "output", (prepared.FACTS,), crew.is_chief,
                              crew.folder)
            )  # fmt: skip
        return _prepare(checked, crew, folder)


def _prepare(checked: Checked[Prepare, None], crew: Crew, folder: Path) -> int:
    settings = checked.settings
    cache = cache_folder(settings.cache_dir)
    manifest: Manifest = checked.options["data"].manifest(settings.seed, cache)
    if manifest.images.encoded is None:
        raise ConfigError("data", f"{checked.config['data']['name']} has no encoded pictures",
                          "Give folder, csv or tfrecord; arrays are read as they are.")  # fmt: skip
    facts, shards = planned(manifest, settings)
    todo = begun(folder, manifest, facts, shards, crew)
    if crew.is_alone:
        write_all(manifest, folder, todo, settings, len(shards) - len(todo))
    else:
        write_shared(manifest, folder, todo, settings, crew)
    if not crew.is_chief:
        return 0
    files.remove_torn(folder)
    files.write_text(folder / "labels.txt", "".join(f"{n}\n" for n in manifest.class_names))
    files.write_json(folder / prepared.FACTS, {**facts, "complete": True})
    for shard in shards:
        if (part := prepared.read_part(shard.index(folder))) is not None:
            remember_verified(shard.records(folder), part.sha256, cache)
    counts = [sum(len(s.rows) for s in shards if s.split == split) for split in range(3)]
    console.say(f"prepared   {folder}: {counts[0]} train, {counts[1]} validation, {counts[2]} test")
    console.say(f"next       tl train data=tfrecord data.path={typed(folder)}")
    return 0


def begun(
    folder: Path, manifest: Manifest, facts: Mapping[str, Any], shards: list[Shard], crew: Crew
) -> list[Shard]:  # fmt: skip
    """Make the folder, or find it as it is to be; gives the shards that are not whole yet."""
    with crew.one_by_one():
        check_folder(folder, manifest, facts)
        files.make_folder(folder)
        if crew.is_alone:  # Else others may be writing here.
            files.remove_torn(folder)
        elif not (folder / prepared.FACTS).is_file():
            files.write_json(folder / prepared.FACTS, {**facts, "complete": False})
    done = finished(folder, shards, manifest)
    todo = [shard for shard in shards if shard.name not in done]
    files.check_room(
        folder, sum(len(s.rows) for s in todo) * facts["bytes_an_image"], "prepared pictures",
        "output", "Give another output, or shrink=256.",
    )  # fmt: skip
    if crew.is_alone:
        files.write_json(folder / prepared.FACTS, {**facts, "complete": False})
    return todo


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
    if output.lies_in(folder, manifest.root):
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


def finished(folder: Path, shards: list[Shard], manifest: Manifest) -> set[str]:
    """Names of the shards that are whole by their sha256, and of the pictures as they are."""

    def whole(shard: Shard) -> bool:
        part, path = prepared.read_part(shard.index(folder)), shard.records(folder)
        if part is None or not path.is_file() or path.stat().st_size != part.size:
            return False
        if files.sha256(path) != part.sha256:
            log.warning("%s is damaged; it is written again", path)
            return False
        if part.pictures != manifest.content(shard.rows):
            log.warning("%s was made of other pictures; it is written again", path)
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        found = console.staged(pool.map(whole, shards), "checking shards", len(shards), "shards")
        kept = {s.name for s, good in zip(shards, found, strict=True) if good}
    if kept:
        console.say(f"{len(kept)} of {len(shards)} shards are there and whole")
    return kept
