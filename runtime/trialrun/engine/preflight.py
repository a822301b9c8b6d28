"""A job that has passed preflight: read, checked against its plugin and executor, not yet started."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trialrun.compat import fill_max_t, list_hints
from trialrun.executors.base import Executor, Study
from trialrun.job_file import to_request
from trialrun.plugins import Manager, Plugin, load_plugin
from trialrun.space import Space
from trialrun_hookspecs.errors import RequestInvalid
from trialrun_hookspecs.job_advice import advice, count_trials
from trialrun_hookspecs.request import Request

__all__ = ["ExecutorName", "PreparedJob", "build_study", "prepare_job"]

ExecutorName = Literal["ray", "inline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job that has passed preflight. `total` is the number of trials, None in training mode."""

    request: Request
    plugin: Plugin
    others: tuple[Plugin, ...]
    manager: Manager
    executor: Executor
    seed: int
    total: int | None
    advice: tuple[str, ...]


def prepare_job(
    job: str | Path | Mapping[str, Any] | Request,
    *,
    plugin: Any,
    executor: ExecutorName = "ray",
    seed: int | None = None,
    plugins: Iterable[Any] = (),
    address: str | None = None,
    local_resources: Mapping[str, float] | None = None,
    muted: Any = None,
) -> PreparedJob:
    """Check all that can be checked before anything starts. Raises UsageError with every problem that was found."""
    request, note = fill_max_t(to_request(job))
    loaded = load_plugin(plugin, need_train=True)
    others = tuple(load_plugin(other) for other in plugins)
    manager = Manager([loaded, *others], on_mute=muted or (lambda name, error: None))
    drawn = _choose_seed(request, seed)
    # training needs no executor, and importing ray takes seconds
    chosen = _make_executor("inline" if executor == "ray" and not request.params.is_tune else executor)
    prepared = PreparedJob(
        request=request,
        plugin=loaded,
        others=others,
        manager=manager,
        executor=chosen,
        seed=drawn,
        total=count_trials(request),
        advice=tuple(filter(None, [*advice(request), note, *list_hints(request)])),
    )
    if request.params.is_tune:
        chosen.check_study(build_study(prepared, address=address, local_resources=local_resources or {}))
    return prepared


def _choose_seed(request: Request, seed: int | None) -> int:
    if seed is not None and not 0 <= seed < 2**32:
        raise RequestInvalid("must be at least 0 and below 2**32", where="--seed", got=str(seed))
    config = request.params.tune_config
    if seed is None and config is not None:
        seed = config.seed
    return secrets.randbelow(2**31) if seed is None else seed


def _make_executor(name: str) -> Executor:
    if name == "inline":
        from trialrun.executors.inline import InlineExecutor

        return InlineExecutor()
    if name != "ray":
        raise RequestInvalid("must be 'ray' or 'inline'", where="--executor", got=repr(name))
    from trialrun.executors.ray_tune.executor import RayExecutor

    return RayExecutor()


def build_study(prepared: PreparedJob, **known: Any) -> Study:
    """The study of a tuning job; what is not known before it runs has a value that nothing reads."""
    params = prepared.request.params
    given: dict[str, Any] = {
        "job_id": 0,
        "run_key": "plan0",
        "dataset": None,
        "checkpoint": None,
        "results": Path(),
        **known,
    }
    return Study(
        params=params,
        tune_config=params.tuning,
        space=Space(params.hyperparameters or ()),
        total=prepared.total or 0,
        seed=prepared.seed,
        plugin=prepared.plugin,
        manager=prepared.manager,
        **given,
    )
