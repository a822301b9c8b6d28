"""Preflight: read a job, check it against its plugin and executor, and derive its facts, before anything starts."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trialrun.compat import fill_max_t, list_hints
from trialrun.executors.base import Executor, Study
from trialrun.job_file import to_request
from trialrun.plugins import Manager, Plugin, load_plugin
from trialrun.run_dir.checkpoints import CheckpointRecord
from trialrun.run_dir.history import StudyHistory
from trialrun.run_dir.run_config import ExecutorName, RunConfig
from trialrun.run_dir.storage import make_absolute
from trialrun.space import Space
from trialrun_hookspecs.errors import RequestInvalid
from trialrun_hookspecs.job_advice import advice, count_trials
from trialrun_hookspecs.request import Params, Request

__all__ = ["ExecutorName", "PreparedJob", "build_study", "prepare_job"]

_DEFAULT_CONFIG = RunConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedJob:
    """A job that has passed preflight, with its facts.

    `run_config` has a seed and, where the job or the call names one, an absolute storage. `total` is the number of
    trials, None in training mode. `advice` are the warnings to show before the start.
    """

    request: Request
    plugin: Plugin
    others: tuple[Plugin, ...]
    manager: Manager
    executor: Executor
    run_config: RunConfig
    seed: int
    space: Space
    total: int | None
    advice: tuple[str, ...]

    @property
    def params(self) -> Params:
        return self.request.params


def prepare_job(
    job: str | Path | Mapping[str, Any] | Request,
    *,
    plugin: Any,
    plugins: Iterable[Any] = (),
    run_config: RunConfig = _DEFAULT_CONFIG,
    on_mute: Callable[[str, BaseException], None] = lambda name, error: None,
) -> PreparedJob:
    """Check all that can be checked before anything starts.

    `on_mute` is called with the name of each plugin whose `report` raises, and with what it raised.
    Raises UsageError with every problem that was found.
    """
    request, note = fill_max_t(to_request(job))
    loaded = load_plugin(plugin, need_train=True)
    others = tuple(load_plugin(other) for other in plugins)
    manager = Manager([loaded, *others], on_mute=on_mute)
    seed = _choose_seed(request, run_config.seed)
    prepared = PreparedJob(
        request=request,
        plugin=loaded,
        others=others,
        manager=manager,
        executor=_make_executor(run_config.executor, needs_ray=request.params.is_tune),
        run_config=replace(run_config, seed=seed, storage=_resolve_storage(request, run_config)),
        seed=seed,
        space=Space(request.params.hyperparameters or ()),
        total=count_trials(request),
        advice=tuple(filter(None, [*advice(request), note, *list_hints(request)])),
    )
    if request.params.is_tune:
        prepared.executor.check_study(build_study(prepared))
    return prepared


def _choose_seed(request: Request, seed: int | None) -> int:
    if seed is not None and not 0 <= seed < 2**32:
        raise RequestInvalid("must be at least 0 and below 2**32", where="--seed", got=str(seed))
    config = request.params.tune_config
    if seed is None and config is not None:
        seed = config.seed
    return secrets.randbelow(2**31) if seed is None else seed


def _resolve_storage(request: Request, run_config: RunConfig) -> str | None:
    config = request.params.tune_config
    url = run_config.storage or (config.storage_path if config else None)
    return make_absolute(url) if url else None


def _make_executor(name: str, *, needs_ray: bool) -> Executor:
    if name == "inline" or (name == "ray" and not needs_ray):  # importing ray takes seconds
        from trialrun.executors.inline import InlineExecutor

        return InlineExecutor()
    if name != "ray":
        raise RequestInvalid("must be 'ray' or 'inline'", where="--executor", got=repr(name))
    from trialrun.executors.ray_tune.executor import RayExecutor

    return RayExecutor()


def build_study(
    prepared: PreparedJob,
    *,
    job_id: int = 0,
    run_key: str = "plan0",
    dataset: Any = None,
    checkpoint: dict[str, Any] | None = None,
    results: Path = Path(),
    history: StudyHistory | None = None,
    restore: CheckpointRecord | None = None,
    resumed: tuple[str, ...] = (),
) -> Study:
    """Return the study of a tuning job; the defaults stand for what is not known before it runs."""
    return Study(
        params=prepared.params,
        tune_config=prepared.params.tuning,
        space=prepared.space,
        total=prepared.total or 0,
        seed=prepared.seed,
        plugin=prepared.plugin,
        manager=prepared.manager,
        run_config=prepared.run_config,
        job_id=job_id,
        run_key=run_key,
        dataset=dataset,
        checkpoint=checkpoint,
        results=results,
        history=history or StudyHistory(),
        restore=restore,
        resumed=resumed,
    )
