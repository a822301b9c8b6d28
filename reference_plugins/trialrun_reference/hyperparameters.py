"""Check the hyperparameters of the plugins that train: one rule for each, and every problem at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trialrun_hookspecs import BadValue, Problem

__all__ = ["Rule", "is_number", "make_count_rule", "make_number_rule", "resolve_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule of one value. Without a default it is required; a `fixed` one cannot differ from the checkpoint's."""

    accepts: Callable[[Any], bool]
    says: str
    default: Any = None
    whole: bool = False
    fixed: bool = False


def is_number(value: Any) -> bool:
    """Return whether a value is a finite int or float; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def make_number_rule(says: str, accepts: Callable[[float], bool], default: float | None = None) -> Rule:
    """Return the rule of a finite number for which `holds` is true."""
    return Rule(accepts=lambda value: is_number(value) and accepts(value), says=says, default=default)


def make_count_rule(default: int | None = None, *, fixed: bool = False) -> Rule:
    """Return the rule of a whole number of at least 1; 8.0 counts as whole."""
    whole = make_number_rule("a whole number of at least 1", lambda value: value >= 1 and value == int(value))
    return Rule(accepts=whole.accepts, says=whole.says, default=default, whole=True, fixed=fixed)


def resolve_settings(
    rules: Mapping[str, Rule], given: Mapping[str, Any], saved: Mapping[str, Any] | None, *, renewed: str = "epochs"
) -> dict[str, Any]:
    """Return the checked settings, completed from the artifact if any (except for `renewed`), else from the defaults.

    Raises BadValue with every problem at once.
    """
    known = f"Known are {', '.join(rules)}"
    problems = [
        Problem(where=_format_location(name), rule="is not known", fix=known) for name in given if name not in rules
    ]
    made: dict[str, Any] = {}
    for name, rule in rules.items():
        inherited = saved.get(name) if saved and name != renewed else None
        value = given.get(name, rule.default if inherited is None else inherited)
        if not rule.accepts(value):
            got = repr(value) if name in given else "nothing"
            problems.append(Problem(where=_format_location(name), rule=f"must be {rule.says}", got=got))
        elif saved and rule.fixed and value != inherited:
            fix = "Leave it out when training continues from a checkpoint"
            problems.append(
                Problem(
                    where=_format_location(name), rule=f"is {inherited!r} in the checkpoint", got=repr(value), fix=fix
                )
            )
        else:
            made[name] = int(value) if rule.whole else value
    if problems:
        raise BadValue(problems=problems)
    return made


def _format_location(name: str) -> str:
    return f"hyperparameter {name!r}"
