"""`tl serve`: runs and exports behind HTTP."""

import ipaddress
import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlcli.commands import served
from tlcli.config.checking import Checked
from tlcli.config.serve_settings import Serve, clean
from tlcli.data.views import worker_count
from tlcli.errors import ConfigError
from tlcli.export import manifest
from tlcli.runs import latest
from tlcli.system import console, files
from tlcli.system.installed import is_importable
from tlcli.system.notes import WARNING
from tlcli.system.opened import read_text

if TYPE_CHECKING:
    from tlcli.serve.service import Service

PACKAGES = ("starlette", "uvicorn", "python_multipart", "prometheus_client", "threadpoolctl")
VARIABLE = "TL_SERVE_TOKEN"
MB = 1 << 20
LEAST, MOST = 16, 4096  # characters of a token


def run(checked: Checked[Serve, None]) -> int:
    """Serve until SIGTERM or SIGINT; 1 where requests were left unanswered."""
    console.start_log(None)
    settings = checked.settings
    require()
    from tlcli.serve import server

    token = token_of(settings)
    places = folders(settings)
    # Before minutes of loading: the port may be taken.
    listener = server.bound(settings.host, settings.port)
    service = service_of(settings, places)
    for model in service.shelf.given():
        console.say(f"{'model':<10} {model.name}, version {model.version}, {model.format}")
    warn(settings.host, token)
    sys.stdout.write(f"{server.url_of(listener)}\n")
    sys.stdout.flush()
    with single_threaded():
        ending = server.Ending(settings.grace, settings.reload)
        left = server.serve(service, listener, token, ending)
    console.say(f"{'stopped':<10} {left or 'no'} pictures were left unanswered")
    return 1 if left else 0


def service_of(settings: Serve, places: Mapping[str, Path]) -> "Service":
    """The models of folders, opened, with what they are asked through."""
    from tlcli.serve.gate import Gate, Limits
    from tlcli.serve.meter import Meter
    from tlcli.serve.service import Service
    from tlcli.serve.shelf import Shelf, Source, Steps

    opened = partial(served.opened, max_pixels=settings.max_pixels)
    models = {}
    for name, folder in places.items():
        stamp = served.stamp(folder)
        with console.Stage(f"opening {name}"):
            source = Source(folder, served.stamp, opened)
            models[name] = (source, opened(name, folder), stamp)
    meter = Meter()
    limits = Limits(settings.max_body * MB, settings.max_pictures, settings.queue,
                    settings.timeout, settings.top)  # fmt: skip
    shelf = Shelf(models, Steps(settings.max_batch, settings.max_delay), meter)
    return Service(shelf, Gate(limits, meter), meter, worker_count(settings.workers))


def single_threaded() -> AbstractContextManager[Any]:
    """Let each picture be resized by one thread: several that share small work wait on each other.

    Decoding takes a fifth of the processor time then, and there are threads enough of pictures.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def is_light(checked: Checked[Serve, None]) -> bool:
    """Whether TensorFlow is not needed before the models are opened."""
    places = checked.settings.places().values()
    return bool(places) and all(map(manifest.is_export, places))


def require() -> None:
    """Refuse to go on without the extra.

    Raises:
        ConfigError: A package is not installed.
    """
    missing = [one for one in PACKAGES if not is_importable(one)]
    if missing:
        raise ConfigError("serve", f"needs {', '.join(missing)}",
                          "Install the extra: pip install 'tlcli[serve]'.")  # fmt: skip


def folders(settings: Serve) -> dict[str, Path]:
    """Folders by name; the newest finished run where none is given.

    Raises:
        ConfigError: One is no run and no export.
    """
    places = settings.places()
    if not places:
        newest = Path(latest.chosen(None, settings.runs, "Train one, or give tl serve RUN."))
        places = {clean(newest): newest}
    for folder in places.values():
        if not served.is_model(folder):
            raise ConfigError("models", f"{folder} is no finished run and no export",
                              "Give a folder of tl train or tl export.")  # fmt: skip
    return places


def token_of(settings: Serve) -> str | None:
    """The token that clients must give, or None.

    Raises:
        ConfigError: It is too short, too long or no plain text.
    """
    place = settings.token_file
    if place is None:
        given = os.environ.get(VARIABLE)
    else:
        given = read_text(files.expanded(place, "token_file"), "recipe").strip()
    if given is None:
        return None
    if not (LEAST <= len(given) <= MOST and given.isascii() and given.isprintable()
            and " " not in given):  # fmt: skip
        where = "token_file" if place else VARIABLE
        raise ConfigError(where, "holds no token", f"Give {LEAST} to {MOST} letters and digits.")
    return given


def warn(host: str, token: str | None) -> None:
    """Say that anybody may ask, where anybody may."""
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    if not near and token is None:
        text = f"{host} is seen by other machines, and no token is asked for: give token_file=FILE"
        console.say(f"{'warning':<10} {text}", WARNING)
