"""TensorFlow is imported without chatter, and all is as before."""

import gc
import sys

from tlcli.cli.tensorflow import import_tensorflow


def test_nothing_is_left_changed(capfd):
    import_tensorflow()
    assert {"tensorflow", "keras"} <= set(sys.modules)
    assert sys.modules.get("sklearn", "absent") is not None
    assert gc.isenabled()
    sys.stderr.write("still heard\n")
    assert capfd.readouterr().err == "still heard\n"
