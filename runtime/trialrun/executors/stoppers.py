"""Stoppers of plugins, isolated so that none of them can fail the study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["IsolatedStopper", "isolate_stoppers"]


class IsolatedStopper:
    """A plugin's stopper. When it raises, a warning is issued, it is switched off, and the study continues."""

    def __init__(self, plugin: str, inner: Callable[..., Any], warn: Callable[[str], None]) -> None:
        self.name: str = getattr(inner, "__name__", None) or type(inner).__name__
        self._plugin = plugin
        self._inner: Callable[..., Any] | None = inner
        self._warn = warn

    def should_stop(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Return True if it ends this trial. It gets a copy of the result, which it may change."""
        inner = self._inner
        return inner is not None and self._ask_stopper(lambda: inner(trial_id, dict(result)))

    def should_stop_all(self) -> bool:
        """Return True if it ends the study; one without `stop_all` never does."""
        ask = getattr(self._inner, "stop_all", None)
        return ask is not None and self._ask_stopper(ask)

    def _ask_stopper(self, ask: Callable[[], Any]) -> bool:
        try:
            return bool(ask())
        except (Exception, SystemExit) as error:  # noqa: BLE001  # any exception of a plugin
            self._warn(f"stopper {self.name} of plugin {self._plugin!r} raised and is switched off: {error!r}")
            self._inner = None
            return False


def isolate_stoppers(offered: Iterable[tuple[str, Any]], warn: Callable[[str], None]) -> list[IsolatedStopper]:
    """Return isolated stoppers for those that plugins offer, given with the plugin's name."""
    return [IsolatedStopper(plugin, inner, warn) for plugin, inner in offered]
