"""What a run that goes on was made of, found again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
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

__all__ = ["check_sources_exist", "load_run", "merge_sources", "reload_plugin", "trials_missing_from_journal"]


def load_run(results: str | Path, into: str | Path | None) -> tuple[Path, RunRecord]:
    """The run's folder, which is fetched where `results` is a copy in storage, and its record. Raises UsageError."""
    if into is None and "://" not in str(results):
        folder = Path(results).absolute()
        return folder, read_record(folder)
    if (Path(results) / layout.LOCK).exists():  # no copy: see that its run is over
        with run_lock(Path(results)):
            pass
    folder = fetch_run(str(results), Path(into or layout.RESULTS_ROOT))
    record = replace(read_record(folder), storage=parent_url(str(results)))
    record.write(folder)
    return folder, record


def check_sources_exist(
    folder: Path,
    record: RunRecord,
    plugin: Any,
    plugins: Iterable[Any] | None,
    datasets: Mapping[int, Any],
    checkpoints: Mapping[int, Any],
) -> None:
    """Raises UsageError with all that must be given again: it was a live object, or is not where it was."""
    places = [("plugin", _recipe_location(record.plugin))] if plugin is None else []
    places += [("with", _recipe_location(recipe)) for recipe in record.plugins] if plugins is None else []
    places += [(f"dataset {n}=…", source) for n, source in record.datasets.items() if int(n) not in datasets]
    places += [(f"checkpoint {n}=…", source) for n, source in record.checkpoints.items() if int(n) not in checkpoints]
    places += [("restore", record.restore)] if record.restore else []
    problems = [problem for what, place in places if (problem := _check_location(folder, what, place))]
    if problems:
        raise UsageError(problems=problems)


def _recipe_location(recipe: Mapping[str, str] | None) -> str | None:
    if recipe is None:
        return None
    return recipe["spec"] if recipe["kind"] == "path" else recipe["root"]


def _check_location(folder: Path, what: str, place: str | None) -> Problem | None:
    fix = f"Give it again: trialrun resume {folder} --{what}"
    if place is None:
        return Problem(where="resume", rule=f"the {what} was handed over as a live object", fix=fix)
    if Path(place).is_absolute() and not Path(place).exists():
        return Problem(where="resume", rule=f"the {what} is not where it was", got=place, fix=fix)
    return None


def reload_plugin(recipe: Mapping[str, str] | None) -> Plugin:
    """The plugin of a recipe that `check_there` has seen."""
    return load_recipe(Recipe(**cast("dict[str, Any]", recipe)))


def merge_sources(recorded: Mapping[str, str | None], given: Mapping[int, Any]) -> dict[int, Any]:
    """The fixtures of the run, or what is given in their place."""
    return {**{int(number): source for number, source in recorded.items()}, **given}


def trials_missing_from_journal(folder: Path, past: StudyHistory, prepared: PreparedJob) -> dict[str, dict[str, Any]]:
    """Trials that a copy has, but not its journal, which was copied before they began: their hyperparameters by id."""
    found: dict[str, dict[str, Any]] = {}
    if not prepared.request.params.is_tune:
        return found
    study = build_study(prepared, results=folder)
    for path in sorted(study.spool_dir.glob(f"*{layout.FIRST_SPOOL_SUFFIX}")):
        trial_id = path.name.removesuffix(layout.FIRST_SPOOL_SUFFIX)
        config = study.trial_folders.find_folder(trial_id) / layout.TRIAL_CONFIG
        if trial_id not in past.configs and config.exists():
            with contextlib.suppress(ValueError):  # torn
                said = json.loads(config.read_text(encoding="utf-8"))
                found[trial_id] = study.space.try_complete_values(flatten_values(said, study.space.distributions))
    return found
