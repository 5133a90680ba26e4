"""Published weights where Keras keeps them: found, fetched, checked, put there.

Keras looks in `$KERAS_HOME/models`, else in `~/.keras/models`, for files of certain names. What is
read there is checked first: by Keras' own hash where it knows one; else the file must hold as many
numbers as the network has, and keeps the sha256 that was noted when it came.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.config.published import WeightFile, network_of, weight_files
from tlcli.config.settings import cache_folder
from tlcli.errors import ConfigError, DataError, TlError
from tlcli.system import console, download, files, opened

NOTES = "weights.json"
Told = Callable[[int, int], object]


@dataclass(frozen=True)
class Report:
    """What a file in the cache is.

    Attributes:
        file: Its facts.
        path: Where it lies.
        bytes: Its size.
        sha256: Of its content.
        problem: Why it cannot be used, half a sentence; empty where it can.
        basis: What says that it is the published one.
    """

    file: WeightFile
    path: Path
    bytes: int
    sha256: str
    problem: str
    basis: str


def folder() -> Path:
    """Where Keras keeps published weights; it need not be there."""
    home = os.environ.get("KERAS_HOME")
    return Path(os.path.expanduser(home or "~/.keras")) / "models"


def present() -> list[WeightFile]:
    """Published files that lie in the cache, unchecked."""
    found = folder()
    return [one for name, one in sorted(weight_files().items()) if os.path.isfile(found / name)]


def has(name: str, alpha: float | None) -> bool:
    """Whether weights of a network without its classes lie in the cache, whatever their pixels."""
    return any((one.name, one.alpha, one.top) == (name, alpha, False) for one in present())


def ready(wanted: tuple[WeightFile, ...], told: Told = lambda *_: None) -> WeightFile:
    """The first of some files that is in the cache and whole; the first of all is fetched.

    Args:
        wanted: Files that serve, the best one first. Others serve where it cannot be fetched.
        told: Called with bytes so far and in all.

    Raises:
        ConfigError: None is there, and none can be fetched.
    """
    best, place = wanted[0], folder()
    damaged = ""
    if (place / best.file).is_file():
        damaged = problem(best, place / best.file)
        if not damaged:
            return best
    reason = "nothing is fetched, offline=true"
    if not download.is_offline():
        try:
            fetch(best, told)
        except TlError as error:
            reason = str(error)
        else:
            return best
    for one in wanted[1:]:
        if (place / one.file).is_file() and not problem(one, place / one.file):
            why = f"that {damaged}; {reason}" if damaged else reason
            console.say(f"weights    {one.file} serves instead of {best.file}: {why.rstrip('.')}")
            return one
    raise missing(best, damaged, reason)


def missing(one: WeightFile, damaged: str, reason: str) -> ConfigError:
    """The one message for a file that is not there: what, how large, where to, what else works.

    Args:
        one: The file.
        damaged: Why the one that is there cannot be used; empty where none is there.
        reason: Why it cannot be fetched.
    """
    state = f"cannot be used: it {damaged}" if damaged else "is not there"
    others = sorted(
        {f"backbone={f.name}" + (f" backbone.alpha={f.alpha:g}" if f.alpha else "")
         for f in present() if f.top == one.top and f.file != one.file}
    )  # fmt: skip
    at_hand = f", {others[0]} has its weights here" if others else ""
    return ConfigError(
        "backbone.weights",
        f"{folder() / one.file} {state} ({described(one)}; {reason.rstrip('.')})",
        f"Where there is a network run tl weights fetch {one.file}, and here tl weights add FILE; "
        f"without it backbone.weights=none works{at_hand}.",
    )


def described(one: WeightFile) -> str:
    """Size and hash in words."""
    about = "" if one.bytes else "about "
    told = f", {one.algorithm} {one.hash}" if one.hash else ", Keras publishes no hash of it"
    return f"{about}{files.megabytes(one.about_bytes)}{told}"


def fetch(one: WeightFile, told: Told, url: str = "") -> Path:
    """Fetch a file into the cache, whatever is there.

    Args:
        one: Its facts.
        told: Called with bytes so far and in all.
        url: Where it is, if not where it was published.

    Raises:
        TlError: It cannot be fetched, or is another.
    """
    path, said = folder() / one.file, False

    def begun(done: int, total: int) -> None:
        """Say that it is fetched once something comes; where there is no network nothing is."""
        nonlocal said
        if not said:
            console.say(f"weights    fetching {one.file} ({described(one)})")
        said = True
        told(done, total)

    download.fetch(url or one.url, path, lambda part: _require(one, part), begun)
    _note(path, files.sha256(path))
    return path


def add(given: Path, overwrite: bool) -> tuple[WeightFile, Path]:
    """Put a file into the cache under the name that Keras knows, its content told first.

    Args:
        given: A file of whatever name.
        overwrite: Replace another of that name.

    Returns:
        Its facts, and where it is now.

    Raises:
        ConfigError: Another is there.
        DataError: It is no published file.
    """
    opened.open_regular(given, "weights").close()
    one = recognised(given)
    path = folder() / one.file
    digest = files.sha256(given)
    if path.is_file() and files.sha256(path) != digest and not overwrite:
        remedy = "Give overwrite=true to replace it."
        raise ConfigError("overwrite", f"another {path} is there", remedy)
    files.make_folder(path.parent)
    if not (path.is_file() and path.samefile(given)):
        with opened.open_regular(given, "weights") as source:
            files.write(path, lambda file: _copied(source, file), given.stat().st_size)
    _note(path, digest)
    return one, path


def recognised(path: Path) -> WeightFile:
    """What published file this is: by its hash; of files without one by name and content.

    Raises:
        DataError: None.
    """
    for algorithm in ("md5", "sha256"):
        digest = _digest(path, algorithm)
        for one in weight_files().values():
            if one.hash == digest:
                return one
    named = weight_files().get(path.name)
    if named is None:
        raise DataError(
            str(path), "has neither the content nor the name of a published file",
            "Give it the name that tl weights list NAME shows, or use backbone.weights=PATH.",
        )  # fmt: skip
    _require(named, path)
    return named


def report(one: WeightFile) -> Report:
    """Hash a file of the cache again; one that was never noted is noted.

    Raises:
        TlError: It cannot be read.
    """
    path = folder() / one.file
    digest = files.sha256(path)
    wrong, noted = problem(one, path), _notes().get(str(path))
    basis = f"{one.algorithm} of Keras" if one.hash else "sha256 noted when it came"
    if not wrong and not noted:
        _note(path, digest)
        basis = basis if one.hash else "as many numbers as the network; sha256 noted now"
    return Report(one, path, path.stat().st_size, digest, wrong, basis)


def problem(one: WeightFile, path: Path) -> str:
    """Why a file is not the published one, half a sentence; empty if it is, as far as is known."""
    try:
        opened.open_regular(path, "weights").close()
        if one.hash:
            digest = _digest(path, one.algorithm)
            same = digest == one.hash
            return "" if same else f"has the {one.algorithm} {digest}, {one.hash} is right"
        noted = _notes().get(str(path))
        if noted and files.sha256(path) != noted:
            return f"has changed since it came, its sha256 was {noted}"
        count = _numbers(path)
    except TlError as error:
        return f"cannot be read ({error})"
    # Some of MobileNet's published files without the classes are as large as those with them.
    most = network_of(one.name, one.alpha).parameters
    fits = one.parameters <= count <= most
    return "" if fits else f"holds {count:,} numbers, and the network {one.parameters:,}"


def _require(one: WeightFile, path: Path) -> None:
    """Refuse another content.

    Raises:
        DataError: It is not the file.
    """
    wrong = problem(one, path)
    if wrong:
        raise DataError(str(path), f"is not {one.file}: it {wrong}", "Fetch it again.")


def _numbers(path: Path) -> int:
    """How many numbers a weights file holds."""
    from tlcli.models.hdf5 import all_datasets
    from tlcli.models.hdf5 import opened as opened_hdf5

    with opened_hdf5(path, str(path)) as file:
        return sum(math.prod(one.shape) for one in all_datasets(file, path).values())


def _digest(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with opened.open_regular(path, "weights") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _copied(source: Any, target: Any) -> None:
    while chunk := source.read(1 << 20):
        target.write(chunk)


def _notes() -> dict[str, str]:
    """Sha256 of files that came, by their paths."""
    path = cache_folder(None) / NOTES
    if not path.is_file():
        return {}
    with opened.reading(path, "Remove it; tl weights verify writes it anew."):
        found = json.loads(opened.read_text(path, "json"))
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _note(path: Path, digest: str) -> None:
    target = cache_folder(None) / NOTES
    files.make_folder(target.parent)
    files.write_json(target, {**_notes(), str(path): digest})
