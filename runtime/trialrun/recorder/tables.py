"""The newest row of each trial, merged from trial tables and their deltas."""

from __future__ import annotations

from typing import Any

__all__ = ["merge_table"]

PARTS = ("base", "hyperparameters", "metrics")


def merge_table(rows: dict[str, dict[str, Any]], payload: Any) -> None:
    """Merge the rows of `payload`, a whole table or a delta, into `rows`; anything that is not a row is left out."""
    trials = payload.get("trials") if isinstance(payload, dict) else None
    for trial_id, sent in trials.items() if isinstance(trials, dict) else ():
        if isinstance(sent, dict):
            rows[trial_id] = _merge_row(rows.get(trial_id, {}), _normalize_row(payload, sent))


def _normalize_row(payload: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Return the row with mappings instead of positional lists, and with all its other keys."""
    row = {**sent, **{part: _zip_columns(payload.get(part), sent.get(part)) for part in PARTS}}
    return {**row, "status": row["base"].get("status")}


def _merge_row(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new row with the metrics of the old one: a whole table has only some of the metrics of a delta."""
    every = {**_as_mapping(old.get("all_metrics")), **new["metrics"], **_as_mapping(new.get("all_metrics"))}
    return {**new, "all_metrics": every}


def _zip_columns(columns: Any, values: Any) -> dict[str, Any]:
    if not isinstance(columns, list) or not isinstance(values, list):
        return _as_mapping(values)
    return {str(column): value for column, value in zip(columns, values, strict=False)}


def _as_mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
