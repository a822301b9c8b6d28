"""A report: one HTML file with the table and the plots of a study; it needs no server and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from trialrun._version import __version__
from trialrun.events import null_nonfinite
from trialrun.recordings.jobs import load_job_details
from trialrun.recordings.plot_data import collect_curves, rank_trials, study_importance
from trialrun.recordings.source import Study
from trialrun.web import STATIC
from trialrun.web.bundle import bundle_modules

__all__ = ["ALL_POINTS", "render_html"]

ALL_POINTS = 60_000
"""Points of all curves together: a browser opens so many at once, and they take about two megabytes."""

LONG = 6_000  # characters of a traceback
OFFLINE = "offline"

_FACTS = (
    "id",
    "name",
    "status",
    "metric",
    "mode",
    "created",
    "updated",
    "heard",
    "plugin",
    "error",
    "series",
    "best_trial",
)
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
<noscript>This report draws its plots with JavaScript. It loads nothing else.</noscript>
<script id="study" type="application/json">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def render_html(study: Study, now: datetime | None = None, points: int = ALL_POINTS) -> str:
    """Return the whole file, with at most about `points` points of curves: the best and the newest trials first."""
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


def _check_inline(source: str, end: str) -> str:
    if end in source.lower() or "<!--" in source:
        raise ValueError(f"{end} would end the element around it")
    return source


def _hash_source(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _encode_safe_json(value: Any) -> str:
    """Return JSON that cannot end the element around it, nor open a comment in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: a half surrogate stays an escape
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _collect_data(study: Study, now: datetime, points: int) -> dict[str, Any]:
    trials = study.list_trials()
    details = load_job_details(study.recording.store, study.job) or {}
    curves, shown = collect_curves(study, rank_trials(study, trials), details.get("series", []), points)
    failures = [
        {name: str(failure.get(name) or "")[-LONG:] for name in ("trial_id", "cause", "error", "traceback")}
        for failure in study.list_failures()
    ]
    data: dict[str, Any] = null_nonfinite(
        {
            "made": now.isoformat(timespec="seconds"),
            "version": __version__,
            "job": {name: details.get(name) for name in _FACTS},
            "trials": study.recording.get_trial_index(study.job).build_table(trials),
            "curves": curves,
            "kept": shown,
            "importance": study_importance(study, trials),
            "failures": failures,
        }
    )
    data["job"]["heard"] = max(str(details.get(name) or "") for name in ("heard", "updated"))
    return data
