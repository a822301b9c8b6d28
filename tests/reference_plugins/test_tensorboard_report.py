"""The report hook, its files read record by record."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event as Record
from tensorboardX.record_writer import masked_crc32c

from trialrun_hookspecs import Event
from trialrun_reference import tensorboard_report
from trialrun_reference.tensorboard_report import FOLDER_VARIABLE, TensorboardReport

TIME = "2024-05-01T12:00:00+00:00"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def records(folder: Path) -> Iterator[Any]:
    """All records of all files in `folder`, with their checksums checked."""
    for file in sorted(folder.glob("events.out.tfevents.*")):
        content = file.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            assert struct.unpack("<I", content[8:12]) == (masked_crc32c(content[:8]),)
            data, crc, content = content[12 : 12 + size], content[12 + size : 16 + size], content[16 + size :]
            assert struct.unpack("<I", crc) == (masked_crc32c(data),)
            yield Record.FromString(data)


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    found = [
        (value.tag, record.step, value.simple_value) for record in records(folder) for value in record.summary.value
    ]
    return [(tag, step, round(value, 5)) for tag, step, value in found]


def metric(value: float, trial_id: str | None = "t1", **metrics: Any) -> Event:
    data = {"category": "validation", "key": "loss", "value": value, "metrics": metrics}
    return Event(kind="metric", data=data, time=TIME, job_id=7, trial_id=trial_id)


def status(name: str) -> Event:
    return Event(kind="status", data={"status": name}, time=TIME, job_id=7)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(tmp_path: Path, clock: Clock) -> Iterator[TensorboardReport]:
    writer = TensorboardReport(tmp_path, clock)
    yield writer
    writer.close()


def test_metrics_are_scalars_in_a_folder_per_trial(tmp_path: Path, writer: TensorboardReport) -> None:
    for event in (metric(0.5, epoch=3), metric(0.25, "t2", epoch=1), metric(0.125, None, step=9), status("SUCCEEDED")):
        writer.report(event)
    assert scalars(tmp_path / "job-7" / "t1") == [("validation/loss", 3, 0.5)]
    assert scalars(tmp_path / "job-7" / "t2") == [("validation/loss", 1, 0.25)]
    assert scalars(tmp_path / "job-7" / "training") == [("validation/loss", 9, 0.125)]


def test_each_file_begins_with_its_version_and_times_are_kept(tmp_path: Path, writer: TensorboardReport) -> None:
    writer.report(metric(0.5))
    writer.close()
    first, second = records(tmp_path / "job-7" / "t1")
    assert first.file_version == "brain.Event:2"
    assert second.wall_time == 1714564800.0


def test_metrics_without_a_step_are_counted(tmp_path: Path, writer: TensorboardReport) -> None:
    for value in (3, 2, 1):
        writer.report(metric(value))
    writer.close()
    assert [step for _, step, _ in scalars(tmp_path / "job-7" / "t1")] == [1, 2, 3]


def test_results_are_scalars_at_their_iteration(tmp_path: Path, writer: TensorboardReport) -> None:
    metrics = {"loss": 0.5, "deep": {"accuracy": 1}, "note": "fine", "done": True, "gap": None}
    data = {"trial_id": "t1", "iteration": 4, "metrics": metrics}
    writer.report(Event(kind="trial_result", data=data, time=TIME, job_id=7, trial_id="t1"))
    writer.close()
    assert scalars(tmp_path / "job-7" / "t1") == [("result/loss", 4, 0.5), ("result/deep/accuracy", 4, 1.0)]


def test_visualizations_are_images(tmp_path: Path, writer: TensorboardReport) -> None:
    encoded = io.BytesIO()
    Image.new("RGB", (5, 3), "red").save(encoded, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(encoded.getvalue()).decode()
    data = {"category": "validation", "group": "misread", "index": 0, "epoch": 6}
    writer.report(Event(kind="visualization", data=data, time=TIME, job_id=7, trial_id="t1", file=uri))
    writer.close()
    _, record = records(tmp_path / "job-7" / "t1")
    (value,) = record.summary.value
    assert (value.tag, record.step) == ("validation/misread/0", 6)
    assert (value.image.width, value.image.height, value.image.colorspace) == (5, 3, 3)
    assert value.image.encoded_image_string == encoded.getvalue()


def test_what_is_written_can_be_read_within_seconds(tmp_path: Path, writer: TensorboardReport, clock: Clock) -> None:
    writer.report(metric(1, epoch=1))
    clock.now = 5.0
    writer.report(metric(2, epoch=2))
    assert [step for _, step, _ in scalars(tmp_path / "job-7" / "t1")] == [1, 2]


def test_a_trial_heard_of_after_the_end_gets_another_file(tmp_path: Path, writer: TensorboardReport) -> None:
    for event in (metric(1, epoch=1), status("FAILED"), metric(2, epoch=2), status("FAILED")):
        writer.report(event)
    folder = tmp_path / "job-7" / "t1"
    assert len(list(folder.iterdir())) == 2
    assert [step for _, step, _ in scalars(folder)] == [1, 2]


def test_many_trials_keep_few_files_open(tmp_path: Path, writer: TensorboardReport) -> None:
    for round_ in (1, 2):
        for trial in range(100):
            writer.report(metric(trial, f"t{trial}", epoch=round_))
    assert len(writer._writers) == 64
    writer.close()
    assert all(scalars(tmp_path / "job-7" / f"t{n}") == [("validation/loss", e, n) for e in (1, 2)] for n in range(100))


@pytest.mark.parametrize("kind", ["message", "trials", "progress", "model", "result"])
def test_other_events_write_nothing(tmp_path: Path, writer: TensorboardReport, kind: Any) -> None:
    writer.report(Event(kind=kind, data={}, time=TIME, job_id=7))
    writer.report(status("RUNNING"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("trial_id", ["../../out", "a/b", "..", "/abs"])
def test_no_trial_id_leaves_the_folder(tmp_path: Path, writer: TensorboardReport, trial_id: str) -> None:
    writer.report(metric(1, trial_id))
    (file,) = tmp_path.rglob("events*")
    assert file.parent.parent == tmp_path / "job-7"


def test_the_hook_takes_its_folder_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "logs"))
    tensorboard_report.report(metric(0.5, epoch=1))
    tensorboard_report.report(status("STOPPED"))
    assert scalars(tmp_path / "logs" / "job-7" / "t1") == [("validation/loss", 1, 0.5)]


def test_a_job_that_is_cut_short_is_written(tmp_path: Path) -> None:
    code = """
from trialrun_hookspecs import Event
from trialrun_reference.tensorboard_report import report
data = {"category": "validation", "key": "loss", "value": 0.5, "metrics": {"epoch": 1}}
report(Event(kind="metric", data=data, job_id=7, trial_id="t1"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert scalars(tmp_path / "tensorboard" / "job-7" / "t1") == [("validation/loss", 1, 0.5)]
