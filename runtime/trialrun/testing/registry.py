"""The registry of checks: each with its permanent id, what it demands, why, and how to fix what it finds."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trialrun.testing.verdicts import CAPABILITIES, Level

if TYPE_CHECKING:
    from trialrun.testing.context import CheckContext

__all__ = [
    "FAMILIES",
    "REGISTRY",
    "Check",
    "Family",
    "all_checks",
    "check",
    "select_checks",
]

Family = Literal["contract", "training", "tuning", "reporting", "faults"]

FAMILIES: Mapping[str, Family] = {
    "1": "contract",
    "2": "training",
    "3": "tuning",
    "4": "reporting",
    "5": "faults",
}
"""First digit of an id -> its family."""

_NEEDS = frozenset({*CAPABILITIES, "ray"})
_ID = re.compile(r"TR([1-5])[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise of the contract, as code. `before` and `after` are an excerpt of a plugin that breaks it, and mended.

    `needs` are capabilities of the plugin, and "ray". `clause` says which promise this is.
    """

    id: str
    title: str
    family: Family
    level: Level
    clause: str
    why: str
    fix: str
    before: str
    after: str
    run: Callable[[CheckContext], None]
    needs: frozenset[str] = frozenset()
    timeout_s: float = 20.0


REGISTRY: dict[str, Check] = {}
"""All checks that were imported, by id. `all_checks()` imports those that ship with trialrun."""


def check(  # what a check has to say for itself
    *,
    id: str,  # noqa: A002  # its name everywhere
    title: str,
    clause: str,
    why: str,
    fix: str,
    before: str,
    after: str,
    level: Level = "core",
    needs: Collection[str] = (),
    timeout_s: float = 20.0,
) -> Callable[[Callable[[CheckContext], None]], Callable[[CheckContext], None]]:
    """Register a function that takes a Lab: it returns when the plugin holds the promise.

    It raises CheckFailed, Vacuous or NotApplicable; anything else that it raises is an error of the harness. The family
    is that of the id's first digit. Raises ValueError for an id that is taken or none.
    """
    found = _ID.fullmatch(id)
    if found is None:
        raise ValueError(f"check {id!r}: an id is TR and three digits, the first of 1 to {len(FAMILIES)}")
    if id in REGISTRY:
        raise ValueError(f"check {id}: this id belongs to {REGISTRY[id].title!r}; ids are never used twice")
    if unknown := set(needs) - _NEEDS:
        raise ValueError(f"check {id}: needs {sorted(unknown)}; known are {sorted(_NEEDS)}")
    if "ray" in needs and level == "core":
        raise ValueError(f"check {id}: a core check needs no Ray")
    family = FAMILIES[found[1]]

    def register(function: Callable[[CheckContext], None]) -> Callable[[CheckContext], None]:
        REGISTRY[id] = Check(
            id=id,
            title=title,
            family=family,
            level=level,
            clause=clause,
            why=why,
            fix=fix,
            before=before,
            after=after,
            run=function,
            needs=frozenset(needs),
            timeout_s=timeout_s,
        )
        return function

    return register


def all_checks() -> dict[str, Check]:
    """Every check that ships with trialrun, sorted by id."""
    from trialrun.testing import checks

    for found in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{found.name}")
    return dict(sorted(REGISTRY.items()))


def select_checks(
    checks: Mapping[str, Check], *, profile: str = "core", select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> dict[str, Check]:
    """Those that are asked for. `select` and `ignore` hold ids or their beginnings (`TR2`).

    `select` overrules `profile`. Raises ValueError for a word that fits no check.
    """
    wanted, unwanted = tuple(select), tuple(ignore)
    for word in (*wanted, *unwanted):
        if not word or not any(name.startswith(word) for name in checks):
            raise ValueError(word)
    return {
        name: found
        for name, found in checks.items()
        if (name.startswith(wanted) if wanted else profile == "full" or found.level == "core")
        and not (unwanted and name.startswith(unwanted))
    }
