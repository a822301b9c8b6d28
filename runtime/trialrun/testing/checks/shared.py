"""What several checks need: the usual scenes, whose fault a failed run is, and how runs are compared."""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trialrun.events import flatten
from trialrun.testing.context import Lab
from trialrun.testing.observation import Scene, SceneError

__all__ = [
    "METHODS",
    "at",
    "binds",
    "blame",
    "config_of",
    "failures",
    "first_error",
    "fixed_at",
    "kept_checkpoints",
    "loaded",
    "logged",
    "names_it",
    "number_of",
    "objectives",
    "same_values",
    "trained",
    "trials_of",
    "tuned",
]

METHODS = ("log_metric", "log_visualization", "log_message", "log_trials", "set_progress", "report")

_CALL_OWNERS = {
    "log_metric": "TR205",
    "report": "TR205",
    "log_trials": "TR205",
    "set_progress": "TR207",
    "log_visualization": "TR402",
    "log_message": "TR404",
}


def loaded(lab: Lab) -> Scene:
    """The plugin as loaded; Vacuous when it does not load: TR101 to TR105 say why."""
    scene = lab.needs_ok(lab.load())
    if not all(binds(scene, hook) for hook in ("train", "tune")):
        lab.vacuous("a hook cannot be called: see TR107")
    return scene


def binds(scene: Scene, hook: str) -> bool:
    """Whether the function, whatever it wraps, takes the four arguments by position; true of one that is not there."""
    return bool(scene.signatures.get(hook, {}).get("binds", True))


def trained(lab: Lab, **overrides: Any) -> Scene:
    """A training job that succeeded; Vacuous when it did not."""
    loaded(lab)
    return lab.needs_ok(lab.train(**overrides))


def tuned(lab: Lab, **overrides: Any) -> Scene:
    """A tuning job in which no trial failed; Vacuous when one did."""
    loaded(lab)
    scene = lab.needs_ok(lab.tune(**overrides))
    if scene.hook_errors or failures(scene):
        lab.vacuous("a trial failed: see TR301, TR303, TR304 and TR313")
    return scene


def failures(scene: Scene) -> list[dict[str, Any]]:
    return [failure for failure in (scene.result or {}).get("failures", ()) if failure["status"] == "ERROR"]


# whose fault a failed run is


def first_error(scene: Scene) -> SceneError | None:
    return scene.hook_errors[0] if scene.hook_errors else scene.error


def blame(scene: Scene) -> str:
    """The check that a run's failure belongs to: it is told of once. An empty string when nothing failed."""
    if not scene.ended:
        return "TR201" if scene.scenario.kind == "train" else "TR301"
    if scene.hook_errors:
        return _blame_hook(scene, scene.hook_errors[0])
    if scene.ok and not failures(scene):
        return ""
    if scene.scenario.kind == "train":
        return "TR202"
    return _blame_trial(str(scene.error or "") + "".join(failure["error"] for failure in failures(scene)))


def _blame_hook(scene: Scene, error: SceneError) -> str:
    if error.type == "BadValue":
        refused = [call for call in scene.calls if str(call["raised"] or "").startswith("BadValue")]
        if refused:
            return _CALL_OWNERS.get(refused[-1]["name"], "TR205")
    if error.type == "ObjectiveMissing":
        return "TR304"
    if scene.scenario.kind == "train":
        return "TR214" if scene.scenario.checkpoint is None and _stumbles_over_none(error) else "TR201"
    return "TR301"


def _stumbles_over_none(error: SceneError) -> bool:
    if error.where is None or error.type not in ("TypeError", "AttributeError"):
        return False
    return "NoneType" in error.message and "checkpoint" in linecache.getline(*error.where)


def _blame_trial(text: str) -> str:
    if "ObjectiveMissing" in text:
        return "TR304"
    return "TR313" if "BadValue" in text else "TR301"


# what was said


def at(call: Mapping[str, Any]) -> tuple[str, int]:
    """File and line of a use of `run`."""
    return call["file"], call["line"]


def names_it(text: str, name: str) -> bool:
    """Whether a message names the hyperparameter: its last part, as a word."""
    word = name.rpartition("/")[2]
    cleaned = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return word in text if not word.isidentifier() else word in cleaned.split()


def logged(scene: Scene) -> list[tuple[Any, ...]]:
    """Every point in order: what was said, with its values, and nothing that differs between two equal runs."""
    return [
        (call["name"], repr(call["args"][:1] if call["name"] == "report" else call["args"]), repr(_said(call)))
        for call in scene.calls
        if call["name"] in ("log_metric", "report") and not call["raised"]
    ]


def _said(call: Mapping[str, Any]) -> Any:
    return {key: value for key, value in call["kwargs"].items() if key != "checkpoint"}


# trials


def number_of(trial_id: str | None) -> int:
    """The trial's place in its study."""
    tail = (trial_id or "").rpartition("_")[2]
    return int(tail) if tail.isdigit() else 0


def trials_of(scene: Scene) -> dict[int, list[dict[str, Any]]]:
    """What each trial reported, in order, by the trial's number."""
    found: dict[int, list[dict[str, Any]]] = {}
    for report in scene.reports():
        found.setdefault(number_of(report["trial_id"]), []).append(report)
    return found


def objectives(reports: Iterable[Mapping[str, Any]], metric: str) -> list[Any]:
    return [flatten(report["metrics"]).get(metric) for report in reports]


def values(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The numbers of each report, without paths and times."""
    return [
        {
            key: value
            for key, value in flatten(report["metrics"]).items()
            if isinstance(value, int | float) and not _is_clock(key)
        }
        for report in reports
    ]


def _is_clock(key: str) -> bool:
    return any(word in key.lower() for word in ("time", "seconds", "duration", "elapsed", "per_s", "memory"))


def same_values(one: Iterable[Mapping[str, Any]], other: Iterable[Mapping[str, Any]]) -> bool:
    """Whether two lists of reports hold the same numbers; the last digits may differ."""
    left, right = values(one), values(other)
    return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))


def _equal(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return one.keys() == other.keys() and all(math.isclose(one[key], other[key], rel_tol=1e-9) for key in one)


def config_of(scene: Scene, number: int) -> dict[str, Any]:
    """A trial's hyperparameters by the names of the space."""
    for hook in scene.hooks:
        if number_of(hook["trial_id"]) == number:
            return _picked(hook["hyperparameter_before"], [d["name"] for d in scene.scenario.space])
    return {}


def _picked(nested: Any, names: Iterable[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        value = nested
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, Mapping) else None
        found[name] = value
    return found


def fixed_at(config: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """A space that draws exactly this config."""
    return tuple(_fixed(config))


def _fixed(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in config.items():
        yield {"name": name, "type": "choice", "options": [value]}


def kept_checkpoints(scene: Scene) -> list[Path]:
    """Checkpoints that trials reported, as the executor kept them, oldest first per trial."""
    return sorted(scene.folder.glob("results/*/trials/*/checkpoint_*"))
