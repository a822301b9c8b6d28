"""The comparison of two recordings: trials are matched by hyperparameters, times and ids are ignored."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trialrun.numbers import is_number
from trialrun.recordings.jobs import read_best_trial
from trialrun.recordings.rows import read_points, trial_values
from trialrun.recordings.source import Study

__all__ = ["Difference", "compare_studies"]

_OF_RESULT = ("ended_by", "seed", "status")
_LEFT_OUT = re.compile(r"(?:^|/)(?:time_|timestamp|date$|pid$|hostname$|node_ip$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The values `a` and `b` of the two recordings at `where`; None means that there is none."""

    where: str
    a: Any
    b: Any


def compare_studies(one: Study, other: Study, tolerance: float = 0.0) -> list[Difference]:
    """Return the differences in the job, its trials with metrics and curves, the best trial, models and messages.

    Two numbers are equal when they differ by at most `tolerance` times the larger.
    """
    a, b = _normalize_study(one), _normalize_study(other)
    if not (a["params"] and b["params"]):  # a recorder that a client used without a job has no params
        a["params"] = b["params"] = {}
        for facts, study in ((a, one), (b, other)):  # and no metric to choose the best trial by
            facts["best trial"] = _name_trials(study).get(read_best_trial(study.recording.store, study.job) or "")
    return list(_compare_values("", a, b, tolerance))


def _normalize_study(study: Study) -> dict[str, Any]:
    facts = study.read_job_facts()
    names = _name_trials(study)
    result = facts["result"] if isinstance(facts["result"], dict) else {}
    return {
        "status": facts["status"],
        "params": facts["params"],
        "result": {name: result.get(name) for name in _OF_RESULT},
        "error": _normalize_text(study.read_error(), names, study),
        "best trial": names.get(study.find_best_id() or ""),
        "trials": _normalize_trials(study, names),
        "job's metrics": _collect_curves(study).get(None, {}),
        "models": _count_values(names.get(trial or "", "the job") for trial in _list_model_trials(study)),
        "messages": _count_values(_normalize_text(message, names, study) for message in _read_messages(study)),
    }


def _name_trials(study: Study) -> dict[str, str]:
    """Return a name for each trial id: its hyperparameters, and a number where several trials share them."""
    named: dict[str, list[str]] = defaultdict(list)
    for trial in study.list_trials():
        pairs = sorted(trial_values(trial)[0].items())
        shown = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs)
        named[shown or "no hyperparameters"].append(trial.trial)
    return {
        trial: f"{{{shown}}}" + (f" #{index + 1}" if len(trials) > 1 else "")
        for shown, trials in named.items()
        for index, trial in enumerate(trials)
    }


def _normalize_trials(study: Study, names: Mapping[str, str]) -> dict[str, Any]:
    curves = _collect_curves(study)
    errors = {str(failure.get("trial_id")): failure for failure in study.list_failures()}
    return {
        names[trial.trial]: {
            "status": trial.status,
            "error": _normalize_text(errors.get(trial.trial, {}).get("error"), names, study),
            "metrics": {name: cell for name, cell in trial_values(trial)[1].items() if not _LEFT_OUT.search(name)},
            "curves": curves.get(trial.trial, {}),
        }
        for trial in study.list_trials()
    }


def _collect_curves(study: Study) -> dict[str | None, dict[str, list[Any]]]:
    curves: dict[str | None, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for point in read_points(study):
        if not _LEFT_OUT.search(point.name):
            source = "" if point.source == "trial_result" else "logged "
            curves[point.trial_id][source + point.name].append([point.step, point.value])
    return curves


def _list_model_trials(study: Study) -> list[str | None]:
    rows = study.recording.store.fetch_all(
        "SELECT trial_id FROM entries WHERE event = 'model' AND job = ?", (study.job,)
    )
    return [row["trial_id"] for row in rows]


def _read_messages(study: Study) -> Iterator[str]:
    rows = study.recording.store.fetch_all(
        "SELECT data FROM entries WHERE event = 'message' AND job = ? ORDER BY id", (study.job,)
    )
    for row in rows:
        data = json.loads(row["data"])
        content = data.get("content") if isinstance(data, dict) else data
        yield content if isinstance(content, str) else json.dumps(content)


def _normalize_text(text: Any, names: Mapping[str, str], study: Study) -> str | None:
    """Return text without the parts that differ between runs: trial ids, the folder, durations."""
    if text is None:
        return None
    text = str(text).replace(str(study.folder.absolute()), "DIR")
    if names:
        ids = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)[:10_000])
        text = re.sub(rf"(?<![\w-])(?:{ids})(?![\w-])", lambda match: names[match[0]], text)
    return re.sub(r"\b\d+(?:\.\d+)? (?:ms|s|min|h|seconds?)\b", "SOME TIME", text)


def _count_values(values: Iterable[Any]) -> dict[str, int]:
    return dict(Counter(map(str, values)))


def _compare_values(where: str, a: Any, b: Any, tolerance: float) -> Iterator[Difference]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in dict.fromkeys([*a, *b]):
            yield from _compare_values(f"{where} / {name}" if where else str(name), a.get(name), b.get(name), tolerance)
    elif isinstance(a, list) and isinstance(b, list) and where.count("curves") + where.count("job's metrics"):
        yield from _compare_curves(where, a, b, tolerance)
    elif not _is_same(a, b, tolerance):
        yield Difference(where=where, a=a, b=b)


def _compare_curves(where: str, a: list[Any], b: list[Any], tolerance: float) -> Iterator[Difference]:
    """Yield at most one difference: the number of points, else the first point that differs."""
    if len(a) != len(b):
        yield Difference(where=f"{where} (points)", a=len(a), b=len(b))
        return
    for (step, value), (other_step, other) in zip(a, b, strict=True):
        if not (_is_same(step, other_step, 0.0) and _is_same(value, other, tolerance)):
            at = step if step == other_step else f"{step} or {other_step}"
            yield Difference(where=f"{where} (first at step {at})", a=value, b=other)
            return


def _is_same(a: Any, b: Any, tolerance: float) -> bool:
    if not (is_number(a) and is_number(b)):
        return bool(a == b) if type(a) is type(b) or not (isinstance(a, bool) or isinstance(b, bool)) else False
    if a != a or b != b:  # two NaN count as equal
        return a != a and b != b
    return a == b or (tolerance > 0 and math.isclose(a, b, rel_tol=tolerance))
