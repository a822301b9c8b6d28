"""A Run that keeps all calls in lists, and datasets as a plugin gets them."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialrun_hookspecs.run import Context

__all__ = ["FakeRun", "Metric", "Report", "Visualization", "unpack_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    category: str
    key: str
    value: float
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visualization:
    category: str
    group: str
    index: int
    image: Any
    meta: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`checkpoint` is a copy, as Ray makes one: what the plugin writes later does not change it."""

    metrics: Mapping[str, Any]
    checkpoint: Path | None


class Stopped(BaseException):
    """Ends the plugin at a report, as a scheduler does."""


@dataclass(kw_only=True)
class FakeRun:
    """`folder` is the run's own; `stop_after` reports, the run is stopped as by a scheduler."""

    folder: Path
    is_tune: bool = False
    seed: int = 7
    name: str = "fake"
    job_id: int = 1
    stop_after: int | None = None
    metrics: list[Metric] = field(default_factory=list)
    visualizations: list[Visualization] = field(default_factory=list)
    messages: list[tuple[Context, str]] = field(default_factory=list)
    progress: list[tuple[float, float, str]] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)

    @property
    def trial_id(self) -> str | None:
        return "fake_00000" if self.is_tune else None

    @property
    def checkpoint_output(self) -> str:
        return self.declared[-1] if self.declared else str(self.folder / "artifact")

    @checkpoint_output.setter
    def checkpoint_output(self, path: str | Path) -> None:
        assert not self.metrics, "checkpoint_output must be set before training starts"
        assert not self.reports, "checkpoint_output must be set before training starts"
        self.declared.append(str(path))

    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        self.metrics.append(Metric(category=category, key=key, value=value, metrics=metrics))

    def log_visualization(self, category: str, group: str, index: int, image: Any, **meta: Any) -> None:
        self.visualizations.append(Visualization(category=category, group=group, index=index, image=image, meta=meta))

    def log_message(self, content: str, context: Context = "info") -> None:
        self.messages.append((context, content))

    def log_trials(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        trials: Mapping[str, Mapping[str, Any]] | None = None,
        base: Sequence[str] | None = None,
        hyperparameters: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        best_trial: str = "",
    ) -> dict[str, Any]:
        raise NotImplementedError("no reference plugin writes a trial table by hand")

    def set_progress(self, current: float, total: float, category: str = "") -> None:
        self.progress.append((current, total, category))

    def report(self, metrics: Mapping[str, Any], checkpoint: str | Path | None = None) -> None:
        kept = None
        if checkpoint is not None:
            kept = self.folder / "reported" / str(len(self.reports))
            shutil.copytree(checkpoint, kept)
        self.reports.append(Report(metrics=copy.deepcopy(dict(metrics)), checkpoint=kept))
        if self.stop_after is not None and len(self.reports) >= self.stop_after:
            raise Stopped

    def call(self, call: Callable[[], Any]) -> Any:
        """Call the plugin; None when it was stopped."""
        try:
            return call()
        except Stopped:
            return None

    def values(self, category: str, key: str) -> list[float]:
        return [metric.value for metric in self.metrics if (metric.category, metric.key) == (category, key)]


def unpack_rows(rows: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Write the rows of a dataset hook into `folder`; give the dataset as a plugin is handed it."""
    dataset: dict[str, list[dict[str, Any]]] = {}
    for index, row in enumerate(rows):
        files = {}
        for name, content in row["files"].items():
            path = folder / f"{index}_{name}.png"
            path.write_bytes(content)
            files[name] = str(path)
        dataset.setdefault(row["category"], []).append({"files": files, "data": row["data"]})
    return dataset
