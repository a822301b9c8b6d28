"""The reports of trials arrive in files that other tools read."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun.executors.exports import Exports
from trialrun_hookspecs.errors import RequestInvalid

from .conftest import BOTH, Study

Tuned = Callable[..., Study]

# What the guide of 2021 lists, without what Ray dropped: experiment_id, and timesteps_since_restore of functions.
FILLED_IN = {
    "date",
    "done",
    "experiment_tag",
    "hostname",
    "iterations_since_restore",
    "node_ip",
    "pid",
    "time_since_restore",
    "time_this_iter_s",
    "time_total_s",
    "timestamp",
    "training_iteration",
    "trial_id",
}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "progress.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "result.json").read_text().splitlines()]


def summaries(folder: Path) -> list[Any]:
    """The events of all TensorBoard files in the folder, by their records: length, checksum, data, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


@pytest.mark.parametrize("executor", BOTH)
def test_each_logger_writes_every_result_to_the_trials_folder(tuned: Tuned, executor: str) -> None:
    space = [
        {"name": "style", "type": "choice", "options": ["report_then_more"]},
        {"name": "o/lr", "type": "grid_search", "options": [0.125, 0.5]},
    ]
    study = tuned(
        "tune_styles",
        space,
        executor=executor,
        loggers=["csv", "json", "tensorboard"],
        trial_name="{o/lr:.2f}-{trial_id}",
    )
    folders = sorted((study.folder / "trials").iterdir())
    assert [folder.name.partition("-")[0] for folder in folders] == ["0.12", "0.50"]
    for folder in folders:
        assert (folder / "stdout").exists()
        rows, lines = rows_of(folder), lines_of(folder)
        assert [float(row["loss"]) for row in rows] == [2.0, 1.0]
        assert [(line["loss"], line["extra"], line["training_iteration"]) for line in lines] == [
            (2.0, 5, 1),
            (1.0, 5, 2),
        ]
        assert lines[0].keys() >= FILLED_IN
        assert FILLED_IN - {"config"} <= rows[0].keys()
        assert rows[0]["config/style"] == "report_then_more"
        assert lines[0]["config"] == json.loads((folder / "params.json").read_text())
        values = {(v.tag, e.step): v.simple_value for e in summaries(folder) for v in e.summary.value}
        assert values[("loss", 1)] == 2.0
        assert values[("loss", 2)] == 1.0
        assert "_hparams_/session_start_info" in {tag for tag, _ in values}


def test_tensorboards_own_reader_finds_scalars_and_hyperparameters(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    exports = Exports(["tensorboard"])
    exports.start_trial("t", tmp_path, {"lr": 0.5, "kind": "a", "layers": [1, 2]})
    for step, loss in enumerate((3.0, 2.0), 1):
        exports.write_result("t", {"loss": loss, "training_iteration": step})
    exports.write_result("t", {"loss": 2.5, "training_iteration": 2})  # it went on from its first checkpoint
    exports.finish_trial("t", {"loss": 2.5})
    assert exports.errors == []
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 3.0), (2, 2.5), (2, 2.5)]
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    said = hparams.HParamsPluginData.FromString(content).session_start_info.hparams
    assert said["lr"].number_value == 0.5
    assert said["kind"].string_value == "a"


def test_steps_that_are_done_again_give_way(tmp_path: Path) -> None:
    for losses in ([(1, 3.0), (2, 2.0), (3, 1.0)], [(2, 2.5), (3, 1.5)]):
        exports = Exports(["csv", "json"])
        exports.start_trial("t", tmp_path, {"lr": 0.5})
        for step, loss in losses:
            exports.write_result("t", {"loss": loss, "training_iteration": step})
        exports.finish_trial("t", {})
        assert exports.errors == []
    assert [float(row["loss"]) for row in rows_of(tmp_path)] == [3.0, 2.5, 1.5]
    assert [line["loss"] for line in lines_of(tmp_path)] == [3.0, 2.5, 1.5]


def test_a_column_that_comes_later_is_empty_before(tmp_path: Path) -> None:
    exports = Exports(["csv"])
    exports.start_trial("t", tmp_path, {})
    exports.write_result("t", {"loss": 1.0, "training_iteration": 1})
    exports.write_result("t", {"loss": 1.0, "more": 2, "training_iteration": 2})
    assert [row["more"] for row in rows_of(tmp_path)] == ["", "2"]


def test_a_disk_that_takes_nothing_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("in the way")
    exports = Exports(["csv"])
    exports.start_trial("t", tmp_path / "t", {})
    exports.write_result("t", {"loss": 1.0, "training_iteration": 1})
    exports.finish_trial("t", {})
    assert len(exports.errors) == 1


@pytest.mark.parametrize("executor", BOTH)
def test_output_goes_where_the_job_says(tuned: Tuned, executor: str) -> None:
    space = [{"name": "n", "type": "choice", "options": [1]}]
    study = tuned("leaky", space, executor=executor, log_to_file="output.log")
    (folder,) = (study.folder / "trials").iterdir()
    assert "printed by" in (folder / "output.log").read_text()
    assert not (folder / "stdout").exists()
    silent = tuned("leaky", space, executor=executor, log_to_file=False)
    (folder,) = (silent.folder / "trials").iterdir()
    assert [path.name for path in folder.iterdir() if "printed by" in path.read_text()] == []


@pytest.mark.parametrize("executor", BOTH)
def test_what_is_filled_in_can_stop_a_trial(tuned: Tuned, executor: str) -> None:
    space = [{"name": "n", "type": "choice", "options": [1]}]
    study = tuned("slow_steps", space, executor=executor, stop={"time_total_s": 0.3})
    (reason,) = study.result.ended_early.values()
    assert reason == "stop: time_total_s reached 0.3"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"loggers": ["tensorbord"]}, "loggers[0]: no such logger.*'tensorboard'"),
        ({"trial_name": "lr={n}"}, "must have {trial_id}"),
        ({"trial_name": "{trial_id}-{m}"}, "{m} must be trial_id or the name of a hyperparameter"),
        ({"trial_name": "{trial_id.__class__}-{trial_id}"}, "{trial_id.__class__} must be"),
        ({"trial_name": "{trial_id"}, "must be a template"),
        ({"log_to_file": "../x"}, "names of files"),
        ({"log_to_file": ["a", "b", "c"]}, "a list of two"),
    ],
)
def test_what_cannot_be_meant_is_refused(tuned: Tuned, config: dict[str, Any], said: str) -> None:
    import re

    with pytest.raises(RequestInvalid) as refused:
        tuned("leaky", [{"name": "n", "type": "choice", "options": [1]}], executor="inline", **config)
    assert all(re.search(part if "*" in part else re.escape(part), str(refused.value)) for part in said.split(".*")), (
        refused.value
    )
