"""Helpers of several checks: the plain runs, the check that owns a failure, and the comparison of runs."""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trialrun.events import flatten_mapping
from trialrun.run_dir import layout
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import ErrorRecord, Observation

__all__ = [
    "RUN_METHODS",
    "build_fixed_space",
    "can_bind",
    "find_blamed_check",
    "first_error",
    "get_trial_config",
    "group_reports",
    "list_checkpoints",
    "list_failures",
    "list_objectives",
    "list_points",
    "locate_call",
    "locate_error",
    "mentions_name",
    "parse_trial_number",
    "require_load",
    "require_training",
    "require_tuning",
    "run_jobs",
    "same_values",
]

RUN_METHODS = ("log_metric", "log_visualization", "log_message", "log_trials", "set_progress", "report")

_CALL_OWNERS = {
    "log_metric": "TR205",
    "report": "TR205",
    "log_trials": "TR205",
    "set_progress": "TR207",
    "log_visualization": "TR402",
    "log_message": "TR404",
}


def require_load(context: CheckContext) -> Observation:
    """Load the plugin. Raises Vacuous when that fails, which TR101 to TR105 report."""
    observation = context.require_ok(context.load())
    if not all(can_bind(observation, hook) for hook in ("train", "tune")):
        context.raise_vacuous("a hook cannot be called: see TR107")
    return observation


def can_bind(observation: Observation, hook: str) -> bool:
    """Return whether the hook, whatever it wraps, accepts four positional arguments; true when it is absent."""
    return bool(observation.hook_signatures.get(hook, {}).get("binds", True))


def require_training(context: CheckContext, **overrides: Any) -> Observation:
    """Run a training job. Raises Vacuous when it fails."""
    require_load(context)
    return context.require_ok(context.train(**overrides))


def require_tuning(context: CheckContext, **overrides: Any) -> Observation:
    """Run a tuning job. Raises Vacuous when a trial fails."""
    require_load(context)
    observation = context.require_ok(context.tune(**overrides))
    if observation.hook_errors or list_failures(observation):
        context.raise_vacuous("a trial failed: see TR301, TR303, TR304 and TR313")
    return observation


def run_jobs(context: CheckContext) -> Iterator[Observation]:
    """Yield the training run, and the tuning run of a plugin with tune()."""
    require_load(context)
    observation = context.train()
    yield observation
    if "tune" in context.load().hook_signatures:
        yield context.tune()


def list_failures(observation: Observation) -> list[dict[str, Any]]:
    return [failure for failure in (observation.result or {}).get("failures", ()) if failure["status"] == "ERROR"]


# ownership of failures


def first_error(observation: Observation) -> ErrorRecord | None:
    return observation.hook_errors[0] if observation.hook_errors else observation.error


def locate_error(error: ErrorRecord | None) -> tuple[str, int] | None:
    """Return file and line of an error in the plugin, or None."""
    return error.where if error else None


def find_blamed_check(observation: Observation) -> str:
    """Return the one check that reports this run's failure, or "" when nothing failed."""
    if not observation.has_ended:
        return "TR201" if observation.scenario.kind == "train" else "TR301"
    if observation.hook_errors:
        return _blame_hook(observation, observation.hook_errors[0])
    if observation.ok and not list_failures(observation):
        return ""
    if observation.scenario.kind == "train":
        return "TR202"
    return _blame_trial(
        str(observation.error or "") + "".join(failure["error"] for failure in list_failures(observation))
    )


def _blame_hook(observation: Observation, error: ErrorRecord) -> str:
    if error.type == "BadValue":
        refused = [call for call in observation.calls if str(call["raised"] or "").startswith("BadValue")]
        if refused:
            return _CALL_OWNERS.get(refused[-1]["name"], "TR205")
    if error.type == "ObjectiveMissing":
        return "TR304"
    if observation.scenario.kind == "train":
        return "TR214" if observation.scenario.checkpoint is None and _stumbles_over_none(error) else "TR201"
    return "TR301"


