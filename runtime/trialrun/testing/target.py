"""The plugin that is checked, and its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from trialrun.testing.verdicts import CAPABILITIES
from trialrun_hookspecs.errors import Problem, UsageError
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = ["BUILT_IN_ROWS", "Target", "hash_files", "resolve_spec"]

BUILT_IN_ROWS: tuple[Mapping[str, Any], ...] = tuple(
    {"category": category, "data": {"x": [step / 4, (step % 3) / 2], "y": step / 2 + 1}}
    for category, steps in (("train", range(8)), ("validation", range(8, 12)))
    for step in steps
)
"""The dataset of a check when no other is named."""

_KEYS = ("hyperparameter", "hyperparameters", "metric", "mode", "dataset", "capabilities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A plugin and the settings that the checks use. None means not set; `with_defaults()` fills these fields.

    `spec` is an argument of `load_plugin`; a path is absolute. `dataset` is a path, the name of a dataset that a plugin
    offers, or a list of rows.
    """

    spec: str
    hyperparameter: Mapping[str, Any] | None = None
    space: Sequence[Mapping[str, Any]] | None = None
    metric: str | None = None
    mode: str | None = None
    dataset: Any = None
    capabilities: frozenset[str] | None = None

    def fill_from(self, lower: Target) -> Target:
        """Return a copy whose unset fields are taken from `lower`."""
        taken = {
            item.name: getattr(lower, item.name)
            for item in fields(self)
            if item.name != "spec" and getattr(self, item.name) is None
        }
        return replace(self, **taken)

    def with_defaults(self, *, has_tune: bool) -> Target:
        """Return a copy with defaults. Default capabilities: resumes, deterministic, and tunes if there is a tune()."""
        hyperparameter = dict(self.hyperparameter or {})
        declared = {"resumes", "deterministic", *(("tunes",) if has_tune else ())}
        space = self.space
        if space is None:
            space = [{"name": key, "type": "choice", "options": [value]} for key, value in hyperparameter.items()]
            space = space or [{"name": "conformance", "type": "choice", "options": [1, 2]}]
        return replace(
            self,
            hyperparameter=hyperparameter,
            space=tuple(space),
            metric=self.metric or "loss",
            mode=self.mode or "min",
            capabilities=frozenset(declared) if self.capabilities is None else self.capabilities,
        )

    def resolve_dataset(self, plugin: str | None) -> Target:
        """Return a copy whose dataset, if it is a path relative to the plugin's file or folder, is absolute."""
        if not plugin or not isinstance(self.dataset, str) or not self.dataset:
            return self
        path = Path(plugin)
        found = (path.parent if path.is_file() else path) / self.dataset
        return replace(self, dataset=str(found)) if found.exists() else self

    def check_settings(self) -> None:
        """Raise UsageError when these settings do not make a valid job."""
        from trialrun.job_file import to_request

        tuning = {"metric": self.metric, "mode": self.mode}
        params = {"is_tune": True, "hyperparameters": list(self.space or ()), "tune_config": tuning}
        for job in ({"hyperparameter": dict(self.hyperparameter or {})}, params):
            to_request({"action": "train", "params": {"name": "conformance", "dataset": 1, **job}})

    @classmethod
    def from_mapping(cls, spec: str, data: Mapping[str, Any], where: str) -> Target:
        """Read a `conformance` dict or a `[tool.trialrun]` table. Raises UsageError with every problem in it."""
        problems = [
            Problem(where=where, rule="unknown key", got=repr(key), fix=did_you_mean(str(key), _KEYS) or _format_keys())
            for key in data
            if key not in _KEYS
        ]
        for key, kinds, kind in _KINDS:
            if key in data and not isinstance(data[key], kinds):
                problems.append(Problem(where=f"{where}.{key}", rule=f"must be {kind}", got=repr(data[key])[:80]))
        problems += _capability_problems(data.get("capabilities"), where)
        if data.get("mode") not in (None, "min", "max"):
            problems.append(Problem(where=f"{where}.mode", rule="must be 'min' or 'max'", got=repr(data["mode"])))
        if problems:
            raise UsageError(problems=problems)
        capabilities = data.get("capabilities")
        return cls(
            spec=spec,
            hyperparameter=data.get("hyperparameter"),
            space=data.get("hyperparameters"),
            metric=data.get("metric"),
            mode=data.get("mode"),
            dataset=data.get("dataset"),
            capabilities=None if capabilities is None else frozenset(capabilities),
        )


_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("hyperparameter", (Mapping,), "a mapping"),
    ("hyperparameters", (list, tuple), "a list of distributions"),
    ("metric", (str,), "a word"),
    ("dataset", (str, list, tuple), "a path, the name of a dataset, or a list of rows"),
)


def _format_keys() -> str:
    return f"The keys are {', '.join(_KEYS)}."


def _capability_problems(value: Any, where: str) -> list[Problem]:
    where = f"{where}.capabilities"
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        return [Problem(where=where, rule="must be a list of words", got=repr(value)[:80])]
    known = f"The capabilities are {', '.join(CAPABILITIES)}."
    return [
        Problem(
            where=where, rule="unknown capability", got=repr(word), fix=did_you_mean(str(word), CAPABILITIES) or known
        )
        for word in value
        if word not in CAPABILITIES
    ]


def resolve_spec(plugin: str | Path) -> str:
    """Return the plugin as a string that has the same meaning in any working directory."""
    path = Path(plugin).expanduser()
    looks_like_path = isinstance(plugin, Path) or "/" in plugin or plugin.startswith(".") or plugin.endswith(".py")
    if looks_like_path or _is_local_plugin(path):
        return str(path.absolute())
    return str(plugin)


def _is_local_plugin(path: Path) -> bool:
    """Return whether a bare name is a plugin's folder here; an installed plugin of that name takes precedence."""
    if not any((path / name).is_file() for name in ("__init__.py", "config.yaml")):
        return False
    from trialrun.plugins.installed import find_installed

    return find_installed(str(path)) is None


def hash_files(source: Path) -> str:
    """Return a digest of the plugin's files: 16 hex digits, equal for equal content."""
    digest = hashlib.sha256()
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if _is_hashed(path))
    for path in files:
        digest.update(path.relative_to(source.parent).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_hashed(path: Path) -> bool:
    return path.is_file() and not {"__pycache__", ".git"} & set(path.parts) and path.suffix != ".pyc"
