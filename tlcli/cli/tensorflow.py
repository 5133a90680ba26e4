"""Import TensorFlow quietly and quickly."""

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices without its start-up chatter on stderr.

    Its C++ side writes there before any log level counts; failures still raise. Keras finds no
    scikit-learn: importing it for wrappers that nobody here uses takes a second. The search for
    garbage, over and over among objects that all stay, takes a quarter of the import.
    """
    # Not above: help needs neither.
    from tlcli.system import console

    first = "keras" not in sys.modules and gc.isenabled()
    hidden = "sklearn" not in sys.modules
    with _without_chatter():
        if first:
            gc.disable()
        try:
            with console.Stage("starting TensorFlow"):
                tensorflow = importlib.import_module("tensorflow")
                tensorflow.config.list_physical_devices("GPU")
                # Its warnings (of retracing above all) are for those who write graphs.
                tensorflow.get_logger().setLevel("ERROR")
                if hidden:
                    sys.modules["sklearn"] = None  # type: ignore[assignment]
                importlib.import_module("keras")
        finally:
            if first:
                gc.freeze()
                gc.enable()
            if hidden:
                sys.modules.pop("sklearn", None)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Send what is written to the descriptor of standard error nowhere; what we say is heard."""
    from tlcli.system import console

    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    heard = os.fdopen(kept, "w", encoding=sys.stderr.encoding, errors="backslashreplace")
    os.dup2(sink, 2)
    os.close(sink)
    console.start_log(None, stream=heard)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        console.start_log(None)
        heard.close()