def _stumbles_over_none(error: ErrorRecord) -> bool:
    if error.where is None or error.type not in ("TypeError", "AttributeError"):
        return False
    return "NoneType" in error.message and "checkpoint" in linecache.getline(*error.where)


def _blame_trial(text: str) -> str:
    if "ObjectiveMissing" in text:
        return "TR304"
    return "TR313" if "BadValue" in text else "TR301"


# calls of run


def locate_call(call: Mapping[str, Any]) -> tuple[str, int]:
    """Return file and line of a use of `run`."""
    return call["file"], call["line"]


def mentions_name(text: str, name: str) -> bool:
    """Return whether a text contains the last part of a hyperparameter's name, as a word."""
    word = name.rpartition("/")[2]
    cleaned = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return word in text if not word.isidentifier() else word in cleaned.split()


def list_points(observation: Observation) -> list[tuple[Any, ...]]:
    """Return every logged point in order, without values that differ between equal runs."""
    return [
        (
            call["name"],
            repr(call["args"][:1] if call["name"] == "report" else call["args"]),
            repr(_comparable_kwargs(call)),
        )
        for call in observation.calls
        if call["name"] in ("log_metric", "report") and not call["raised"]
    ]


def _comparable_kwargs(call: Mapping[str, Any]) -> Any:
    return {key: value for key, value in call["kwargs"].items() if key != "checkpoint"}


# trials


def parse_trial_number(trial_id: str | None) -> int:
    """Return the number of a trial in its study, from 0."""
    tail = (trial_id or "").rpartition("_")[2]
    return int(tail) if tail.isdigit() else 0


def group_reports(observation: Observation) -> dict[int, list[dict[str, Any]]]:
    """Return trial number -> reports in order."""
    groups: dict[int, list[dict[str, Any]]] = {}
    for report in observation.reports():
        groups.setdefault(parse_trial_number(report["trial_id"]), []).append(report)
    return groups


def list_objectives(reports: Iterable[Mapping[str, Any]], metric: str) -> list[Any]:
    return [flatten_mapping(report["metrics"]).get(metric) for report in reports]


def extract_numbers(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the numbers of each report, without durations and memory sizes."""
    return [
        {
            key: value
            for key, value in flatten_mapping(report["metrics"]).items()
            if isinstance(value, int | float) and not _is_clock(key)
        }
        for report in reports
    ]


def _is_clock(key: str) -> bool:
    return any(word in key.lower() for word in ("time", "seconds", "duration", "elapsed", "per_s", "memory"))


def same_values(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether two lists of reports hold equal numbers, to a relative tolerance of 1e-9."""
    left, right = extract_numbers(one), extract_numbers(other)
    return len(left) == len(right) and all(_is_close(a, b) for a, b in zip(left, right, strict=True))


def _is_close(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(math.isclose(one[key], other[key], rel_tol=1e-9) for key in one)


def get_trial_config(observation: Observation, number: int) -> dict[str, Any]:
    """Return a trial's hyperparameters by the flat names of the space."""
    for hook in observation.hook_calls:
        if parse_trial_number(hook["trial_id"]) == number:
            return _pick_values(hook["hyperparameter_before"], [d["name"] for d in observation.scenario.space])
    return {}


def _pick_values(nested: Any, names: Iterable[str]) -> dict[str, Any]:
    values = {}
    for name in names:
        value = nested
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, Mapping) else None
        values[name] = value
    return values


def build_fixed_space(config: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return a space whose only config is this one."""
    return tuple(_choice_distributions(config))


def _choice_distributions(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in config.items():
        yield {"name": name, "type": "choice", "options": [value]}


def list_checkpoints(observation: Observation) -> list[Path]:
    """Return the checkpoints of trials that the executor kept, oldest first per trial."""
    return sorted(observation.folder.glob(f"results/*/{layout.TRIALS_DIR}/*/{layout.CHECKPOINT_PREFIX}*"))
