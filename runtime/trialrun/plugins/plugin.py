"""The plugin: what was loaded, and how to call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from trialrun.plugins.class_trainable import accepts_save_options
from trialrun.plugins.hooks import no_train_problem
from trialrun_hookspecs.errors import PluginRefused

if TYPE_CHECKING:
    from trialrun.plugins.adapt import Hook
    from trialrun.plugins.module_isolation import PluginModules

__all__ = ["Plugin", "Recipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Plain text by which another process loads a plugin again.

    `spec` is an absolute path or a dotted path; `root` is the folder that contains a dotted path, or empty.
    """

    kind: Literal["path", "module"]
    spec: str
    name: str
    root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plugin:
    """A loaded plugin whose hooks fit. `code` is the module or object, `source` the text or name that it was loaded by.

    A plugin pickles as its recipe; a live object has none and pickles as itself (see `loading`).
    """

    name: str
    source: str
    code: Any = field(repr=False)
    hooks: Mapping[str, Hook] = field(repr=False)
    origin: Recipe | None = field(default=None, repr=False)
    modules: PluginModules | None = field(default=None, repr=False)

    def has(self, hook: str) -> bool:
        """Return whether the plugin implements the hook of this name."""
        return hook in self.hooks

    @property
    def has_save_options(self) -> bool:
        """True when its tune() was made from a class with step(), and takes the options `every` and `at_end`."""
        return "tune" in self.hooks and accepts_save_options(self.hooks["tune"].function)

    def get_recipe(self) -> Recipe | None:
        """Return the recipe by which another process loads it; None for live objects."""
        return self.origin

    def require_train(self) -> Plugin:
        """Return this plugin; raises PluginRefused when it has no `train`."""
        if not self.has("train"):
            raise PluginRefused(problems=[no_train_problem(self.code, where=f"plugin {self.name!r}")])
        return self

    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any, **extra: Any) -> Any:
        """Call the plugin's `train` by position, with those `extra` keywords that its signature takes."""
        return self._call_hook("train", run, dataset, hyperparameter, checkpoint, **extra)

    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any, **extra: Any) -> Any:
        """Call the plugin's `tune` by position. A generator is returned, and the caller iterates over it."""
        return self._call_hook("tune", hyperparameter, run, dataset, checkpoint, **extra)

    def _call_hook(self, hook: str, *args: Any, **extra: Any) -> Any:
        if hook not in self.hooks:
            raise PluginRefused(
                f"it must have {hook}() to be called",
                where=f"plugin {self.name!r}",
                got=f"only {', '.join(self.hooks)}",
                fix=f"Check `has({hook!r})` first.",
            )
        if self.modules is not None:
            self.modules.activate()
        return self.hooks[hook](*args, **extra)
