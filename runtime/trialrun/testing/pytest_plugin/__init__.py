"""The pytest plugin; `_trialrun_pytestplugin` imports it when it collects the first conformance test."""

from __future__ import annotations

__all__: list[str] = []
