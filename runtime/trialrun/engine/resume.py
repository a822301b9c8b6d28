"""The record of a run that is resumed, and what must be given again for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from trialrun.engine.preflight import PreparedJob, build_study
from trialrun.plugins import Plugin, Recipe, load_recipe
from trialrun.run_dir import layout
from trialrun.run_dir.fetch import fetch_run
from trialrun.run_dir.history import StudyHistory
from trialrun.run_dir.lock import run_lock
from trialrun.run_dir.record import RunRecord, read_record
from trialrun.run_dir.storage import parent_url
from trialrun.space import flatten_values
from trialrun_hookspecs.errors import Problem, UsageError

__all__ = [
    "JobSources",
    "check_sources_exist",
    "load_run",
    "merge_sources",
    "reload_plugin",
    "trials_missing_from_journal",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSources:
    """What is given again when a run is resumed. None: the plugin or plugins that the run's record names."""

    plugin: Any = None
    plugins: Iterable[Any] | None = None
    datasets: Mapping[int, Any] = field(default_factory=dict)
    checkpoints: Mapping[int, Any] = field(default_factory=dict)


def load_run(results: str | Path, into: str | Path | None) -> tuple[Path, RunRecord]:
    """Return the run's folder, fetched where `results` is a copy in storage, and its record. Raises UsageError."""
    if into is None and "://" not in str(results):
        folder = Path(results).absolute()
        return folder, read_record(folder)
    if (Path(results) / layout.LOCK).exists():  # the run's own folder and no copy: its run must be over
        with run_lock(Path(results)):
            pass
    folder = fetch_run(str(results), Path(into or layout.RESULTS_ROOT))
    record = read_record(folder)
    record = replace(record, run_config=replace(record.run_config, storage=parent_url(str(results))))
    record.write(folder)
    return folder, record


def check_sources_exist(folder: Path, record: RunRecord, given: JobSources) -> None:
    """Raise UsageError with all that must be given again, because it was a live object or has moved."""
    places = [("plugin", _recipe_location(record.plugin))] if given.plugin is None else []
    places += [("with", _recipe_location(recipe)) for recipe in record.plugins] if given.plugins is None else []
    places += [(f"dataset {n}=…", source) for n, source in record.datasets.items() if int(n) not in given.datasets]
    places += [
        (f"checkpoint {n}=…", source) for n, source in record.checkpoints.items() if int(n) not in given.checkpoints
    ]
    places += [("restore", record.run_config.restore)] if record.run_config.restore else []
    problems = [problem for option, place in places if (problem := _check_location(folder, option, place))]
    if problems:
        raise UsageError(problems=problems)


def _recipe_location(recipe: Mapping[str, str] | None) -> str | None:
    if recipe is None:
        return None
    return recipe["spec"] if recipe["kind"] == "path" else recipe["root"]


def _check_location(folder: Path, option: str, place: str | None) -> Problem | None:
    fix = f"Give it again: trialrun resume {folder} --{option}"
    if place is None:
        return Problem(where="resume", rule=f"the {option} was handed over as a live object", fix=fix)
    if Path(place).is_absolute() and not Path(place).exists():
        return Problem(where="resume", rule=f"the {option} is not where it was", got=place, fix=fix)
    return None


def reload_plugin(recipe: Mapping[str, str] | None) -> Plugin:
    """Return the plugin of a recipe that `check_sources_exist` has accepted."""
    return load_recipe(Recipe(**cast("dict[str, Any]", recipe)))


def merge_sources(recorded: Mapping[str, str | None], given: Mapping[int, Any]) -> dict[int, Any]:
    """Return the fixtures of the run by id; what is given replaces what is recorded."""
    return {**{int(number): source for number, source in recorded.items()}, **given}


def trials_missing_from_journal(
    folder: Path, history: StudyHistory, prepared: PreparedJob
) -> dict[str, dict[str, Any]]:
    """Return the hyperparameters, by trial id, of trials that began after a copy's journal was copied."""
    missing: dict[str, dict[str, Any]] = {}
    if not prepared.params.is_tune:
        return missing
    study = build_study(prepared, results=folder)
    for path in sorted(study.spool_dir.glob(f"*{layout.FIRST_SPOOL_SUFFIX}")):
        trial_id = path.name.removesuffix(layout.FIRST_SPOOL_SUFFIX)
        config = study.trial_folders.find_folder(trial_id) / layout.TRIAL_CONFIG
        if trial_id not in history.configs and config.exists():
            with contextlib.suppress(ValueError):  # cut short when its writer died
                values = json.loads(config.read_text(encoding="utf-8"))
                missing[trial_id] = study.space.try_complete_values(flatten_values(values, study.space.distributions))
    return missing
