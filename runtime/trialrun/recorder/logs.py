"""Log entries: metrics, messages, images, tables, and any other event."""

from __future__ import annotations

from typing import Any

from trialrun.recorder.context import ApiCall
from trialrun.recorder.normalise import parse_entry
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.superseded import supersede_entries

__all__ = ["add_logs"]

MOST_ENTRIES = 1000


def add_logs(call: ApiCall) -> Reply:
    """Store log entries; the reply's `stored` is less than `count` when the key of an entry is known already."""
    sent = call.body_objects()
    if call.context.strict:
        _check_entries(sent)
    entries = [parse_entry(item, call.now) for item in sent]
    stored = call.context.store.add_entries(entries)
    supersede_entries(call.context.store, entries)
    return json_reply(201, {"count": len(sent), "stored": stored})


def _check_entries(sent: list[dict[str, Any]]) -> None:
    if len(sent) > MOST_ENTRIES:
        raise refuse(400, f"body: holds at most {MOST_ENTRIES} entries, got {len(sent)}.")
    for index, item in enumerate(sent):
        if not isinstance(item.get("event"), str) or not item["event"]:
            raise refuse(400, f"body[{index}].event: must be a string that is not empty.")
        if not isinstance(item.get("data"), dict):
            raise refuse(400, f"body[{index}].data: must be an object.")
