"""The manager: all plugins of one job, called together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pluggy

from trialrun.plugins.adapt import EXTENSIONS, HOOKS, Hook
from trialrun.plugins.plugin import Plugin
from trialrun_hookspecs import spec
from trialrun_hookspecs.errors import PluginBroken, PluginRefused
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.markers import PROJECT_NAME, hookimpl

__all__ = ["Manager"]

OnMute = Callable[[str, BaseException], None]


class Manager:
    """Registers the plugin of a job and any others, and calls the extension hooks of all of them.

    `train` and `tune` are called on the job's plugin itself, not here.
    `on_mute(plugin name, error)` is called once for each plugin whose `report` raises; it gets no more events.
    """

    def __init__(self, plugins: Iterable[Plugin] = (), *, on_mute: OnMute = lambda name, error: None) -> None:
        self.pluggy = pluggy.PluginManager(PROJECT_NAME)
        self.pluggy.add_hookspecs(spec)
        self._on_mute = on_mute
        self._lock = threading.Lock()
        self._plugins: dict[str, Plugin] = {}
        self._listeners: tuple[tuple[str, Callable[[Event], Any]], ...] = ()
        for plugin in plugins:
            self.add(plugin)

    @property
    def plugins(self) -> Mapping[str, Plugin]:
        """The registered plugins by the name they are registered under, in order."""
        return dict(self._plugins)

    def add(self, plugin: Plugin) -> str:
        """Register a plugin and return its name here; the same plugin is not registered twice."""
        for name, known in self._plugins.items():
            if known.code is plugin.code or (plugin.origin is not None and known.origin == plugin.origin):
                return name
        name = self._free_name(plugin)
        self.pluggy.register(_build_facade(plugin), name=name)
        self._plugins[name] = plugin
        with self._lock:
            muted = set(self._plugins) - {name} - {known for known, _ in self._listeners}
            listeners = [
                (impl.plugin_name, impl.function) for impl in reversed(self.pluggy.hook.report.get_hookimpls())
            ]
            self._listeners = tuple((known, function) for known, function in listeners if known not in muted)
        return name

    def report(self, event: Event) -> None:
        """Pass an event to every plugin. A plugin that raises is muted; the others still get the event."""
        failed: list[tuple[str, BaseException]] = []
        for name, function in self._listeners:
            try:
                function(event)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - it must end neither the job nor this thread
                failed.append((name, error))
        for name, raised in failed:
            if self._mute_plugin(name):
                self._on_mute(name, raised)

    def datasets(self) -> dict[str, Callable[[], Iterable[Mapping[str, Any]]]]:
        """Return the datasets that plugins offer, by name."""
        return self._merge_mappings("datasets", ())

    def search_algorithms(self, reserved: Iterable[str] = ()) -> dict[str, Callable[..., Any]]:
        """Return the search algorithms that plugins offer, by name in lower case; none may have a `reserved` name."""
        return {name.lower(): factory for name, factory in self._merge_mappings("search_algorithms", reserved).items()}

    def schedulers(self, reserved: Iterable[str] = ()) -> dict[str, Callable[..., Any]]:
        """Return the trial schedulers that plugins offer, by name in lower case; none may have a `reserved` name."""
        return {name.lower(): factory for name, factory in self._merge_mappings("schedulers", reserved).items()}

    def trial_callbacks(self) -> list[tuple[str, Any]]:
        """Return the trial callbacks that plugins offer, each with its plugin's name."""
        return self._collect_lists("trial_callbacks", "an iterable of callbacks")

    def stoppers(self) -> list[tuple[str, Any]]:
        """Return the stoppers that plugins offer, each with its plugin's name."""
        needed = "an iterable of callables"
        offered = self._collect_lists("stoppers", needed)
        for name, stopper in offered:
            if not callable(stopper):
                raise _wrong_answer_error(name, "stoppers", needed, stopper)
        return offered

    def _collect_lists(self, hook: str, needed: str) -> list[tuple[str, Any]]:
        listed: list[tuple[str, Any]] = []
        for name, offered in self._call_hook(hook):
            if offered is None:
                continue
            if isinstance(offered, (str, bytes, Mapping)) or not isinstance(offered, Iterable):
                raise _wrong_answer_error(name, hook, needed, offered)
            listed += [(name, one) for one in offered]
        return listed

    def _free_name(self, plugin: Plugin) -> str:
        names = [plugin.name, f"{plugin.name} ({plugin.source})"]
        names += [f"{plugin.name} ({number})" for number in range(2, len(self._plugins) + 3)]
        return next(name for name in names if name not in self._plugins)

    def _mute_plugin(self, name: str) -> bool:
        with self._lock:
            listeners = self._listeners
            self._listeners = tuple(listener for listener in listeners if listener[0] != name)
            return len(self._listeners) < len(listeners)

    def _call_hook(self, hook: str) -> list[tuple[str, Any]]:
        answers = []
        for impl in reversed(getattr(self.pluggy.hook, hook).get_hookimpls()):
            try:
                answer: Any = impl.function()
                answers.append((impl.plugin_name, list(answer) if _is_iterator(answer) else answer))
            except (Exception, SystemExit) as error:
                got = f"{type(error).__name__}: {error}"
                where = f"plugin {impl.plugin_name!r}, {hook}()"
                raise PluginBroken("it must answer without an error", where=where, got=got) from error
        return answers

    def _merge_mappings(self, hook: str, reserved: Iterable[str]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        owners = {name.casefold(): "trialrun itself" for name in reserved}
        for plugin, offered in self._call_hook(hook):
            if offered is None:
                continue
            if not isinstance(offered, Mapping):
                raise _wrong_answer_error(plugin, hook, "a mapping of names to callables", offered)
            for name, value in offered.items():
                if not isinstance(name, str) or not name.strip() or not callable(value):
                    raise _wrong_answer_error(plugin, hook, "a mapping of names to callables", {name: value})
                if name.casefold() in owners:
                    raise _name_clash_error(hook, name, owners[name.casefold()], plugin)
                owners[name.casefold()] = f"plugin {plugin!r}"
                merged[name] = value
        return merged


def _build_facade(plugin: Plugin) -> SimpleNamespace:
    """Return the object that pluggy registers for a plugin: its extension hooks, with the signatures of the specs."""
    functions = {}
    for name in EXTENSIONS:
        if plugin.has(name):
            hook = plugin.hooks[name]
            function = _wrap_with_event(hook) if HOOKS[name] else _wrap_without_event(hook)
            functions[name] = hookimpl(tryfirst=hook.tryfirst, trylast=hook.trylast)(function)
    return SimpleNamespace(**functions)


def _wrap_with_event(hook: Hook) -> Callable[[Event], Any]:
    def call_hook(event: Event) -> Any:
        return hook(event)

    return call_hook


def _wrap_without_event(hook: Hook) -> Callable[[], Any]:
    def call_hook() -> Any:
        return hook()

    return call_hook


def _is_iterator(answer: object) -> bool:
    return hasattr(answer, "__next__")


def _wrong_answer_error(plugin: str, hook: str, needed: str, got: object) -> PluginRefused:
    return PluginRefused(f"it must return {needed}", where=f"plugin {plugin!r}, {hook}()", got=repr(got)[:200])


def _name_clash_error(hook: str, name: str, first: str, second: str) -> PluginRefused:
    return PluginRefused(
        f"a name must be offered once (upper and lower case are the same), and {first} offers {name!r}",
        where=f"plugin {second!r}, {hook}()",
        got=f"{name!r} again",
        fix="Rename one of the two, or leave one plugin out.",
    )
