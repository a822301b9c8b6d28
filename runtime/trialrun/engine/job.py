"""The public `run` and `resume`: a job from its request to its result."""

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
    JobSources,
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
from trialrun.run_dir.history import StudyHistory
from trialrun.run_dir.journal import read_journal
from trialrun.run_dir.lock import run_lock
from trialrun.run_dir.mirror import mirror_folder
from trialrun.run_dir.record import RunRecord, serialize_recipe, serialize_recipes, serialize_sources
from trialrun.run_dir.relocate import relocate_paths
from trialrun.run_dir.run_config import RunConfig
from trialrun.run_dir.spool import SPOOL_LIMIT
from trialrun.run_dir.storage import refuse_credentials
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
    """Run a job and return its result, which is also written to `result.json` in its results folder.

    job: the path of a JSON or YAML file, a dict, or a request.
    plugin: see `load_plugin`; plugins: further ones whose hooks are called too (report, datasets, …).
    datasets, checkpoints: what our recorder serves under each id (a path, rows, or the name of a dataset).
    backend: the URL of a running backend, or an open one, which is not closed; None starts a recorder.
        Credentials come from the environment.
    job_id: the job's id on its backend; None: the next free number below `results`.
    address: the address of a Ray cluster; None joins the one of this process or RAY_ADDRESS, or starts a local Ray.
    executor: "ray", or "inline": trials one after another in this process, without Ray.
    results: the folder below which the results folder is made.
    seed: of search and trials, at least 0 and below 2**32; None: the job's seed, else a random one.
    local_resources: what a local Ray is started with, such as {"CPU": 4, "GPU": 1}.
    watcher: is called when the job starts and for each event.
    restore: a trial's folder or one of its checkpoints: trials, or the training, begin from it and continue its count
        of reports.
    storage: where the results folder is copied to, instead of the job's own `storage_path`.
    spool_limit: bytes that each trial's spool may hold; a log_* call beyond it raises SpoolFull. None: no limit.

    Raises UsageError before anything runs, and JobFailed (TrainingFailed, AllTrialsFailed, JobInterrupted) or
    BackendError afterwards; what was recorded until then stays readable.
    """
    if storage is not None:
        refuse_credentials(storage, "--storage")
    if restore is not None:
        find_checkpoint(Path(restore))
    config = RunConfig(
        executor=executor,
        seed=seed,
        address=address,
        local_resources=dict(local_resources or {}),
        spool_limit=spool_limit,
        storage=storage,
        restore=_make_absolute(restore),
    )
    muted: list[str] = []
    prepared = prepare_job(
        job, plugin=plugin, plugins=plugins, run_config=config, on_mute=partial(_note_muted_plugin, muted)
    )
    offers = named_datasets(prepared.manager, datasets or {})
    fixtures = build_fixtures(datasets or {}, checkpoints or {}, offers)
    folder, number = layout.create_results_folder(Path(results), prepared.request.params.name, job_id)
    record = RunRecord(
        job_id=number,
        run_config=prepared.run_config,
        plugin=serialize_recipe(prepared.plugin),
        plugins=serialize_recipes(prepared.others),
        datasets=serialize_sources(datasets or {}),
        checkpoints=serialize_sources(checkpoints or {}),
        backend=backend.url if isinstance(backend, Backend) else backend,
    )
    _write_job(folder, prepared)
    record.write(folder)
    with run_lock(folder):
        return _run_prepared(prepared, record, folder, fixtures, backend, watcher, muted)


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
    """Resume a run that was interrupted or killed; return the result of one that is complete.

    results: the run's folder, or the URL of a copy in storage. It records what the run was called with. Any of that may
        be given again; live objects, rows and whatever has moved, such as `backend`, must be.
    failed: also run the trials again whose own code failed.
    into: the folder below which the copy is fetched, and a path in `results` is then that of a copy. The run is copied
        to that storage again. None: a URL is fetched to trialrun-results.

    Trials that had ended are kept. Trials that were interrupted, or lost with their worker or node, resume from their
    newest complete checkpoint, and the trials that had not been created are run. Raises what `run` raises.
    """
    folder, record = load_run(results, into)
    with run_lock(folder):
        history, complete = read_journal(folder), _read_result(folder)
        if complete is not None and not history.resumable_trials(failed=failed):
            return complete
        config = replace(
            record.run_config,
            address=address or record.run_config.address,
            restore=_make_absolute(restore) or record.run_config.restore,
        )
        record = replace(record, run_config=config)
        given = JobSources(plugin=plugin, plugins=plugins, datasets=datasets or {}, checkpoints=checkpoints or {})
        check_sources_exist(folder, record, given)
        muted: list[str] = []
        prepared = prepare_job(
            folder / layout.JOB_FILE,
            plugin=reload_plugin(record.plugin) if plugin is None else plugin,
            plugins=[reload_plugin(recipe) for recipe in record.plugins] if plugins is None else plugins,
            run_config=config,
            on_mute=partial(_note_muted_plugin, muted),
        )
        history = replace(
            history, configs={**history.configs, **trials_missing_from_journal(folder, history, prepared)}
        )
        fixtures = _build_merged_fixtures(record, given, prepared)
        resumed = tuple(history.resumable_trials(failed=failed))
        return _run_prepared(
            prepared, record, folder, fixtures, backend or record.backend, watcher, muted, history, resumed
        )


