"""Import TensorFlow quietly and quickly."""

import gc
import importlib
import sys

from tlcli.errors import TlError


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for devices without its start-up chatter on stderr.

    Its C++ side writes there before any log level counts; failures still raise. Keras finds no
    scikit-learn: importing it for wrappers that nobody here uses takes a second. The search for
    garbage, over and over among objects that all stay, takes a quarter of the import.

    Raises:
        TlError: It is not installed.
    """
    # Not above: help needs neither.
    from tlcli.system import console
    from tlcli.system.chatter import silent
    from tlcli.system.installed import is_importable

    if not is_importable("tensorflow"):
        raise TlError("this needs TensorFlow, which is not installed: pip install tlcli")
    first = "keras" not in sys.modules and gc.isenabled()
    hidden = "sklearn" not in sys.modules
    with silent(2):
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
