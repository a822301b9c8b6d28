"""What a run that goes on was made of, found again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from trialrun.engine.preflight import Prepared, study_of
from trialrun.plugins import Plugin, Recipe, load_recipe
from trialrun.run_dir.fetch import fetched
from trialrun.run_dir.history import Past
from trialrun.run_dir.record import RunRecord, held, read_record
from trialrun.run_dir.storage import above
from trialrun.space import flatten
from trialrun_hookspecs.errors import Problem, UsageError

__all__ = ["again", "check_there", "found_again", "sources", "unsaid"]


def found_again(results: str | Path, into: str | Path | None) -> tuple[Path, RunRecord]:
    """The run's folder, which is fetched where `results` is a copy in storage, and its record. Raises UsageError."""
    if into is None and "://" not in str(results):
        folder = Path(results).absolute()
        return folder, read_record(folder)
    if (Path(results) / "lock").exists():  # no copy: see that its run is over
        with held(Path(results)):
            pass
    folder = fetched(str(results), Path(into or "trialrun-results"))
    record = replace(read_record(folder), storage=above(str(results)))
    record.write(folder)
    return folder, record


def check_there(
    folder: Path,
    record: RunRecord,
    plugin: Any,
    plugins: Iterable[Any] | None,
    datasets: Mapping[int, Any],
    checkpoints: Mapping[int, Any],
) -> None:
    """Raises UsageError with all that must be given again: it was a live object, or is not where it was."""
    places = [("plugin", _place(record.plugin))] if plugin is None else []
    places += [("with", _place(recipe)) for recipe in record.plugins] if plugins is None else []
    places += [(f"dataset {n}=…", source) for n, source in record.datasets.items() if int(n) not in datasets]
    places += [(f"checkpoint {n}=…", source) for n, source in record.checkpoints.items() if int(n) not in checkpoints]
    places += [("restore", record.restore)] if record.restore else []
    problems = [problem for what, place in places if (problem := _missing(folder, what, place))]
    if problems:
        raise UsageError(problems=problems)


def _place(recipe: Mapping[str, str] | None) -> str | None:
    if recipe is None:
        return None
    return recipe["spec"] if recipe["kind"] == "path" else recipe["root"]


def _missing(folder: Path, what: str, place: str | None) -> Problem | None:
    fix = f"Give it again: trialrun resume {folder} --{what}"
    if place is None:
        return Problem(where="resume", rule=f"the {what} was handed over as a live object", fix=fix)
    if Path(place).is_absolute() and not Path(place).exists():
        return Problem(where="resume", rule=f"the {what} is not where it was", got=place, fix=fix)
    return None


def again(recipe: Mapping[str, str] | None) -> Plugin:
    """The plugin of a recipe that `check_there` has seen."""
    return load_recipe(Recipe(**cast("dict[str, Any]", recipe)))


def sources(recorded: Mapping[str, str | None], given: Mapping[int, Any]) -> dict[int, Any]:
    """The fixtures of the run, or what is given in their place."""
    return {**{int(number): source for number, source in recorded.items()}, **given}


def unsaid(folder: Path, past: Past, prepared: Prepared) -> dict[str, dict[str, Any]]:
    """Trials that a copy has, but not its journal, which was copied before they began: their hyperparameters by id."""
    found: dict[str, dict[str, Any]] = {}
    if not prepared.request.params.is_tune:
        return found
    study = study_of(prepared, results=folder)
    for path in sorted(study.spool_dir.glob("*.0.jsonl")):
        trial_id = path.name.removesuffix(".0.jsonl")
        config = study.folders.of(trial_id) / "config.json"
        if trial_id not in past.configs and config.exists():
            with contextlib.suppress(ValueError):  # torn
                said = json.loads(config.read_text(encoding="utf-8"))
                found[trial_id] = study.space.completed(flatten(said, study.space.distributions))
    return found
