"""Event files that TensorBoard shows, and every program that reads them."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlcli.contracts import logger
from tlcli.contracts.logger import Begun, Confusion, Ending, Figures, Finished, Pictures
from tlcli.options.logger._common import Pictured, drawn, png, rows_of
from tlcli.system import files

FOLDER = "tensorboard"


@dataclass(frozen=True)
class Logger(Pictured):
    """Curves, augmented views, confusion matrices and hparams, in RUN/tensorboard."""

    label = "tensorboard"
    modules = ("tensorboard",)
    extra = "tensorboard"

    def open(self, begun: Begun) -> "Writer":
        """A new event file; what earlier ones have of later steps counts no more."""
        return Writer(begun)


class Writer(logger.Writer):
    """Writes events, each whole before the next; a file for each time that the run goes on."""

    def __init__(self, begun: Begun) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2, summary_pb2
        self._begun = begun
        folder = begun.run_dir / FOLDER
        files.make_folder(folder)
        self._file = path_of(folder).open("xb")
        self._records = RecordWriter(self._file)
        self._add(time.time(), 0, file_version="brain.Event:2")
        session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._add(time.time(), begun.step + 1, session_log=session)
        if not begun.step:
            self._hparams()
        self._file.flush()

    def _add(self, when: float, step: int, **content: Any) -> None:
        event = self._event.Event(wall_time=when, step=step, **content)
        self._records.write(event.SerializeToString())

    def _hparams(self) -> None:
        from tensorboard.plugins.hparams import summary_v2

        chosen = {name: value if isinstance(value, (bool, int, float)) else str(value)
                  for name, value in self._begun.chosen.items()}  # fmt: skip
        when, title = time.time(), self._begun.title
        summary = summary_v2.hparams_pb(chosen, trial_id=title, start_time_secs=when)
        self._add(when, 0, summary=self._of(summary))

    def _of(self, summary: Any) -> Any:
        """A summary as this file's own kind of message: with TensorFlow there, it is another."""
        return self._summary.Summary.FromString(summary.SerializeToString())

    def figures(self, points: Sequence[Figures]) -> None:
        """Add a scalar a number."""
        for point in points:
            self._add(point.when, point.step, summary=self._scalars(point.values))
        self._file.flush()

    def _scalars(self, values: Mapping[str, float]) -> Any:
        kind = self._summary.Summary
        return kind(value=[kind.Value(tag=tag, simple_value=value)
                           for tag, value in values.items()])  # fmt: skip

    def pictures(self, found: Pictures) -> None:
        """Add a picture a row."""
        for index, row in enumerate(rows_of(found.rows)):
            self._image(found.when, found.step, f"{found.name}/{index}", row)
        self._file.flush()

    def confusion(self, found: Confusion) -> None:
        """Add the matrix as a picture."""
        self._image(found.when, found.step, f"confusion/{found.split}", drawn(found))
        self._file.flush()

    def _image(self, when: float, step: int, tag: str, pixels: Any) -> None:
        height, width = pixels.shape[:2]
        kind = self._summary.Summary
        image = kind.Image(
            height=height, width=width, colorspace=3, encoded_image_string=png(pixels)
        )
        self._add(when, step, summary=kind(value=[kind.Value(tag=tag, image=image)]))

    def finished(self, found: Finished) -> None:
        """Add the run's figures; hparams get theirs."""
        from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

        self.figures([Figures(found.step, found.when, found.values)])
        ended = plugin_data_pb2.SessionEndInfo(
            status=api_pb2.STATUS_SUCCESS, end_time_secs=found.when
        )
        facts = metadata.create_summary_metadata(
            plugin_data_pb2.HParamsPluginData(session_end_info=ended)
        )
        kind = self._summary.Summary
        value = kind.Value(tag=metadata.SESSION_END_INFO_TAG)
        value.metadata.MergeFromString(facts.SerializeToString())
        value.tensor.MergeFromString(metadata.NULL_TENSOR.SerializeToString())
        self._add(found.when, 0, summary=kind(value=[value]))

    def close(self, ending: Ending) -> None:
        """Let the events be on disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def path_of(folder: Path) -> Path:
    """An event file that is not there yet, after those that are."""
    known = len(list(folder.glob("events.out.tfevents.*")))
    name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    return folder / f"{name}.{known}"
