"""One study, run by either executor, and its recording."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

import trialrun
from trialrun.recorder import Recorder
from trialrun_hookspecs.results import JobResult

ROWS = [{"category": "train", "data": {"x": [float(x)], "y": 2.0 * x + 1.0}} for x in range(4)]
BOTH = [pytest.param("inline", id="inline"), pytest.param("ray", id="ray", marks=pytest.mark.ray)]

PLUGINS = Path(__file__).parents[2] / "broken_plugins"


Executor = Literal["ray", "inline"]


class Study:
    """A result with its recording."""

    def __init__(self, result: JobResult) -> None:
        self.result = result
        self.folder = Path(result.results_dir)
        self.recorder = Recorder.open(self.folder / "recorder.sqlite")

    def failure(self, value: Any) -> str:
        """Why the trial of this hyperparameter value failed."""
        trial_id = self.trial_id(value)
        return next(failure.error for failure in self.result.failures if failure.trial_id == trial_id)

    def trial_id(self, value: Any) -> str:
        table = self.recorder.last_table(self.result.job_id)
        assert table is not None
        return next(str(t) for t, row in table["trials"].items() if row["hyperparameters"][0] == value)

    def results_of(self, value: Any) -> list[dict[str, Any]]:
        """Every report of the trial of this hyperparameter value."""
        trial_id = self.trial_id(value)
        return [e["data"]["metrics"] for e in self.recorder.events("trial_result") if e["data"]["trial_id"] == trial_id]


@pytest.fixture
def tuned(tmp_path: Path) -> Iterator[Callable[..., Study]]:
    """Run a tuning job: `tuned(plugin, space, executor=…, **tune_config)`."""
    with _open_studies(tmp_path / "results") as run:
        yield run


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Executor], Study]]:
    """Run `leaky(executor)` once for all tests of a module: four trials, one at a time, so that a worker is reused."""
    space = [{"name": "n", "type": "grid_search", "options": [1, 2, 3, 4]}]
    with _open_studies(tmp_path_factory.mktemp("leaky")) as run:
        yield functools.cache(lambda executor: run("leaky", space, executor=executor, max_concurrent_trials=1))


@contextmanager
def _open_studies(results: Path) -> Iterator[Callable[..., Study]]:
    """Yield a function that runs a tuning job, and close the recordings of its studies afterwards."""
    opened: list[Study] = []

    def run(
        plugin: str,
        space: list[dict[str, Any]],
        *,
        executor: Executor,
        params: dict[str, Any] | None = None,
        **config: Any,
    ) -> Study:
        job = {
            "action": "train",
            "params": {
                "name": "study",
                "dataset": 1,
                "is_tune": True,
                "hyperparameters": space,
                "tune_config": {"metric": "loss", "mode": "min", "seed": 7, **config},
                **(params or {}),
            },
        }
        path = PLUGINS / f"{plugin}.py"
        result = trialrun.run(
            job,
            plugin=path if path.exists() else plugin,
            datasets={1: ROWS},
            executor=executor,
            results=results,
        )
        opened.append(Study(result))
        return opened[-1]

    yield run
    for study in opened:
        study.recorder.close()
