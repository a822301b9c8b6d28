"""Jobs as the page shows them: in a list, and one by one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from trialrun.recorder.jobs import describe_job
from trialrun.recorder.store import Row, Store

__all__ = ["load_job_details", "load_job_list", "parse_objective", "read_best_trial"]

MAX_JSON_CHARS = 20_000  # characters of JSON: what is longer is not sent with a job


def load_job_list(store: Store) -> list[dict[str, Any]]:
    """One line for each job of a recording, newest first."""
    return [_summarize_job(store, row) for row in store.fetch_all("SELECT * FROM jobs ORDER BY id DESC LIMIT 1000")]


def load_job_details(store: Store, job: int) -> dict[str, Any] | None:
    """All facts of one job, or None when there is none."""
    row = store.fetch_one("SELECT * FROM jobs WHERE id = ?", (job,))
    if row is None:
        return None
    described = describe_job(row)
    counts = {
        "messages": _count_entries(store, "message", job),
        "images": _count_entries(store, "visualization", job),
        "models": store.fetch_all("SELECT count(*) AS n FROM models")[0]["n"],
        "requests": store.fetch_all("SELECT count(*) AS n FROM requests")[0]["n"],
    }
    return {
        **_summarize_job(store, row),
        "params": _omit_if_long(described["params"]),
        "result": _omit_if_long(described["result"]),
        "plugin": _plugin_label(store, row["release"]),
        "error": _last_error(store, job),
        "counts": counts,
        "series": _list_series(store, job),
    }


def parse_objective(params: Any) -> tuple[str | None, str]:
    """The metric that a job looks for, None when it does not, and its mode."""
    config = params.get("tune_config") if isinstance(params, dict) else None
    config = config if isinstance(config, dict) else {}
    metric = config.get("metric")
    return (metric if isinstance(metric, str) else None), ("min" if config.get("mode") == "min" else "max")


def read_best_trial(store: Store, job: int) -> str | None:
    """The trial that was registered as the best, by the client's own call or in its last table; None while none was."""
    row = store.fetch_one("SELECT trial_id FROM best_trials WHERE job = ? ORDER BY id DESC LIMIT 1", (job,))
    if row is not None and row["trial_id"]:
        return str(row["trial_id"])
    table = store.fetch_one(
        "SELECT data FROM entries WHERE id = (SELECT max(id) FROM entries WHERE event = 'trials' AND job = ?)", (job,)
    )
    return _parse_best_trial(table["data"]) if table else None


@lru_cache(maxsize=4)  # the last table of a large study is asked for again and again, and does not change
def _parse_best_trial(table: str) -> str | None:
    named = json.loads(table)
    best = named.get("best_trial") if isinstance(named, dict) else None
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


def _count_entries(store: Store, event: str, job: int) -> int:
    return int(store.fetch_all("SELECT count(*) AS n FROM entries WHERE event = ? AND job = ?", (event, job))[0]["n"])


def _plugin_label(store: Store, release: int | None) -> str | None:
    row = store.fetch_one("SELECT code, version FROM releases WHERE id = ?", (release,))
    return f"{row['code']} {row['version']}" if row else None


def _last_error(store: Store, job: int) -> str | None:
    row = store.fetch_one(
        "SELECT data FROM entries WHERE event = 'status' AND job = ? ORDER BY id DESC LIMIT 1", (job,)
    )
    data = json.loads(row["data"]) if row else None
    error = data.get("error") if isinstance(data, dict) else None
    return None if error is None else str(error)


def _list_series(store: Store, job: int) -> list[dict[str, str]]:
    rows = store.fetch_all("SELECT event, name FROM series WHERE job = ? ORDER BY event DESC, name", (job,))
    return [{"event": row["event"], "name": row["name"]} for row in rows]


def _omit_if_long(value: Any) -> Any:
    return value if len(json.dumps(value)) <= MAX_JSON_CHARS else None
