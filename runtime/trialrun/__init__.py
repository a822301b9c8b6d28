"""The runtime's public names, each imported when it is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trialrun._version import __version__

if TYPE_CHECKING:
    from trialrun.engine.job import resume, run
    from trialrun.plugins import load_plugin
    from trialrun.recorder.recorder import Recorder
    from trialrun.recordings import load

__all__ = ["Recorder", "__version__", "load", "load_plugin", "resume", "run"]

_MODULES = {
    "Recorder": "trialrun.recorder.recorder",
    "load": "trialrun.recordings",
    "load_plugin": "trialrun.plugins",
    "resume": "trialrun.engine.job",
    "run": "trialrun.engine.job",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # later lookups skip this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
