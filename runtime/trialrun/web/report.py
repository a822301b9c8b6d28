"""A report: one HTML file with the table and the plots of a study, which needs no server and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from trialrun._version import __version__
from trialrun.recordings.jobs import load_job_details
from trialrun.recordings.plot_data import collect_curves, rank_trials, study_importance
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import BASE, tabulate_trials
from trialrun.web.app import STATIC
from trialrun.web.bundle import bundle_modules

__all__ = ["ALL_POINTS", "render_html"]

ALL_POINTS = 60_000
"""Of all curves together: what a browser opens at once, and about two megabytes."""

LONG = 6_000  # characters of a traceback
OFFLINE = "offline"

_FACTS = ("id", "name", "status", "metric", "mode", "created", "updated", "heard", "plugin", "error", "series")
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; base-uri 'none';"
    " form-action 'none'; require-trusted-types-for 'script'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="trialrun {version}">
<title>trialrun report</title>
<style>{style}</style>
</head>
<body>
<noscript>This report draws its plots with JavaScript. It loads nothing from elsewhere.</noscript>
<script id="study" type="application/json">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def render_html(study: Study, now: datetime | None = None, points: int = ALL_POINTS) -> str:
    """The whole file. At most about `points` points of curves are in it: the best trials and the newest come first."""
    script, style = _load_assets()
    policy = _POLICY.format(script=_hash_source(script), style=_hash_source(style))
    data = _encode_safe_json(_collect_data(study, now or datetime.now(UTC), points))
    return _PAGE.format(policy=policy, version=__version__, style=style, script=script, data=data)


@cache
def _load_assets() -> tuple[str, str]:
    own = STATIC / OFFLINE
    files = (file for file in STATIC.rglob("*.js") if own not in file.parents)
    sources = {file.relative_to(STATIC).as_posix(): file.read_text("utf-8") for file in files}
    sources["api.js"] = (own / "offline.js").read_text("utf-8")
    sources["report.js"] = (own / "report.js").read_text("utf-8")
    style = (STATIC / "style.css").read_text("utf-8") + (own / "report.css").read_text("utf-8")
    return _check_inline(bundle_modules(sources, "report.js"), "</script"), _check_inline(style, "</style")


def _check_inline(words: str, end: str) -> str:
    if end in words.lower() or "<!--" in words:
        raise ValueError(f"{end} would end the element that holds it")
    return words


def _hash_source(words: str) -> str:
    return base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()


def _encode_safe_json(value: Any) -> str:
    """JSON that cannot end the element it stands in, nor open a comment in it."""
    made = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: any half surrogate stays an escape
    return made.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _collect_data(study: Study, now: datetime, points: int) -> dict[str, Any]:
    store, board = study.recording.store, study.recording.get_trial_index(study.job)
    trials = study.list_trials()
    page = load_job_details(store, study.job) or {}
    columns = board.columns
    rows = tabulate_trials(trials, columns["hyperparameters"], columns["metrics"])
    curves, kept = collect_curves(study, rank_trials(study, trials), page.get("series", []), points)
    failures = [
        {name: str(failure.get(name) or "")[-LONG:] for name in ("trial_id", "cause", "error", "traceback")}
        for failure in study.list_failures()
    ]
    made: dict[str, Any] = _null_nonfinite(
        {
            "made": now.isoformat(timespec="seconds"),
            "version": __version__,
            "job": {**{name: page.get(name) for name in _FACTS}, "best_trial": page.get("best_trial")},
            "trials": {"columns": {"base": list(BASE), **columns}, "rows": rows},
            "curves": curves,
            "kept": kept,
            "importance": study_importance(study, trials),
            "failures": failures,
        }
    )
    made["job"]["heard"] = max(str(page.get(name) or "") for name in ("heard", "updated"))
    return made


def _null_nonfinite(value: Any) -> Any:
    """NaN and infinities, which a foreign client may have sent in any place, as null."""
    if isinstance(value, dict):
        return {name: _null_nonfinite(cell) for name, cell in value.items()}
    if isinstance(value, list | tuple):
        return [_null_nonfinite(cell) for cell in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
