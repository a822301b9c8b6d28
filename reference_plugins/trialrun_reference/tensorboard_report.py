"""A report hook: TensorBoard files of everything a job records.

    TRIALRUN_TENSORBOARD_DIR=./tensorboard trialrun run job.json --plugin …
    tensorboard --logdir ./tensorboard

One folder per trial, `<dir>/job-<job id>/<trial id>`, or `<dir>/job-<job id>/training` in training mode. Metrics are
scalars `<category>/<key>`, reported results `result/<name>`, visualizations images `<category>/<group>/<index>`.
"""

from __future__ import annotations

import atexit
import base64
import io
import os
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialrun_hookspecs import hookimpl
from trialrun_reference.scalars import find_step, flatten_numbers, read_wall_time

if TYPE_CHECKING:
    from tensorboardX import RecordWriter

    from trialrun_hookspecs import Event

__all__ = ["FOLDER_VARIABLE", "TensorboardReport", "report"]

FOLDER_VARIABLE = "TRIALRUN_TENSORBOARD_DIR"

_LAST_STATUSES = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
_OPEN_FILES = 64
_FLUSH_EVERY_S = 2.0


@hookimpl
def report(event: Event) -> None:
    """Write one event below the folder in the environment, by default `./tensorboard`."""
    _get_report(os.environ.get(FOLDER_VARIABLE) or "tensorboard").report(event)


@lru_cache
def _get_report(folder: str) -> TensorboardReport:
    made = TensorboardReport(Path(folder))
    atexit.register(made.close)  # an interrupted job sends no last status
    return made


class TensorboardReport:
    """Writes events below `folder`; nothing is written before the first scalar or image.

    At most 64 files are open at a time: a trial that reports again after its file was closed gets a second file beside
    the first, and TensorBoard reads both as one run.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._flushed_at = clock()
        self._writers: OrderedDict[str, RecordWriter] = OrderedDict()
        self._steps: Counter[tuple[str, str]] = Counter()

    @hookimpl
    def report(self, event: Event) -> None:
        if event.kind == "metric":
            self._write_metric(event)
        elif event.kind == "trial_result":
            self._write_result(event)
        elif event.kind == "visualization" and event.file:
            self._write_image(event, event.file)
        elif event.kind == "status" and event.data.get("status") in _LAST_STATUSES:
            self.close()
        if self._clock() - self._flushed_at >= _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()
        self._flushed_at = self._clock()

    def close(self) -> None:
        """Flush and close all files; later events open new ones."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _write_metric(self, event: Event) -> None:
        tag = f"{event.data['category']}/{event.data['key']}"
        self._write_values(
            event,
            self._choose_step(event, tag, event.data.get("metrics") or {}),
            {"tag": tag, "simple_value": event.data["value"]},
        )

    def _write_result(self, event: Event) -> None:
        values = [
            {"tag": f"result/{name}", "simple_value": value} for name, value in flatten_numbers(event.data["metrics"])
        ]
        self._write_values(event, event.data["iteration"], *values)

    def _write_image(self, event: Event, data_uri: str) -> None:
        from PIL import Image

        encoded = base64.b64decode(data_uri.partition(",")[2])
        with Image.open(io.BytesIO(encoded)) as image:
            about = {"width": image.width, "height": image.height, "colorspace": len(image.getbands())}
        tag = f"{event.data['category']}/{event.data['group']}/{event.data['index']}"
        picture = {"tag": tag, "image": {**about, "encoded_image_string": encoded}}
        self._write_values(event, self._choose_step(event, tag, event.data), picture)

    def _write_values(self, event: Event, step: int, *values: Mapping[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record

        record = Record(wall_time=read_wall_time(event), step=step, summary={"value": values})
        self._get_writer(event).write(record.SerializeToString())

    def _get_writer(self, event: Event) -> RecordWriter:
        run = _format_run_name(event)
        if run not in self._writers:
            self._writers[run] = _open_writer(self._folder / run, read_wall_time(event))
        self._writers.move_to_end(run)
        if len(self._writers) > _OPEN_FILES:
            self._writers.popitem(last=False)[1].close()
        return self._writers[run]

    def _choose_step(self, event: Event, tag: str, facts: Mapping[str, Any]) -> int:
        """Return the step that the plugin reported, or the next number of its own count."""
        given = find_step(facts)
        if given is not None:
            return given
        self._steps[_format_run_name(event), tag] += 1
        return self._steps[_format_run_name(event), tag]


def _open_writer(folder: Path, wall_time: float) -> RecordWriter:
    """Open a new file in `folder` and write the record that each must begin with."""
    from tensorboardX import RecordWriter
    from tensorboardX.proto.event_pb2 import Event as Record

    folder.mkdir(parents=True, exist_ok=True)
    # Nanoseconds, because a name in use would be overwritten; TensorBoard reads the files of a folder in this order.
    writer = RecordWriter(str(folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"))
    writer.write(Record(wall_time=wall_time, file_version="brain.Event:2").SerializeToString())
    return writer


def _format_run_name(event: Event) -> str:
    trial = re.sub(r"[^\w.-]", "_", event.trial_id or "training")
    return f"job-{event.job_id}/{trial.lstrip('.') or '_'}"
