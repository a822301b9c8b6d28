"""A recording in Python: its trials and metric points as pandas frames, its result, its best trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trialrun.recordings.points import POINT
from trialrun.recordings.rows import read_points, trial_columns, trial_values
from trialrun.recordings.source import open_study
from trialrun.recordings.trial_index import TrialRow
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun_hookspecs.results import JobResult

__all__ = ["LoadedRun", "load"]

_SHOWN = 10  # trials in a notebook's view
_LONG = 60


def load(path: str | Path, *, job: int | None = None) -> LoadedRun:
    """Return a run from its results folder, or any recording from its file; `job` None means its newest.

    The recording is read as it is now: load a run in progress again for more. Raises UsageError: there is no recording,
    it is empty, or it has no such job.
    """
    with open_study(path, job) as study:
        facts, trials = study.read_job_facts(), study.list_trials()
        metric, mode = study.get_objective()
        return LoadedRun(
            path=study.path,
            job_id=study.job,
            name=study.name,
            status=str(facts["status"]),
            job=facts,
            metric=metric,
            mode=mode,
            failures=study.list_failures(),
            _trials=trials,
            _best=study.find_best_id(trials),
            _result=study.read_result(),
        )


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """One job of a recording. The frames are built on first use.

    `metric` is the objective, None when the job has none; `failures` has trial_id, error, cause, traceback, node and
    stderr of each trial that failed.
    """

    path: Path
    job_id: int
    name: str
    status: str
    job: Mapping[str, Any] = field(repr=False)
    metric: str | None
    mode: str
    failures: list[dict[str, Any]] = field(repr=False)
    _trials: list[TrialRow] = field(repr=False)
    _best: str | None = field(repr=False)
    _result: dict[str, Any] | None = field(repr=False)

    @cached_property
    def trials(self) -> Any:
        """A pandas frame with a row for each trial: facts, `config/NAME`, `metrics/NAME`; times are in UTC."""
        pandas = _import_pandas()
        frame = pandas.DataFrame(trial_columns(self._trials))
        for name in ("started", "ended"):
            frame[name] = pandas.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame

    @cached_property
    def metrics(self) -> Any:
        """A pandas frame with a row for each metric point: trial_id, source, name, step, time, value, extra."""
        pandas = _import_pandas()
        with open_study(self.path, self.job_id) as study:
            frame = pandas.DataFrame.from_records(list(read_points(study)), columns=list(POINT))
        frame["time"] = pandas.to_datetime(frame["time"], utc=True, format="ISO8601")
        return frame

    @property
    def best(self) -> dict[str, Any] | None:
        """The best trial, or the best so far: trial_id, status, config, metrics. None: no trial qualifies."""
        trial = next((trial for trial in self._trials if trial.trial == self._best), None)
        if trial is None:
            return None
        config, metrics = trial_values(trial)
        return {"trial_id": trial.trial, "status": trial.status, "config": config, "metrics": metrics}

    @cached_property
    def result(self) -> JobResult | None:
        """The return value of `trialrun.run`; None while the job runs, and for another shape (see `job`)."""
        from pydantic import ValidationError

        from trialrun_hookspecs.results import JobResult

        try:
            return None if self._result is None else JobResult.model_validate(self._result)
        except ValidationError:
            return None

    def __repr__(self) -> str:
        return f"<trialrun recording {self.name!r}: {self.status}, {len(self._trials)} trials, {self.path}>"

    def _repr_html_(self) -> str:
        """Return a summary for notebooks; every text in it is escaped."""
        best = self.best
        rows = [("status", self.status), ("trials", f"{len(self._trials)}, {len(self.failures)} failed")]
        if best is not None:
            value = f"{self.metric} {best['metrics'].get(self.metric)}" if self.metric else ""
            rows.append(("best", f"{best['trial_id']}  {value}"))
        facts = "".join(f"<tr><th>{_escape_cell(name)}</th><td>{_escape_cell(value)}</td></tr>" for name, value in rows)
        return f"<div><strong>{_escape_cell(self.name)}</strong><table>{facts}</table>{self._render_table()}</div>"

    def _render_table(self) -> str:
        columns = trial_columns(self._trials[:_SHOWN])
        shown = {name: cells for name, cells in columns.items() if name not in ("number", "started", "ended")}
        head = "".join(f"<th>{_escape_cell(name)}</th>" for name in shown)
        body = "".join(
            f"<tr>{''.join(f'<td>{_escape_cell(cell)}</td>' for cell in row)}</tr>"
            for row in zip(*shown.values(), strict=True)
        )
        more = len(self._trials) - _SHOWN
        rest = f"<p>{more} more: see <code>.trials</code></p>" if more > 0 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _escape_cell(value: Any) -> str:
    words = "" if value is None else str(value)
    return escape(words if len(words) <= _LONG else f"{words[: _LONG - 1]}…")


def _import_pandas() -> Any:
    try:
        import pandas as pd
    except ImportError as error:
        fix = "Install it: pip install pandas (ray[tune], which trialrun needs for studies, brings it too)."
        raise UsageError("frames need pandas", where="trialrun.load", got=str(error), fix=fix) from None
    return pd
