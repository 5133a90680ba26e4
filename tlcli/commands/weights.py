"""`tl weights`: published weights in Keras' cache, listed, fetched, checked and put there."""

import sys

from tlcli.config import published, registry
from tlcli.config.checking import Checked
from tlcli.config.published import WeightFile
from tlcli.config.settings import Weights
from tlcli.errors import ConfigError, nearest
from tlcli.models import weight_cache
from tlcli.system import console, files
from tlcli.system.files import expanded
from tlcli.system.shown import shown


def run(checked: Checked[Weights, None]) -> int:
    """Do what the first word says; returns the exit code.

    Raises:
        TlError: An unknown name, or a file that cannot be fetched, read or written.
    """
    console.start_log(None)
    own = checked.settings
    verbs = {"list": listed, "fetch": fetched, "verify": verified, "add": added}
    return verbs[own.verb](own)


def listed(own: Weights) -> int:
    """The files that are there; of a network those that are published."""
    place = weight_cache.folder()
    if not own.given:
        found = weight_cache.present()
        lines = [f"{shown(place)}: {len(found)} of {len(published.weight_files())} files"]
        lines += [row(one) for one in found]
        lines += ["tl weights list NAME shows the files of a network; tl list backbone networks."]
    else:
        lines = [row(one) for one in files_named(own.given, own)]
    return said(lines)


def fetched(own: Weights) -> int:
    """Fetch a file, unless it is there and whole."""
    one = the_file(own)
    path = weight_cache.folder() / one.file
    if path.is_file() and not own.overwrite:
        wrong = weight_cache.problem(one, path)
        if not wrong:
            return said([f"{shown(path)} is there: {weight_cache.described(one)}"])
        console.say(f"{shown(path)} {wrong}; it is fetched anew")
    url = f"{own.mirror.rstrip('/')}/{one.file}" if own.mirror else ""
    with console.fetching() as told:
        weight_cache.fetch(one, told, url)
    return said([f"{shown(path)}", f"sha256 {files.sha256(path)}"])


def verified(own: Weights) -> int:
    """Hash every file of the cache anew."""
    found = [weight_cache.report(one) for one in weight_cache.present()]
    lines = []
    for one in found:
        lines += [f"{'WRONG ' if one.problem else 'ok    '} {one.file.file}",
                  f"       {files.megabytes(one.bytes)}, sha256 {one.sha256}",
                  f"       {one.problem or one.basis}"]  # fmt: skip
    wrong = sum(bool(one.problem) for one in found)
    lines.append(f"{len(found)} files in {shown(weight_cache.folder())}, {wrong} wrong")
    said(lines)
    return 1 if wrong else 0


def added(own: Weights) -> int:
    """Put a file where Keras looks for it."""
    one, path = weight_cache.add(expanded(own.given, "weights"), own.overwrite)
    width = f" backbone.alpha={one.alpha:g}" if one.alpha else ""
    return said([f"{shown(path)}: weights of backbone={one.name}{width}"])


def the_file(own: Weights) -> WeightFile:
    """The file that is meant.

    Raises:
        ConfigError: No published network or file is called so, or it has no such width.
    """
    if own.given in published.weight_files():
        return published.weight_files()[own.given]
    alpha = width_of(own)
    return published.files_of(own.given, alpha, own.top, own.pixels)[0]


def files_named(name: str, own: Weights) -> list[WeightFile]:
    """All files of a network, of one width where it was given."""
    width_of(own)
    every = (one for one in published.weight_files().values() if one.name == name)
    return [one for one in every if own.alpha in (None, one.alpha)]


def width_of(own: Weights) -> float | None:
    """The width that is meant, the option's own where none was given."""
    widths = [n.alpha for n in published.networks() if n.name == own.given]
    if not widths:
        known = {n.name for n in published.networks()}
        problem = f"no published network is called {own.given!r}"
        raise ConfigError("weights", problem, nearest(own.given, known))
    usual: float | None = registry.defaults("backbone", own.given)["alpha"]
    alpha = usual if own.alpha is None else own.alpha
    if alpha not in widths:
        given = ", ".join(str(one) for one in widths)
        raise ConfigError("alpha", f"got {own.alpha}", f"{own.given} comes in {given}.")
    return alpha


def row(one: WeightFile) -> str:
    """A file in two lines: name, then size, hash and whether it is there."""
    path = weight_cache.folder() / one.file
    there = f"{files.megabytes(path.stat().st_size)}, here" if path.is_file() else ""
    about = "" if one.bytes else "about "
    size = there or f"{about}{files.megabytes(one.about_bytes)}"
    digest = f"{one.algorithm} {one.hash}" if one.hash else "no hash published"
    return f"{one.file}\n    {size}, {digest}"


def said(lines: list[str]) -> int:
    """Print lines."""
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
