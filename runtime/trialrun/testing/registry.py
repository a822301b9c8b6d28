"""The registry of checks: each has a permanent id, a demand, a reason and a fix."""

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
"""The first digit of an id -> its family."""

_NEEDS = frozenset({*CAPABILITIES, "ray"})
_ID = re.compile(r"TR([1-5])[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise of the contract, as code.

    `clause` names the document that makes the promise. `before` and `after` show an excerpt of a plugin that breaks it
    and the corrected lines. `needs` holds capabilities of the plugin, and "ray".
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
"""The imported checks by id. `all_checks()` imports those that ship with trialrun."""


def check(
    *,
    id: str,  # noqa: A002  # the name that users see
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
    """Register a function that takes a CheckContext and returns when the plugin keeps the promise.

    The function raises CheckFailed, Vacuous or NotApplicable; any other exception is an error of the harness. The first
    digit of the id names the family. Raises ValueError for an id that is malformed or taken, and for unknown needs.
    """
    found = _ID.fullmatch(id)
    if found is None:
        raise ValueError(f"check {id!r}: an id is TR and three digits, the first from 1 to {len(FAMILIES)}")
    if id in REGISTRY:
        raise ValueError(f"check {id}: the id belongs to {REGISTRY[id].title!r}; choose one that was never used")
    if unknown := set(needs) - _NEEDS:
        raise ValueError(f"check {id}: needs {sorted(unknown)}; known are {sorted(_NEEDS)}")
    if "ray" in needs and level == "core":
        raise ValueError(f"check {id}: a core check cannot need Ray; make it an extended one")
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
    """Return every check that ships with trialrun or was imported, sorted by id."""
    from trialrun.testing import checks

    for found in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{found.name}")
    return dict(sorted(REGISTRY.items()))


def select_checks(
    checks: Mapping[str, Check], *, profile: str = "core", select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> dict[str, Check]:
    """Return the selected checks. `select` and `ignore` hold ids or prefixes of ids (`TR2`).

    `select` overrides `profile`. Raises ValueError for a word that matches no check.
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
