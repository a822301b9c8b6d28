"""Two recordings of the same work are the same, whatever their ids and times."""

from __future__ import annotations

from pathlib import Path

from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun.recordings.diff import compare_studies

from .some_study import report, row, send, small


def found(one: Path, other: Path, tolerance: float = 0.0) -> dict[str, tuple[object, object]]:
    with open_study(one) as a, open_study(other) as b:
        return {each.where: (each.a, each.b) for each in compare_studies(a, b, tolerance)}


def test_ids_do_not_matter(tmp_path: Path) -> None:
    assert found(small(tmp_path / "a"), small(tmp_path / "b", names=("x9", "y9", "z9"))) == {}


def test_a_metric_that_differs_is_named(tmp_path: Path) -> None:
    small(tmp_path / "a")
    small(tmp_path / "b")
    with Recorder(tmp_path / "b" / "recorder.sqlite") as recorder:
        send(recorder, report("b", 4, {"loss": 0.25}))
        send(recorder, row("b", "TERMINATED", {"rate": 0.2, "kind": "y"}, {"loss": 0.25}))
    told = found(tmp_path / "a", tmp_path / "b")
    name = 'trials / {kind="y", rate=0.2}'
    assert told[f"{name} / metrics / loss"] == (2 / 3, 0.25)
    assert told[f"{name} / curves / loss (points)"] == (3, 4)
    assert told["best trial"] == ('{kind="x", rate=0.1}', '{kind="y", rate=0.2}')
    assert len(told) == 3


def test_a_trial_that_is_absent_is_named(tmp_path: Path) -> None:
    small(tmp_path / "a")
    small(tmp_path / "b")
    with Recorder(tmp_path / "b" / "recorder.sqlite") as recorder:
        send(recorder, row("d", "TERMINATED", {"rate": 9, "kind": "y"}, {"loss": 5}))
    told = found(tmp_path / "a", tmp_path / "b")
    assert list(told) == ['trials / {kind="y", rate=9}']
    assert next(iter(told.values()))[0] is None


def test_a_tolerance_forgives_small_differences(tmp_path: Path) -> None:
    for name, value in (("a", 1.0), ("b", 1.0001)):
        with Recorder(tmp_path / name / "recorder.sqlite") as recorder:
            recorder.create_job("x", {"params": {}})
            send(recorder, report("t", 1, {"loss": value}))
    assert found(tmp_path / "a", tmp_path / "b", 1e-3) == {}
    assert found(tmp_path / "a", tmp_path / "b", 1e-5) != {}


def test_the_status_matters(tmp_path: Path) -> None:
    told = found(small(tmp_path / "a"), small(tmp_path / "b", status="FAILED"))
    assert told == {"status": ("SUCCEEDED", "FAILED")}
