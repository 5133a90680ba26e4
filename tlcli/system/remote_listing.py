"""What lies below an address of a store: folders are asked for side by side."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from tlcli.errors import DataError
from tlcli.system.remote import AT_A_TIME, GONE, Object, described, file_system, patiently


def listed(address: str) -> list[Object] | None:
    """Objects below an address, or the one that it is of, by name; None where there is nothing.

    Raises:
        DataError: It may not be read.
        StoreError: The store does not answer.
    """
    scheme = address.split("://", 1)[0]
    fs = file_system(scheme)
    base = address.rstrip("/")
    if scheme in ("http", "https") and not _is_file(base):
        found = _web_folder(fs, f"{base}/")
        return found or None
    try:
        info = patiently(base, lambda: fs.info(fs._strip_protocol(base)))
    except DataError as error:
        if error.problem == GONE:
            return None
        raise
    if info["type"] == "file":
        return [described(base, info)]
    return _folder(fs, base, scheme) or None


def _is_file(address: str) -> bool:
    """Whether the last part of a web address has an ending, as files have."""
    return "." in urlsplit(address).path.rsplit("/", 1)[-1]


def _folder(fs: Any, base: str, scheme: str) -> list[Object]:
    """All objects of a folder, its own folders listed side by side."""
    found, waiting = list[Object](), [str(fs._strip_protocol(base))]
    root = waiting[0]

    def inner(path: str) -> Iterable[dict[str, Any]]:
        def ask() -> list[dict[str, Any]]:
            if path == root:
                return list(fs.ls(path, detail=True))
            return list(fs.find(path, detail=True).values())

        return patiently(f"{scheme}://{path}", ask)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        top = list(inner(root))
        below = [one["name"] for one in top if one["type"] == "directory"]
        for entries in (top, *pool.map(inner, below)):
            # Some tools leave an empty object where a person sees a folder.
            found += [
                described(base + one["name"][len(root) :], one)
                for one in entries
                if one["type"] == "file" and one["name"].rstrip("/") == one["name"] != root
            ]
    return sorted(found, key=lambda one: one.address)


def _web_folder(fs: Any, base: str) -> list[Object]:
    """Files that the pages of a web server's folder link to, and those of its folders."""
    names, waiting = list[str](), [base]
    while waiting:
        place = waiting.pop()

        def ask(place: str = place) -> list[str]:
            return list(fs.ls(place, detail=False))

        links = [one for one in patiently(place, ask) if one.startswith(place) and one != place]
        waiting += [one for one in links if one.endswith("/")]
        names += [one for one in links if not one.endswith("/") and "?" not in one]
    with ThreadPoolExecutor(2 * AT_A_TIME) as pool:
        infos = pool.map(lambda name: patiently(name, lambda: fs.info(name)), names)
        found = [described(name, info) for name, info in zip(names, infos, strict=True)]
    return sorted(found, key=lambda one: one.address)
