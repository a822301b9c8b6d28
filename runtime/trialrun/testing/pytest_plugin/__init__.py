"""The pytest plugin: imported when the first conformance test is met, by `_trialrun_pytestplugin`."""

from __future__ import annotations

__all__: list[str] = []
