"""Routes that show and change the fault switches."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trialrun.recorder.context import ApiCall
from trialrun.recorder.faults import MAX_FAULTS, Fault
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun_hookspecs.errors import BadValue

__all__ = ["change_faults", "clear_faults", "show_faults"]


def show_faults(call: ApiCall) -> Reply:
    faults = call.context.faults
    plan = [asdict(fault) for fault in faults.plan]
    return json_reply(200, {"faults": plan, "calls": len(faults.calls), "struck": faults.struck[-MAX_FAULTS:]})


def change_faults(call: ApiCall) -> Reply:
    """Add the fault or the list of faults in the body, and count calls from 1 again."""
    given = [_parse_fault(sent) for sent in call.body_objects()]
    call.context.faults.reset_count()
    for fault in given:
        call.context.faults.add(fault)
    return show_faults(call)


def clear_faults(call: ApiCall) -> Reply:
    call.context.faults.clear()
    return show_faults(call)


def _parse_fault(sent: dict[str, Any]) -> Fault:
    try:
        return Fault(**sent)
    except (TypeError, BadValue) as error:
        raise refuse(
            400, f"body: must be a fault ({error})."[:500], fields=", ".join(Fault.__dataclass_fields__)
        ) from None
