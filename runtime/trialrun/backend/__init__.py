"""The client of the backend: stackable transports, the API's calls, and the queue of reported events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trialrun.backend.archives import Limits, unzip, zip_folder
    from trialrun.backend.client import Client
    from trialrun.backend.http import Http, Tokens
    from trialrun.backend.memory import Memory
    from trialrun.backend.retry import Retry, RetryPolicy
    from trialrun.backend.sink import LogSink
    from trialrun.backend.transport import Answer, Call, Transport

__all__ = [
    "Answer",
    "Call",
    "Client",
    "Http",
    "Limits",
    "LogSink",
    "Memory",
    "Retry",
    "RetryPolicy",
    "Tokens",
    "Transport",
    "unzip",
    "zip_folder",
]

HOMES = {
    "archives": ("Limits", "unzip", "zip_folder"),
    "client": ("Client",),
    "http": ("Http", "Tokens"),
    "memory": ("Memory",),
    "retry": ("Retry", "RetryPolicy"),
    "sink": ("LogSink",),
    "transport": ("Answer", "Call", "Transport"),
}


def __getattr__(name: str) -> Any:
    """Import a name on demand: a worker that only writes its spool does not load requests."""
    from importlib import import_module

    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(f"trialrun.backend.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