def _run_prepared(
    prepared: PreparedJob,
    record: RunRecord,
    folder: Path,
    fixtures: Fixtures,
    backend: str | Backend | None,
    watcher: JobObserver | None,
    muted: list[str],
    history: StudyHistory | None = None,
    resumed: tuple[str, ...] = (),
) -> JobResult:
    """Run the job in its locked folder; `history` is None for a new run."""
    late: list[str] = []
    with (
        _mirror_results(prepared, record, folder, late, again=history is not None),
        _open_backend(backend, folder, fixtures) as opened,
    ):
        for name in (layout.RESULT, layout.UNDELIVERED):  # of the run that is resumed
            (folder / name).unlink(missing_ok=True)
        runner = JobRunner(
            prepared,
            opened,
            folder,
            record,
            watcher=watcher or NullObserver(),
            muted=muted,
            history=history,
            resumed=resumed,
        )
        result = runner.run()
    return result.model_copy(update={"warnings": [*result.warnings, *late]}) if late else result


def _note_muted_plugin(muted: list[str], name: str, error: BaseException) -> None:
    muted.append(f"plugin {name} raised in report() and gets no more events: {error!r}")


def _make_absolute(path: str | Path | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _read_result(folder: Path) -> JobResult | None:
    """Return the result of a run that succeeded, else None."""
    try:
        data = json.loads((folder / layout.RESULT).read_text(encoding="utf-8"))
        result = JobResult.model_validate(relocate_paths(data, data["results_dir"] or str(folder), str(folder)))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result if result.status == "SUCCEEDED" else None


def _build_merged_fixtures(record: RunRecord, given: JobSources, prepared: PreparedJob) -> Fixtures:
    datasets = merge_sources(record.datasets, given.datasets)
    checkpoints = merge_sources(record.checkpoints, given.checkpoints)
    return build_fixtures(datasets, checkpoints, named_datasets(prepared.manager, datasets))


def _mirror_results(
    prepared: PreparedJob, record: RunRecord, folder: Path, late: list[str], *, again: bool
) -> contextlib.AbstractContextManager[None]:
    """Copy the results folder to the run's storage, if it has one, while the block runs and at its end."""
    config = prepared.params.tune_config
    period = config.sync_period_s if config else 300.0
    needed = partial(files_of_newest, folder)
    url = record.run_config.storage
    return mirror_folder(url, folder, period_s=period, where="storage", again=again, needed=needed, warn=late.append)


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
