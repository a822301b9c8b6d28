"""What several checks need: the usual observations, whose fault a failed run is, and how runs are compared."""

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
    "mentions_name",
    "parse_trial_number",
    "require_load",
    "require_training",
    "require_tuning",
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
    """The plugin as loaded; Vacuous when it does not load: TR101 to TR105 say why."""
    observation = context.require_ok(context.load())
    if not all(can_bind(observation, hook) for hook in ("train", "tune")):
        context.raise_vacuous("a hook cannot be called: see TR107")
    return observation


def can_bind(observation: Observation, hook: str) -> bool:
    """Whether the function, whatever it wraps, takes the four arguments by position; true of one that is not there."""
    return bool(observation.hook_signatures.get(hook, {}).get("binds", True))


def require_training(context: CheckContext, **overrides: Any) -> Observation:
    """A training job that succeeded; Vacuous when it did not."""
    require_load(context)
    return context.require_ok(context.train(**overrides))


def require_tuning(context: CheckContext, **overrides: Any) -> Observation:
    """A tuning job in which no trial failed; Vacuous when one did."""
    require_load(context)
    observation = context.require_ok(context.tune(**overrides))
    if observation.hook_errors or list_failures(observation):
        context.raise_vacuous("a trial failed: see TR301, TR303, TR304 and TR313")
    return observation


def list_failures(observation: Observation) -> list[dict[str, Any]]:
    return [failure for failure in (observation.result or {}).get("failures", ()) if failure["status"] == "ERROR"]


# whose fault a failed run is


def first_error(observation: Observation) -> ErrorRecord | None:
    return observation.hook_errors[0] if observation.hook_errors else observation.error


def find_blamed_check(observation: Observation) -> str:
    """The check that a run's failure belongs to: it is told of once. An empty string when nothing failed."""
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


# what was said


def locate_call(call: Mapping[str, Any]) -> tuple[str, int]:
    """File and line of a use of `run`."""
    return call["file"], call["line"]


def mentions_name(text: str, name: str) -> bool:
    """Whether a message names the hyperparameter: its last part, as a word."""
    word = name.rpartition("/")[2]
    cleaned = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return word in text if not word.isidentifier() else word in cleaned.split()


def list_points(observation: Observation) -> list[tuple[Any, ...]]:
    """Every point in order: what was said, with its values, and nothing that differs between two equal runs."""
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
    """The trial's place in its study."""
    tail = (trial_id or "").rpartition("_")[2]
    return int(tail) if tail.isdigit() else 0


def group_reports(observation: Observation) -> dict[int, list[dict[str, Any]]]:
    """What each trial reported, in order, by the trial's number."""
    found: dict[int, list[dict[str, Any]]] = {}
    for report in observation.reports():
        found.setdefault(parse_trial_number(report["trial_id"]), []).append(report)
    return found


def list_objectives(reports: Iterable[Mapping[str, Any]], metric: str) -> list[Any]:
    return [flatten_mapping(report["metrics"]).get(metric) for report in reports]


def extract_numbers(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The numbers of each report, without paths and times."""
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
    """Whether two lists of reports hold the same numbers; the last digits may differ."""
    left, right = extract_numbers(one), extract_numbers(other)
    return len(left) == len(right) and all(_is_close(a, b) for a, b in zip(left, right, strict=True))


def _is_close(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(math.isclose(one[key], other[key], rel_tol=1e-9) for key in one)


def get_trial_config(observation: Observation, number: int) -> dict[str, Any]:
    """A trial's hyperparameters by the names of the space."""
    for hook in observation.hook_calls:
        if parse_trial_number(hook["trial_id"]) == number:
            return _pick_values(hook["hyperparameter_before"], [d["name"] for d in observation.scenario.space])
    return {}


def _pick_values(nested: Any, names: Iterable[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        value = nested
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[name] = value
    return found


def build_fixed_space(config: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """A space that draws exactly this config."""
    return tuple(_choice_distributions(config))


def _choice_distributions(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in config.items():
        yield {"name": name, "type": "choice", "options": [value]}


def list_checkpoints(observation: Observation) -> list[Path]:
    """Checkpoints that trials reported, as the executor kept them, oldest first per trial."""
    return sorted(observation.folder.glob(f"results/*/{layout.TRIALS_DIR}/*/{layout.CHECKPOINT_PREFIX}*"))
