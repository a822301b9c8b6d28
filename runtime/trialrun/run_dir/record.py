"""What a run was called with, kept in its folder so that `trialrun resume` can call it again; no secret in it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from trialrun._version import __version__
from trialrun.plugins import Plugin, Recipe
from trialrun.run_dir import layout
from trialrun.run_dir.run_config import RunConfig
from trialrun_hookspecs.errors import UsageError

__all__ = ["RunRecord", "read_record", "serialize_recipe", "serialize_recipes", "serialize_sources"]

_FIX = "Name the folder that the run printed as its results."


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The record of a run. `plugin` and `plugins` say how to load them, None for live objects; so do fixtures for rows.

    `run_key` begins the keys of all events of the run, also after it is resumed.
    """

    job_id: int
    run_config: RunConfig
    plugin: dict[str, str] | None
    plugins: list[dict[str, str] | None] = field(default_factory=list)
    datasets: dict[str, str | None] = field(default_factory=dict)
    checkpoints: dict[str, str | None] = field(default_factory=dict)
    backend: str | None = None
    run_key: str = field(default_factory=lambda: secrets.token_hex(5))
    version: str = __version__

    def write(self, folder: Path) -> None:
        facts = asdict(self)
        text = json.dumps({**facts.pop("run_config"), **facts}, indent=2, ensure_ascii=False)
        (folder / layout.RUN_RECORD).write_text(text + "\n", encoding="utf-8")


def serialize_recipe(plugin: Plugin) -> dict[str, str] | None:
    """How to load it again; None for a live object."""
    recipe = plugin.get_recipe()
    return None if recipe is None else {name: str(getattr(recipe, name)) for name in Recipe.__slots__}


def serialize_recipes(plugins: Sequence[Plugin]) -> list[dict[str, str] | None]:
    """How to load each again."""
    return [serialize_recipe(plugin) for plugin in plugins]


def serialize_sources(fixtures: Mapping[int, Any]) -> dict[str, str | None]:
    """Fixtures as they can be named again, from any folder; None for rows."""
    return {str(number): _serialize_source(source) for number, source in fixtures.items()}


def _serialize_source(source: Any) -> str | None:
    if isinstance(source, str | Path):
        return str(Path(source).absolute()) if Path(source).exists() else str(source)
    return None


def read_record(folder: Path) -> RunRecord:
    """The record of a run. Raises UsageError: this is no results folder, or one of another version."""
    try:
        said = json.loads((folder / layout.RUN_RECORD).read_text(encoding="utf-8"))
        options = {each.name: said.pop(each.name) for each in fields(RunConfig) if each.name in said}
        return RunRecord(run_config=RunConfig(**options), **said)
    except FileNotFoundError:
        got = "no such folder" if not folder.is_dir() else f"no {layout.RUN_RECORD} in it"
        raise UsageError("must be the results folder of a run", where=str(folder), got=got, fix=_FIX) from None
    except (ValueError, TypeError, OSError) as error:
        where = str(folder / layout.RUN_RECORD)
        raise UsageError("must be the record of a run", where=where, got=str(error), fix=_FIX) from None
