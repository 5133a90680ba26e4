"""What loggers are told, and files that they wrote, read by others' readers or by the format."""

import struct
from pathlib import Path

import numpy as np

from tlcli.config import registry
from tlcli.contracts.logger import Begun, Confusion, Figures, Finished, Pictures, Writer


def logger(name, **changes):
    return registry.build("logger", {**registry.defaults("logger", name), **changes})


def begun(run_dir, step=0, kept=None):
    config = {"backbone.name": "tiny", "epochs": 2.0, "seed": 0, "name": None}
    chosen = {"backbone": "tiny", "epochs": 2.0, "calibrate": False}
    return Begun(Path(run_dir), "runs/one", config, chosen, step, kept or {})


def figures(step, **values):
    return Figures(step, 1000.0 + step, values)


def told(writer, run_dir):
    """Tell a writer a whole small training."""
    red = np.full((8, 8, 3), [255, 0, 0], np.uint8)
    writer.pictures(Pictures(0, 1000.0, "views", [[red, 255 - red]]))
    writer.figures([figures(1, loss=2.0), figures(2, loss=1.5)])
    counts = np.array([[3, 1], [0, 4]])
    writer.confusion(Confusion(2, 1002.0, "test", counts, ("cat", "<dog>")))
    (Path(run_dir) / "metrics.json").write_text("{}")
    files = [Path(run_dir) / "metrics.json"]
    writer.finished(Finished(2, 1003.0, {"test/accuracy": 0.875}, files))
    writer.close("finished")


class Deaf(Writer):
    """Raises at what it is told, or waits for ever."""

    def __init__(self, act):
        self.act = act

    def figures(self, points):
        self.act(points)


def events(folder):
    """TensorBoard's own view of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def wandb_records(path):
    """Records of a file of W&B: blocks of 32 KiB, as the logs of LevelDB have them."""
    from wandb.proto import wandb_internal_pb2

    content, place, whole = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    found = []
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, size, kind = struct.unpack_from("<IHB", content, place)
        whole += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            found.append(record)
            whole = b""
    return found
