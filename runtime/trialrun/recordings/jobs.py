"""Jobs of a recording for display: a list of all, and the details of one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from trialrun.recorder.jobs import describe_job
from trialrun.recorder.store import Row, Store

__all__ = ["list_series", "load_job_details", "load_job_list", "parse_objective", "read_best_trial", "read_job_error"]

MAX_JSON_CHARS = 20_000  # longer values are left out of a job's details


def load_job_list(store: Store) -> list[dict[str, Any]]:
    """Return a summary of each job of a recording, newest first."""
    return [_summarize_job(store, row) for row in store.fetch_all("SELECT * FROM jobs ORDER BY id DESC LIMIT 1000")]


def load_job_details(store: Store, job: int) -> dict[str, Any] | None:
    """Return all facts of one job, or None when there is no such job."""
    row = store.fetch_one("SELECT * FROM jobs WHERE id = ?", (job,))
    if row is None:
        return None
    described = describe_job(row)
    counts = {
        "messages": store.count("entries", "event = ? AND job = ?", ("message", job)),
        "images": store.count("entries", "event = ? AND job = ?", ("visualization", job)),
        "models": store.count("models"),
        "requests": store.count("requests"),
    }
    return {
        **_summarize_job(store, row),
        "params": _omit_if_long(described["params"]),
        "result": _omit_if_long(described["result"]),
        "plugin": _plugin_label(store, row["release"]),
        "error": read_job_error(store, job),
        "counts": counts,
        "series": list_series(store, job),
    }


def parse_objective(params: Any) -> tuple[str | None, str]:
    """Return the metric that a job optimizes, None when it has none, and the mode `min` or `max`."""
    config = params.get("tune_config") if isinstance(params, dict) else None
    config = config if isinstance(config, dict) else {}
    metric = config.get("metric")
    return (metric if isinstance(metric, str) else None), ("min" if config.get("mode") == "min" else "max")


def read_best_trial(store: Store, job: int) -> str | None:
    """Return the trial registered as the best, by a call of the client or in its last table, or None."""
    row = store.fetch_one("SELECT trial_id FROM best_trials WHERE job = ? ORDER BY id DESC LIMIT 1", (job,))
    if row is not None and row["trial_id"]:
        return str(row["trial_id"])
    table = store.fetch_one(
        "SELECT data FROM entries WHERE id = (SELECT max(id) FROM entries WHERE event = 'trials' AND job = ?)", (job,)
    )
    return _parse_best_trial(table["data"]) if table else None


@lru_cache(maxsize=4)  # the last table of a large study is parsed often and rarely changes
def _parse_best_trial(table: str) -> str | None:
    parsed = json.loads(table)
    best = parsed.get("best_trial") if isinstance(parsed, dict) else None
    return best if isinstance(best, str) and best else None


def _summarize_job(store: Store, row: Row) -> dict[str, Any]:
    described = describe_job(row)
    record = described["progress_record"] if isinstance(described["progress_record"], dict) else {}
    params = described["params"] if isinstance(described["params"], dict) else {}
    metric, mode = parse_objective(params)
    return {
        "id": row["id"],
        "name": row["name"],
        "status": str(described["status"])[:100],
        "action": described["action"],
        "is_tune": bool(params.get("is_tune")) or metric is not None,
        "metric": metric,
        "mode": mode,
        "created": row["created"],
        "updated": row["updated"],
        "heard": _last_entry_time(store) or row["updated"],
        "progress": _omit_if_long(described["progress"]),
        "time_remaining": record.get("time_remaining"),
        "trials": _count_statuses(store, row["id"]),
        "best_trial": read_best_trial(store, row["id"]),
        "best": _best_value(described["result"], metric),
    }


def _best_value(result: Any, metric: str | None) -> Any:
    best = result.get("best_trial") if isinstance(result, dict) else None
    metrics = best.get("metrics") if isinstance(best, dict) else None
    return metrics.get(metric) if isinstance(metrics, dict) else None


def _last_entry_time(store: Store) -> str | None:
    row = store.fetch_one("SELECT time FROM entries ORDER BY id DESC LIMIT 1")
    return row["time"] if row else None


def _count_statuses(store: Store, job: int) -> dict[str, int]:
    if not store.has_index():
        return {}
    rows = store.fetch_all("SELECT status, count(*) AS n FROM trials WHERE job = ? GROUP BY status", (job,))
    return {row["status"] or "": row["n"] for row in rows}


def _plugin_label(store: Store, release: int | None) -> str | None:
    row = store.fetch_one("SELECT code, version FROM releases WHERE id = ?", (release,))
    return f"{row['code']} {row['version']}" if row else None


def read_job_error(store: Store, job: int) -> str | None:
    """Return the error of the job's last status, or None."""
    error = (store.newest_data("status", job) or {}).get("error")
    return None if error is None else str(error)


def list_series(store: Store, job: int) -> list[dict[str, str]]:
    """Return `event` and `name` of each metric of the job, reported ones first."""
    rows = store.fetch_all("SELECT event, name FROM series WHERE job = ? ORDER BY event DESC, name", (job,))
    return [{"event": row["event"], "name": row["name"]} for row in rows]


def _omit_if_long(value: Any) -> Any:
    return value if len(json.dumps(value)) <= MAX_JSON_CHARS else None
