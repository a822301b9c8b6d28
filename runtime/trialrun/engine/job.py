"""A job from its request to its result, and on from where it was cut off."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from trialrun.engine.backends import (
    Backend,
    build_fixtures,
    clear_tokens,
    connect,
    named_datasets,
    read_tokens,
    start_recorder,
)
from trialrun.engine.preflight import ExecutorName, PreparedJob, prepare_job
from trialrun.engine.resume import (
    check_sources_exist,
    load_run,
    merge_sources,
    reload_plugin,
    trials_missing_from_journal,
)
from trialrun.engine.runner import JobObserver, JobRunner, JobStarted, NullObserver
from trialrun.recorder import Fixtures
from trialrun.run_dir import layout
from trialrun.run_dir.checkpoints import files_of_newest, find_checkpoint
from trialrun.run_dir.journal import read_journal
from trialrun.run_dir.lock import run_lock
from trialrun.run_dir.mirror import mirror_folder
from trialrun.run_dir.record import RunRecord, serialize_recipe, serialize_recipes, serialize_sources
from trialrun.run_dir.relocate import relocate_paths
from trialrun.run_dir.spool import SPOOL_LIMIT
from trialrun.run_dir.storage import make_absolute, refuse_credentials
from trialrun_hookspecs.request import Request
from trialrun_hookspecs.results import JobResult

__all__ = ["ExecutorName", "JobObserver", "JobStarted", "PreparedJob", "prepare_job", "resume", "run"]


def run(
    job: str | Path | Mapping[str, Any] | Request,
    *,
    plugin: Any,
    datasets: Mapping[int, Any] | None = None,
    checkpoints: Mapping[int, str | Path] | None = None,
    backend: str | Backend | None = None,
    job_id: int | None = None,
    address: str | None = None,
    executor: ExecutorName = "ray",
    results: str | Path = layout.RESULTS_ROOT,
    seed: int | None = None,
    plugins: Iterable[Any] = (),
    local_resources: Mapping[str, float] | None = None,
    watcher: JobObserver | None = None,
    spool_limit: int | None = SPOOL_LIMIT,
    storage: str | None = None,
    restore: str | Path | None = None,
) -> JobResult:
    """Run a job and return its result, which also stands in `result.json` of its results folder.

    job: a path of a JSON or YAML file, a dict, or a request.
    plugin: see `load_plugin`; plugins: others whose hooks are asked too (report, datasets, …).
    datasets, checkpoints: id -> what our recorder serves under it (a path, rows, or the name of a dataset).
    backend: URL of a running backend, or one that is open already and stays so; None starts a recorder of our own.
        Credentials come from the environment.
    address: of a Ray cluster; None joins the one of this process or RAY_ADDRESS, or starts a local one.
    local_resources: what a local Ray is started with, such as {"CPU": 4, "GPU": 1}.
    restore: a trial's folder, or one of its checkpoints: what begins here goes on from there, and counts reports on.
    storage: where the results folder is copied to, in the place of the job's own `storage_path`.
    spool_limit: bytes that each trial's spool may hold; a log_* call beyond it raises SpoolFull. None: no bound.

    Raises UsageError before anything runs, and JobFailed (TrainingFailed, AllTrialsFailed, JobInterrupted) or
    BackendError afterwards; what was recorded until then stays readable.
    """
    muted: list[str] = []
    if storage is not None:
        refuse_credentials(storage, "--storage")
    if restore is not None:
        find_checkpoint(Path(restore))
    prepared = prepare_job(
        job,
        plugin=plugin,
        executor=executor,
        seed=seed,
        plugins=plugins,
        address=address,
        local_resources=local_resources,
        muted=lambda name, error: muted.append(f"plugin {name} raised in report() and hears no more: {error!r}"),
    )
    offers = named_datasets(prepared.manager, datasets or {})
    fixtures = build_fixtures(datasets or {}, checkpoints or {}, offers)
    folder, number = layout.create_results_folder(Path(results), prepared.request.params.name, job_id)
    record = RunRecord(
        job_id=number,
        seed=prepared.seed,
        executor=executor,
        plugin=serialize_recipe(prepared.plugin),
        plugins=serialize_recipes(prepared.others),
        datasets=serialize_sources(datasets or {}),
        checkpoints=serialize_sources(checkpoints or {}),
        backend=backend.url if isinstance(backend, Backend) else backend,
        address=address,
        local_resources=dict(local_resources or {}),
        spool_limit=spool_limit,
        storage=_storage_url(storage, prepared),
        restore=str(Path(restore).absolute()) if restore is not None else None,
    )
    _write_job(folder, prepared)
    record.write(folder)
    late: list[str] = []
    with (
        run_lock(folder),
        _mirror_results(record, prepared, folder, late),
        _open_backend(backend, folder, fixtures) as there,
    ):
        result = JobRunner(prepared, there, folder, record, watcher=watcher or NullObserver(), muted=muted).run()
    return _add_warnings(result, late)


def resume(
    results: str | Path,
    *,
    failed: bool = False,
    plugin: Any = None,
    plugins: Iterable[Any] | None = None,
    datasets: Mapping[int, Any] | None = None,
    checkpoints: Mapping[int, str | Path] | None = None,
    backend: str | Backend | None = None,
    address: str | None = None,
    watcher: JobObserver | None = None,
    into: str | Path | None = None,
    restore: str | Path | None = None,
) -> JobResult:
    """Go on with a run that was interrupted or killed; for one that is complete, return its result.

    results: the run's folder, or the URL of a copy in storage. What it was called with stands there, and may be given
        anew: what was a live object or rows must be, as must what lies elsewhere now, such as `backend`.
    failed: also try the trials again that failed by themselves.
    into: where the copy is fetched to, as a folder of its own, and a path in `results` is that of a copy; it is then
        copied to that storage again. None: a URL is fetched to trialrun-results.

    Trials that had ended stay as they are; those that were cut off, or lost with their worker or node, go on from
    their newest complete checkpoint, and trials that had not been made are made. Raises what `run` raises.
    """
    folder, record = load_run(results, into)
    with run_lock(folder):
        past, done = read_journal(folder), _read_result(folder)
        if done is not None and not past.resumable_trials(failed=failed):
            return done
        if restore is not None:
            record = replace(record, restore=str(Path(restore).absolute()))
        check_sources_exist(folder, record, plugin, plugins, datasets or {}, checkpoints or {})
        muted: list[str] = []
        prepared = prepare_job(
            folder / layout.JOB_FILE,
            plugin=reload_plugin(record.plugin) if plugin is None else plugin,
            plugins=[reload_plugin(recipe) for recipe in record.plugins] if plugins is None else plugins,
            executor=record.executor,  # type: ignore[arg-type]  # it was checked then
            seed=record.seed,
            address=address or record.address,
            local_resources=record.local_resources,
            muted=lambda name, error: muted.append(f"plugin {name} raised in report() and hears no more: {error!r}"),
        )
        past = replace(past, configs={**past.configs, **trials_missing_from_journal(folder, past, prepared)})
        served = merge_sources(record.datasets, datasets or {})
        kept = merge_sources(record.checkpoints, checkpoints or {})
        fixtures = build_fixtures(served, kept, named_datasets(prepared.manager, served))
        record = replace(record, address=address or record.address)
        late: list[str] = []
        with (
            _mirror_results(record, prepared, folder, late, again=True),
            _open_backend(backend or record.backend, folder, fixtures) as there,
        ):
            for name in (layout.RESULT, layout.UNDELIVERED):
                (folder / name).unlink(missing_ok=True)
            running = JobRunner(
                prepared,
                there,
                folder,
                record,
                watcher=watcher or NullObserver(),
                muted=muted,
                past=past,
                go_on=tuple(past.resumable_trials(failed=failed)),
            )
            result = running.run()
        return _add_warnings(result, late)


def _read_result(folder: Path) -> JobResult | None:
    """The result of a run that came to its end."""
    try:
        said = json.loads((folder / layout.RESULT).read_text(encoding="utf-8"))
        result = JobResult.model_validate(relocate_paths(said, said["results_dir"] or str(folder), str(folder)))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if result.status == "SUCCEEDED" else None


def _mirror_results(
    record: RunRecord, prepared: PreparedJob, folder: Path, late: list[str], *, again: bool = False
) -> contextlib.AbstractContextManager[None]:
    """The results folder copied to where the call or the job wants it."""
    config = prepared.request.params.tune_config
    period = config.sync_period_s if config else 300.0
    needed = partial(files_of_newest, folder)
    return mirror_folder(
        record.storage, folder, period_s=period, where="storage", again=again, needed=needed, warn=late.append
    )


def _storage_url(given: str | None, prepared: PreparedJob) -> str | None:
    config = prepared.request.params.tune_config
    url = given or (config.storage_path if config else None)
    return make_absolute(url) if url else None


def _add_warnings(result: JobResult, late: list[str]) -> JobResult:
    return result.model_copy(update={"warnings": [*result.warnings, *late]}) if late else result


def _open_backend(
    backend: str | Backend | None, folder: Path, fixtures: Fixtures
) -> contextlib.AbstractContextManager[Backend]:
    tokens = read_tokens(os.environ)
    clear_tokens()
    if isinstance(backend, Backend):
        return contextlib.nullcontext(backend)
    return connect(backend, tokens) if backend else start_recorder(folder / layout.RECORDING, fixtures)


def _write_job(folder: Path, prepared: PreparedJob) -> None:
    data = prepared.request.model_dump(mode="json", exclude_none=True)
    if "tune_config" in data["params"]:
        data["params"]["tune_config"]["seed"] = prepared.seed
    text = json.dumps(data, indent=2, ensure_ascii=False)
    (folder / layout.JOB_FILE).write_text(text + "\n", encoding="utf-8")
