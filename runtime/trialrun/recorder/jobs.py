"""Jobs of the recorder: list, show, change, best trial."""

from __future__ import annotations

import json
from typing import Any

from trialrun.recorder.context import ApiCall
from trialrun.recorder.normalise import decode_query_name, normalize_progress, parse_id, to_text
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.store import Row, Store

__all__ = ["change_job", "describe_job", "ensure_job", "list_jobs", "override_best_trial", "show_job"]

STATUSES = ("PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED")
ACTIVE = ("PENDING", "RUNNING")
CHANGEABLE = ("status", "progress_record", "metrics_record", "console_logs", "result")
CATEGORY = "neural_net"


def list_jobs(call: ApiCall) -> Reply:
    excluded = {parse_id(word.strip()) for word in (call.first_param("ids_ex") or "").split(",")}
    wanted = _parse_param_filter(call.first_param("params") or "")
    rows = call.context.store.fetch_all("SELECT * FROM jobs ORDER BY id")
    jobs = [describe_job(row) for row in rows if row["id"] not in excluded]
    matching = [job for job in jobs if _matches_filters(job, call) and _has_params(job, wanted)]
    part, number, size = call.select_page(len(matching))
    return call.build_page_reply(len(matching), number, size, matching[part])


def show_job(call: ApiCall, job: int) -> Reply:
    return json_reply(200, describe_job(_require_job(call.context.store, job)))


def change_job(call: ApiCall, job: int) -> Reply:
    changes = call.body_objects()
    if call.context.strict:
        _check_changes(call, changes)
    ensure_job(call, job)
    for changed in changes:
        fields = {**json.loads(_require_job(call.context.store, job)["fields"]), **changed}
        call.context.store.change_job(job, fields, changed, call.time)
    return json_reply(200, describe_job(_require_job(call.context.store, job)))


def override_best_trial(call: ApiCall, job: int) -> Reply:
    """Record the best trial. Its `trial_id` comes first in the body: a hyperparameter may have the same name."""
    sent = dict(call.body_object())
    trial_id = sent.pop("trial_id", None)
    if call.context.strict and (not isinstance(trial_id, str) or not trial_id):
        raise refuse(400, f"trial_id: must be a string that is not empty, got {to_text(trial_id)[:100]}.")
    ensure_job(call, job)
    named = None if trial_id is None else to_text(trial_id)
    call.context.store.add_best_trial(job=job, trial_id=named, hyperparameters=sent, time=call.time)
    return json_reply(200, {"id": job, "trial_id": named, "hyperparameters": sent})


def ensure_job(call: ApiCall, job: int) -> None:
    """Create an unknown job, so that any client can be recorded without preparation; a strict recorder refuses it."""
    if call.context.store.fetch_one("SELECT id FROM jobs WHERE id = ?", (job,)) is not None:
        return
    if call.context.strict:
        raise _refuse_unknown_job(job)
    call.context.store.add_job(job=job, name="", request={}, release=None, fields={}, time=call.time)


def describe_job(row: Row) -> dict[str, Any]:
    """Return a job as GET answers it: facts, fields sent with PATCH, and `progress` in its normal shape."""
    fields = json.loads(row["fields"])
    request = json.loads(row["request"])
    request = request if isinstance(request, dict) else {}
    status = fields.get("status", "PENDING")
    return {
        **dict.fromkeys(CHANGEABLE),
        **fields,
        "id": row["id"],
        "name": row["name"],
        "category": CATEGORY,
        "action": request.get("action", "train"),
        "params": request.get("params", {}),
        "plugin_release": row["release"],
        "status": status,
        "is_active": status in ACTIVE,
        "progress": normalize_progress(fields.get("progress_record")),
        "created": row["created"],
        "updated": row["updated"],
    }


def _require_job(store: Store, job: int) -> Row:
    row = store.fetch_one("SELECT * FROM jobs WHERE id = ?", (job,))
    if row is None:
        raise _refuse_unknown_job(job)
    return row


def _refuse_unknown_job(job: int) -> Exception:
    return refuse(404, f"job {job}: there is none.")


def _check_changes(call: ApiCall, changes: list[dict[str, Any]]) -> None:
    if isinstance(call.body.value, list):
        raise refuse(400, "body: must be one object, got a list.")
    for key in (key for changed in changes for key in changed if key not in CHANGEABLE):
        raise refuse(400, f"{key}: cannot be changed. Send only: {', '.join(CHANGEABLE)}.")
    for status in (changed["status"] for changed in changes if "status" in changed):
        if status not in STATUSES:
            raise refuse(400, f"status: must be one of {', '.join(STATUSES)}, got {to_text(status)[:100]}.")


def _matches_filters(job: dict[str, Any], call: ApiCall) -> bool:
    facts = {"category": job["category"], "job__action": job["action"], "is_active": str(job["is_active"])}
    return all(
        (asked := call.first_param(name)) in (None, "") or str(asked).lower() == str(fact).lower()
        for name, fact in facts.items()
    )


def _parse_param_filter(sent: str) -> dict[str, str]:
    """Return the pairs of `name:a%3Ab,dataset:12`. Commas in a name that a client did not encode stay in the name."""
    pairs: list[list[str]] = []
    for piece in filter(None, sent.split(",")):
        key, colon, value = piece.partition(":")
        if colon:
            pairs.append([key, value])
        elif pairs:
            pairs[-1][1] += f",{piece}"
    return {key: decode_query_name(value) for key, value in pairs}


def _has_params(job: dict[str, Any], asked: dict[str, str]) -> bool:
    params = job["params"] if isinstance(job["params"], dict) else {}
    known = {"name": job["name"], **params}
    return all(to_text(known.get(key)) == value for key, value in asked.items())
