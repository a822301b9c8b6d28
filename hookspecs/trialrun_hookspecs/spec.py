"""The hooks: one typed function each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from trialrun_hookspecs.markers import hookspec

if TYPE_CHECKING:
    from trialrun_hookspecs.event import Event
    from trialrun_hookspecs.run import Run

__all__ = ["datasets", "report", "schedulers", "search_algorithms", "stoppers", "train", "trial_callbacks", "tune"]


@hookspec(firstresult=True)
def train(run: Run, dataset: Any, hyperparameter: dict[str, Any], checkpoint: dict[str, Any] | None) -> Any:
    """Train one model and return the path of its artifact (file or folder).

    Called once in training mode, and once per trial in tuning mode when the plugin has no `tune`. The platform
    passes the four by position, in this order; a plain function may also take `**kwargs`.

    `dataset` maps a category such as `train` to its rows: dicts with `files` (name to local path) and `data`.
    `hyperparameter` is a copy of the job's dict (training) or of the trial's values (tuning).
    `checkpoint` is None, or the model to continue from: the backend's record plus `path`, the unpacked folder.
    """


@hookspec(firstresult=True)
def tune(hyperparameter: dict[str, Any], run: Run, dataset: Any, checkpoint: dict[str, Any] | None) -> Any:
    """Run one trial; return None, a dict of metrics, or a number (stored under the objective).

    The order of the parameters differs from `train`. May be a generator that yields dicts or numbers, one per step.
    Set `run.checkpoint_output` before training starts.
    """


@hookspec
def report(event: Event) -> None:
    """Receive every recorded event, on the driver, in order per trial.

    Called from one background thread. If it raises, the error is reported once and the plugin gets no more events.
    """


@hookspec
def datasets() -> Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]:
    """Offer datasets by name, for `--dataset 123=NAME`.

    Each value is called without arguments and returns rows
    `{"category": str, "data": JSON, "files": {name: path or bytes}}`.
    """


@hookspec
def search_algorithms() -> Mapping[str, Callable[..., Any]]:
    """Offer search algorithms by name, for `tune_config.search_alg`.

    Each value is called as `factory(primitives, *, mode, seed, options)`. `primitives` maps a parameter's name to its
    search range: `.kind` is "real" or "integer" (with `.low` and `.high`, both included) or "category" (with `.size`:
    values are indexes below it). The factory returns an object with

    - `ask(trial_id, fixed=None) -> dict | None`: a value per primitive, those in `fixed` as given; None at the end;
    - `tell(trial_id, value)`: the objective that a trial reached, or None for a failed trial;
    - `state()`: plain JSON data, from which `restore(state)` continues.
    """


@hookspec
def schedulers() -> Mapping[str, Callable[..., Any]]:
    """Offer trial schedulers by name, for `tune_config.scheduler`.

    Each value is called as `factory(metric=…, mode=…, **options)` and returns a `ray.tune.schedulers.TrialScheduler`.
    """


@hookspec
def trial_callbacks() -> Iterable[Any]:
    """Offer `ray.tune.Callback` objects for a study.

    A callback that raises is reported and switched off; the study continues.
    """


@hookspec
def stoppers() -> Iterable[Callable[[str, dict[str, Any]], bool]]:
    """Offer rules of your own that end a trial, or the study.

    Each is called on the driver as `stopper(trial_id, result)` with every result of every trial: the reported metrics
    and `training_iteration`. Returning true ends that trial. If a stopper has a method `stop_all()`, as a
    `ray.tune.Stopper` has, it is called often, and returning true ends the study. A stopper that raises is reported
    and switched off; the study continues. After a resume, stoppers first see the earlier results; their answers to
    these are ignored.
    """
