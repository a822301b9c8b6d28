"""An export says what was recorded, in every format."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun.recordings.export import FORMATS, export_study
from trialrun.recordings.tensorboard import run_names
from trialrun.run_dir.layout import PART_SUFFIX
from trialrun_hookspecs.errors import UsageError

from .some_study import HOSTILE, PARAMS, flat, report, row, send, small

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(width=64)
CELLS = (
    NUMBERS
    | st.booleans()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["1", "null", "NaN", "", '"x"', "[1]", " 1", "true", "007", "=1+1", "a,b", "\r\n", HOSTILE])
    | st.lists(st.integers(0, 3), max_size=2)
    | st.dictionaries(st.text("ab", max_size=2), st.integers(0, 3), max_size=2)
)
TRIALS = st.lists(
    st.tuples(
        st.dictionaries(NAMES, CELLS, max_size=3),
        st.lists(st.dictionaries(NAMES, NUMBERS | st.dictionaries(NAMES, NUMBERS, max_size=2), max_size=3), max_size=3),
    ),
    max_size=4,
)
Read = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def read_csv(folder: Path) -> Read:
    return _csv_rows(folder / "trials.csv"), _csv_rows(folder / "metrics.csv")


def _csv_rows(path: Path) -> list[dict[str, Any]]:
    csv.field_size_limit(2**30)
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _csv_cell(cell) for name, cell in line.items() if cell != ""} for line in csv.DictReader(file)]


def _csv_cell(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def read_json(folder: Path) -> Read:
    made = json.loads((folder / "study.json").read_text("utf-8"), parse_constant=pytest.fail)
    trials = []
    for trial in made["trials"]:
        words = trial.pop("nonfinite", {})
        parts = {part: trial.pop(part) for part in ("config", "metrics")}
        cells = {
            f"{part}/{name}": float(words[part][name]) if name in words.get(part, {}) else cell
            for part, found in parts.items()
            for name, cell in found.items()
        }
        trials.append({**trial, **cells})
    points = [
        {**point, "value": float(point.pop("nonfinite")) if "nonfinite" in point else point["value"]}
        for point in made["metrics"]
    ]
    return trials, points


def read_parquet(folder: Path) -> Read:
    from pyarrow import parquet

    made = []
    for name in ("trials", "metrics"):
        table = parquet.read_table(folder / f"{name}.parquet")
        as_json = {field.name for field in table.schema if (field.metadata or {}).get(b"trialrun") == b"json"}
        made.append(
            [
                {key: json.loads(cell) if key in as_json else cell for key, cell in line.items() if cell is not None}
                for line in table.to_pylist()
            ]
        )
    return made[0], made[1]


READERS = {"csv": read_csv, "json": read_json, "parquet": read_parquet}


def alike(one: Any, other: Any) -> bool:
    """Equal, NaN to NaN, true not to 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def exported(folder: Path, trials: list[Any], kind: str) -> Read:
    with Recorder(folder / "recorder.sqlite") as recorder:
        recorder.create_job("a study", {"action": "train", "params": PARAMS})
        for number, (config, reports) in enumerate(trials):
            send(recorder, row(f"t{number}", "RUNNING", config, {}))
            send(recorder, *(report(f"t{number}", step, metrics) for step, metrics in enumerate(reports, 1)))
    with open_study(folder) as study:
        export_study(study, kind, folder / "out")
    return READERS[kind](folder / "out")


@pytest.mark.parametrize("kind", READERS)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(trials=TRIALS)
def test_what_is_read_back_is_what_was_recorded(kind: str, trials: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows, points = exported(Path(folder), trials, kind)
    configs = [
        {name.removeprefix("config/"): cell for name, cell in line.items() if name.startswith("config/")}
        for line in rows
    ]
    assert [line["trial_id"] for line in rows] == [f"t{number}" for number in range(len(trials))]
    assert all(alike(one, config) for one, (config, _) in zip(configs, trials, strict=True))
    sent = [
        (f"t{number}", step, name, float(value) if kind == "parquet" else value)
        for number, (_, reports) in enumerate(trials)
        for step, metrics in enumerate(reports, 1)
        for name, value in flat(metrics).items()
    ]
    came = [(point["trial_id"], point["step"], point["name"], point["value"]) for point in points]
    assert len(came) == len(sent)
    assert all(alike(dict(enumerate(one)), dict(enumerate(other))) for one, other in zip(came, sent, strict=True))


def test_csv_is_read_by_pandas_alike(tmp_path: Path) -> None:
    import pandas as pd

    import trialrun

    with open_study(small(tmp_path)) as study:
        export_study(study, "csv", tmp_path / "out")
    frame = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert list(frame["metrics/loss"]) == list(trialrun.load(tmp_path).trials["metrics/loss"])
    assert list(frame["config/kind"]) == ["x", "y", "z"]


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Any]:
    """Trials whose names are paths, differ in case only, or are longer than a file's name may be."""
    with open_study(small(tmp_path, names=("../../x", "A", "a", HOSTILE, "n" * 400, ".", "job"))) as study:
        yield study


def scalars(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what TensorBoard would read: tag -> steps and values."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    content, at = file.read_bytes(), 0
    while at < len(content):  # length, its checksum, the record, its checksum
        length = int.from_bytes(content[at : at + 8], "little")
        event = Event.FromString(content[at + 12 : at + 12 + length])
        at += length + 16
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_files_hold_every_point(tmp_path: Path) -> None:
    with open_study(small(tmp_path)) as study:
        files = export_study(study, "tensorboard", tmp_path / "out")
    by_run = {file.parent.name: scalars(file) for file in files}
    assert by_run["b"]["reported/loss"] == [(1, 2.0), (2, 1.0), (3, pytest.approx(2 / 3))]
    assert by_run["job"] == {"logged/train/lr": [(4, 1.0)]}
    assert sorted(by_run) == ["a", "b", "c", "job"]


def test_hostile_names_stay_in_the_folder(hostile: Any, tmp_path: Path) -> None:
    files = export_study(hostile, "tensorboard", tmp_path / "out")
    root = (tmp_path / "out" / "tensorboard").resolve()
    assert all(file.resolve().parent.parent == root for file in files)
    names = [name.casefold() for name in run_names(hostile.list_trials())]
    assert len({*names, "job"}) == 8


@pytest.mark.parametrize("kind", FORMATS)
def test_an_earlier_export_is_not_written_over_unasked(kind: str, tmp_path: Path) -> None:
    with open_study(small(tmp_path)) as study:
        first = export_study(study, kind, tmp_path / "out")
        before = [file.stat().st_size for file in first]
        with pytest.raises(UsageError, match="--overwrite"):
            export_study(study, kind, tmp_path / "out")
        assert export_study(study, kind, tmp_path / "out", overwrite=True) == first
        assert [file.stat().st_size for file in first] == before
    assert not list((tmp_path / "out").rglob(f"*{PART_SUFFIX}"))


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with open_study(small(tmp_path)) as study, pytest.raises(UsageError, match="which is a file"):
        export_study(study, "csv", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_unknown_format_names_those_there_are(tmp_path: Path) -> None:
    with open_study(small(tmp_path)) as study, pytest.raises(UsageError, match="csv, json, parquet, tensorboard"):
        export_study(study, "xls", tmp_path / "out")
