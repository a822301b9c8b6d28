"""The raw traffic of a recording: calls as they came, narrowed down by route and status."""

from __future__ import annotations

import json
import re
from typing import Any

from trialrun.recorder.store import Row, Store

__all__ = ["call", "calls", "facets", "route_of"]

AT_ONCE = 100
LONGEST_BODY = 200_000

_NUMBER = re.compile(r"(?<=/)[0-9]+(?=/|$)")


def route_of(path: str) -> str:
    """The path with `#` for its numbers, its file name left out: calls of one kind have one route."""
    route = _NUMBER.sub("#", path.strip("/"))
    return re.sub(r"^(trialrun/files/\w+/).*", r"\1…", route)


def facets(store: Store) -> dict[str, Any]:
    """How many calls each route, method and status has."""
    routes: dict[str, int] = {}
    statuses: dict[int, int] = {}
    for row in store.rows("SELECT path, status, count(*) AS n FROM requests GROUP BY path, status"):
        route = route_of(row["path"])
        routes[route] = routes.get(route, 0) + row["n"]
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["n"]
    most = sorted(routes.items(), key=lambda item: (-item[1], item[0]))[:200]
    return {
        "routes": [{"route": route, "count": count} for route, count in most],
        "statuses": [{"status": status, "count": count} for status, count in sorted(statuses.items())],
    }


def calls(store: Store, *, before: int | None, route: str, status: str) -> list[dict[str, Any]]:
    """The newest first, from the call `before` on. `status` is a number, or a class such as `4xx`."""
    paths = _paths(store, route)
    low, high = _range(status)
    rows = store.rows(
        "SELECT id, time, method, path, params, size, status, replayed FROM requests"
        " WHERE id < ? AND status BETWEEN ? AND ? AND (? IS NULL OR path IN (SELECT value FROM json_each(?)))"
        " ORDER BY id DESC LIMIT ?",
        (before if before is not None else 2**62, low, high, paths, paths, AT_ONCE),
    )
    return [{**dict(row), "params": json.loads(row["params"]), "replayed": bool(row["replayed"])} for row in rows]


def call(store: Store, number: int) -> dict[str, Any] | None:
    """One call with headers and body; a body that is too long to show is cut."""
    row = store.row("SELECT * FROM requests WHERE id = ?", (number,))
    if row is None:
        return None
    return {
        **dict(row),
        "params": json.loads(row["params"]),
        "headers": json.loads(row["headers"]),
        "replayed": bool(row["replayed"]),
        **_body(row),
    }


def _body(row: Row) -> dict[str, Any]:
    raw: bytes = row["body"] or b""
    shown = raw[:LONGEST_BODY].decode("utf-8", "replace")
    if len(raw) <= LONGEST_BODY:
        try:
            shown = json.dumps(json.loads(raw), indent=2, ensure_ascii=False) if raw else ""
        except (ValueError, RecursionError):
            shown = raw.decode("utf-8", "replace")
    return {"body": shown[: 2 * LONGEST_BODY], "cut": len(raw) > LONGEST_BODY}


def _paths(store: Store, route: str) -> str | None:
    """The paths of a route as a JSON list; None: any."""
    if not route:
        return None
    rows = store.rows("SELECT DISTINCT path FROM requests ORDER BY path DESC")
    return json.dumps([row["path"] for row in rows if route_of(row["path"]) == route])


def _range(status: str) -> tuple[int, int]:
    if re.fullmatch(r"[1-5]xx", status):
        return int(status[0]) * 100, int(status[0]) * 100 + 99
    return (int(status), int(status)) if re.fullmatch(r"[0-9]{3}", status) else (0, 999)
