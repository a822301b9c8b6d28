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
    `hyperparameter` is the job's dict (training) or the trial's values (tuning): a copy of its own.
    `checkpoint` is None, or the model to go on from: the backend's record plus `path`, the unpacked folder.
    """


@hookspec(firstresult=True)
def tune(hyperparameter: dict[str, Any], run: Run, dataset: Any, checkpoint: dict[str, Any] | None) -> Any:
    """Run one trial; return None, a dict of metrics, or a number (stored under the objective).

    Mind the order: it is not `train`'s. May be a generator that yields dicts or numbers, one per step.
    Set `run.checkpoint_output` before training starts.
    """


@hookspec
def report(event: Event) -> None:
    """Hear of everything that is recorded, on the driver, in order per trial.

    Called from one background thread. What it raises is reported once, and that plugin hears no more.
    """


@hookspec
def datasets() -> Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]:
    """Offer datasets by name, for `--dataset 123=NAME`.

    Each value is called without arguments and gives rows
    `{"category": str, "data": JSON, "files": {name: path or bytes}}`.
    """


@hookspec
def search_algorithms() -> Mapping[str, Callable[..., Any]]:
    """Offer search algorithms by name, for `tune_config.search_alg`.

    Each value is called as `factory(primitives, *, mode, seed, options)`: `primitives` maps a parameter's name to
    what it is searched as: `.kind` is "real" or "integer" (with `.low` and `.high`, both included) or "category"
    (with `.size`: values are indexes below it). It returns an object with
    `ask(trial_id, fixed=None) -> dict | None` (a value per primitive, those in `fixed` as given; None: nothing more),
    `tell(trial_id, value)` (the objective, or None for a failed trial), `state()` (plain data for JSON) and
    `restore(state)`.
    """


@hookspec
def schedulers() -> Mapping[str, Callable[..., Any]]:
    """Offer trial schedulers by name, for `tune_config.scheduler`.

    Each value is called as `factory(metric=…, mode=…, **options)` and returns a `ray.tune.schedulers.TrialScheduler`.
    """


@hookspec
def trial_callbacks() -> Iterable[Any]:
    """Offer `ray.tune.Callback` objects for a study.

    One that raises is reported and switched off; the study goes on.
    """


@hookspec
def stoppers() -> Iterable[Callable[[str, dict[str, Any]], bool]]:
    """Offer rules of your own that end a trial, or the study.

    Each is called on the driver as `stopper(trial_id, result)` with every result of every trial, what was reported
    and `training_iteration` among it: true ends that trial. One with a method `stop_all()` is asked often whether the
    study is to end; a `ray.tune.Stopper` is such a one. One that raises is reported and switched off, and the study
    goes on. After an interrupt, stoppers first see the results of before; what they answer to those does nothing.
    """
