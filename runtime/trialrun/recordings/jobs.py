"""Jobs as the page shows them: in a list, and one by one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from trialrun.recorder.jobs import described_job
from trialrun.recorder.store import Row, Store

__all__ = ["best_trial", "job_list", "job_page", "objective"]

LONG = 20_000  # characters of JSON: what is longer is not sent with a job


def job_list(store: Store) -> list[dict[str, Any]]:
    """One line for each job of a recording, newest first."""
    return [_line(store, row) for row in store.rows("SELECT * FROM jobs ORDER BY id DESC LIMIT 1000")]


def job_page(store: Store, job: int) -> dict[str, Any] | None:
    """All facts of one job, or None when there is none."""
    row = store.row("SELECT * FROM jobs WHERE id = ?", (job,))
    if row is None:
        return None
    described = described_job(row)
    counts = {
        "messages": _count(store, "message", job),
        "images": _count(store, "visualization", job),
        "models": store.rows("SELECT count(*) AS n FROM models")[0]["n"],
        "requests": store.rows("SELECT count(*) AS n FROM requests")[0]["n"],
    }
    return {
        **_line(store, row),
        "params": _short(described["params"]),
        "result": _short(described["result"]),
        "plugin": _plugin(store, row["release"]),
        "error": _error(store, job),
        "counts": counts,
        "series": _series(store, job),
    }


def objective(params: Any) -> tuple[str | None, str]:
    """The metric that a job looks for, None when it does not, and its mode."""
    config = params.get("tune_config") if isinstance(params, dict) else None
    config = config if isinstance(config, dict) else {}
    metric = config.get("metric")
    return (metric if isinstance(metric, str) else None), ("min" if config.get("mode") == "min" else "max")


def best_trial(store: Store, job: int) -> str | None:
    """The trial that was registered as the best, by the client's own call or in its last table; None while none was."""
    row = store.row("SELECT trial_id FROM best_trials WHERE job = ? ORDER BY id DESC LIMIT 1", (job,))
    if row is not None and row["trial_id"]:
        return str(row["trial_id"])
    table = store.row(
        "SELECT data FROM entries WHERE id = (SELECT max(id) FROM entries WHERE event = 'trials' AND job = ?)", (job,)
    )
    return _best_in(table["data"]) if table else None


@lru_cache(maxsize=4)  # the last table of a large study is asked for again and again, and does not change
def _best_in(table: str) -> str | None:
    named = json.loads(table)
    best = named.get("best_trial") if isinstance(named, dict) else None
    return best if isinstance(best, str) and best else None


def _line(store: Store, row: Row) -> dict[str, Any]:
    described = described_job(row)
    record = described["progress_record"] if isinstance(described["progress_record"], dict) else {}
    params = described["params"] if isinstance(described["params"], dict) else {}
    metric, mode = objective(params)
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
        "heard": _heard(store) or row["updated"],
        "progress": _short(described["progress"]),
        "time_remaining": record.get("time_remaining"),
        "trials": _statuses(store, row["id"]),
        "best_trial": best_trial(store, row["id"]),
        "best": _best_value(described["result"], metric),
    }


def _best_value(result: Any, metric: str | None) -> Any:
    best = result.get("best_trial") if isinstance(result, dict) else None
    metrics = best.get("metrics") if isinstance(best, dict) else None
    return metrics.get(metric) if isinstance(metrics, dict) else None


def _heard(store: Store) -> str | None:
    row = store.row("SELECT time FROM entries ORDER BY id DESC LIMIT 1")
    return row["time"] if row else None


def _statuses(store: Store, job: int) -> dict[str, int]:
    if not store.indexed():
        return {}
    rows = store.rows("SELECT status, count(*) AS n FROM trials WHERE job = ? GROUP BY status", (job,))
    return {row["status"] or "": row["n"] for row in rows}


def _count(store: Store, event: str, job: int) -> int:
    return int(store.rows("SELECT count(*) AS n FROM entries WHERE event = ? AND job = ?", (event, job))[0]["n"])


def _plugin(store: Store, release: int | None) -> str | None:
    row = store.row("SELECT code, version FROM releases WHERE id = ?", (release,))
    return f"{row['code']} {row['version']}" if row else None


def _error(store: Store, job: int) -> str | None:
    row = store.row("SELECT data FROM entries WHERE event = 'status' AND job = ? ORDER BY id DESC LIMIT 1", (job,))
    data = json.loads(row["data"]) if row else None
    error = data.get("error") if isinstance(data, dict) else None
    return None if error is None else str(error)


def _series(store: Store, job: int) -> list[dict[str, str]]:
    rows = store.rows("SELECT event, name FROM series WHERE job = ? ORDER BY event DESC, name", (job,))
    return [{"event": row["event"], "name": row["name"]} for row in rows]


def _short(value: Any) -> Any:
    return value if len(json.dumps(value)) <= LONG else None
