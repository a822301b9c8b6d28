"""The requests of a recording, filtered by route and status."""

from __future__ import annotations

import json
import re
from typing import Any

from trialrun.recorder.store import Row, Store

__all__ = ["count_facets", "find_request", "find_requests", "route_template"]

PAGE_SIZE = 100
LONGEST_BODY = 200_000

_NUMBER = re.compile(r"(?<=/)[0-9]+(?=/|$)")


def route_template(path: str) -> str:
    """Return the path with `#` for numbers and without a file name: calls of one kind share a route."""
    route = _NUMBER.sub("#", path.strip("/"))
    return re.sub(r"^(trialrun/files/\w+/).*", r"\1…", route)


def count_facets(store: Store) -> dict[str, Any]:
    """Return how many calls each route and each status has."""
    routes: dict[str, int] = {}
    statuses: dict[int, int] = {}
    for row in store.fetch_all("SELECT path, status, count(*) AS n FROM requests GROUP BY path, status"):
        route = route_template(row["path"])
        routes[route] = routes.get(route, 0) + row["n"]
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["n"]
    most = sorted(routes.items(), key=lambda item: (-item[1], item[0]))[:200]
    return {
        "routes": [{"route": route, "count": count} for route, count in most],
        "statuses": [{"status": status, "count": count} for status, count in sorted(statuses.items())],
    }


def find_requests(store: Store, *, before: int | None, route: str, status: str) -> list[dict[str, Any]]:
    """Return calls older than the call `before`, newest first. `status` is a number, or a class such as `4xx`."""
    paths = _find_paths(store, route)
    low, high = _parse_status_range(status)
    rows = store.fetch_all(
        "SELECT id, time, method, path, params, size, status, replayed FROM requests"
        " WHERE id < ? AND status BETWEEN ? AND ? AND (? IS NULL OR path IN (SELECT value FROM json_each(?)))"
        " ORDER BY id DESC LIMIT ?",
        (before if before is not None else 2**62, low, high, paths, paths, PAGE_SIZE),
    )
    return [{**dict(row), "params": json.loads(row["params"]), "replayed": bool(row["replayed"])} for row in rows]


def find_request(store: Store, number: int) -> dict[str, Any] | None:
    """Return one call with headers and body, or None; a body that is too long to show is cut."""
    row = store.fetch_one("SELECT * FROM requests WHERE id = ?", (number,))
    if row is None:
        return None
    return {
        **dict(row),
        "params": json.loads(row["params"]),
        "headers": json.loads(row["headers"]),
        "replayed": bool(row["replayed"]),
        **_format_body(row),
    }


def _format_body(row: Row) -> dict[str, Any]:
    raw: bytes = row["body"] or b""
    shown = raw[:LONGEST_BODY].decode("utf-8", "replace")
    if len(raw) <= LONGEST_BODY:
        try:
            shown = json.dumps(json.loads(raw), indent=2, ensure_ascii=False) if raw else ""
        except (ValueError, RecursionError):
            shown = raw.decode("utf-8", "replace")
    return {"body": shown[: 2 * LONGEST_BODY], "cut": len(raw) > LONGEST_BODY}


def _find_paths(store: Store, route: str) -> str | None:
    """Return the paths of a route as a JSON list; None for any path."""
    if not route:
        return None
    rows = store.fetch_all("SELECT DISTINCT path FROM requests ORDER BY path DESC")
    return json.dumps([row["path"] for row in rows if route_template(row["path"]) == route])


def _parse_status_range(status: str) -> tuple[int, int]:
    if re.fullmatch(r"[1-5]xx", status):
        return int(status[0]) * 100, int(status[0]) * 100 + 99
    return (int(status), int(status)) if re.fullmatch(r"[0-9]{3}", status) else (0, 999)
