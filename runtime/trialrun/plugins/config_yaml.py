"""The platform's form of a plugin: a folder whose `config.yaml` names the entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun_hookspecs.errors import PluginBroken

__all__ = ["CONFIG", "EntryPoints", "is_config_folder", "load_yaml", "read_config"]

CONFIG = "config.yaml"
_EXAMPLE = "Write `actions: {train: {entrypoint: plugin.train.train}}`."


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoints:
    """The content of `config.yaml`: the plugin's name, and `(module, function)` of each hook."""

    name: str
    train: tuple[str, str]
    tune: tuple[str, str] | None

    def top_levels(self) -> set[str]:
        """Return the top-level names of the modules of all entry points."""
        return {module.partition(".")[0] for module, _ in filter(None, (self.train, self.tune))}


def is_config_folder(folder: Path) -> bool:
    """Return whether a folder has the platform's form. In a package, `config.yaml` must have `actions` for that."""
    if not (folder / CONFIG).is_file():
        return False
    if not (folder / "__init__.py").is_file():
        return True
    content = _parse_yaml(folder / CONFIG, where=f"plugin {folder.name!r}")
    return isinstance(content, dict) and "actions" in content


def read_config(folder: Path, *, where: str) -> EntryPoints:
    """Return the entry points of `config.yaml`. Raises PluginBroken with the path of the wrong key."""
    file = folder / CONFIG
    content = _require_mapping(_parse_yaml(file, where=where), "", file, where)
    actions = _require_mapping(_require_key(content, "actions", "", file, where), "actions", file, where)
    name = content.get("code") or content.get("name")
    return EntryPoints(
        name=name if isinstance(name, str) else folder.name,
        train=_parse_entry_point(_require_key(actions, "train", "actions", file, where), "actions.train", file, where),
        tune=_parse_entry_point(actions["tune"], "actions.tune", file, where) if "tune" in actions else None,
    )


def load_yaml(file: Path) -> Any:
    """Return the content of a YAML file as plain values; raises OSError, ValueError or YAMLError.

    Of a key that occurs twice the last one counts, as for the platform.
    """
    from ruamel.yaml import YAML  # no other form of a plugin needs it
    from ruamel.yaml.constructor import SafeConstructor

    class LastKeyConstructor(SafeConstructor):
        def check_mapping_key(self, *_: Any) -> bool:
            return True

    reader = YAML(typ="safe", pure=True)
    reader.Constructor = LastKeyConstructor
    return reader.load(file.read_bytes())


def _parse_yaml(file: Path, *, where: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return load_yaml(file)
    except (OSError, ValueError, RecursionError, YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise PluginBroken(f"{file.name} must be readable YAML", where=where, got=f"{reason} at {file}{at}") from error


def _require_mapping(value: Any, path: str, file: Path, where: str) -> Mapping[Any, Any]:
    if isinstance(value, dict):
        return value
    rule = f"{path or file.name} must be a mapping"
    raise PluginBroken(rule, where=f"{where}, {file.name}", got=_format_kind(value), fix=_EXAMPLE)


def _require_key(content: Mapping[Any, Any], key: str, path: str, file: Path, where: str) -> Any:
    if key in content:
        return content[key]
    full = f"{path}.{key}" if path else key
    where = f"{where}, {file.name}"
    raise PluginBroken(f"{full} is required", where=where, got=_format_keys(content), fix=_suggest_key(key, content))


def _parse_entry_point(action: Any, path: str, file: Path, where: str) -> tuple[str, str]:
    value = _require_key(_require_mapping(action, path, file, where), "entrypoint", path, file, where)
    if isinstance(value, str):
        module, _, function = value.replace(":", ".").rpartition(".")
        if module and all(part.isidentifier() for part in (*module.split("."), function)):
            return module, function
    rule = f"{path}.entrypoint must be a dotted path of a function"
    raise PluginBroken(rule, where=f"{where}, {file.name}", got=repr(value), fix=_EXAMPLE)


def _format_kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _format_keys(content: Iterable[Any]) -> str:
    return ", ".join(str(key) for key in content) or "nothing"


def _suggest_key(key: str, content: Iterable[Any]) -> str:
    close = difflib.get_close_matches(key, [str(found) for found in content], n=1)
    return f"Did you mean {key!r} instead of {close[0]!r}?" if close else _EXAMPLE
