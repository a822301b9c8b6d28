"""Options and libraries of search algorithms: checked values, and errors that name the remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trialrun.numbers import is_finite_number
from trialrun_hookspecs.errors import Problem, RequestInvalid
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = [
    "Option",
    "check_options",
    "choice_option",
    "count_option",
    "missing_library_error",
    "option_error",
    "positive_option",
]

_WHERE = "params.tune_config.search_alg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of an algorithm: its default, and the rule for a given value."""

    default: Any
    rule: str
    accepts: Callable[[Any], bool]


def count_option(default: int | None, *, least: int = 1) -> Option:
    """Return the option of a whole number of at least `least`."""
    return Option(default=default, rule=f"must be a whole number of at least {least}", accepts=_make_whole_check(least))


def positive_option(default: float | None, *, zero: bool = False) -> Option:
    """Return the option of a finite number above 0, or with `zero` of at least 0."""
    rule = "must be a finite number of at least 0" if zero else "must be a finite number above 0"
    return Option(default=default, rule=rule, accepts=lambda v: is_finite_number(v) and (v > 0 or (zero and v == 0)))


def choice_option(*names: str) -> Option:
    """Return the option of one of these names; the first is the default."""
    return Option(default=names[0], rule=f"must be one of {', '.join(names)}", accepts=lambda v: v in names)


def _make_whole_check(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def check_options(algorithm: str, options: Mapping[str, Any], known: Mapping[str, Option]) -> dict[str, Any]:
    """Return all options of the algorithm, given or by default. Raises RequestInvalid with every problem."""
    problems = []
    for key, value in options.items():
        if key not in known:
            fix = did_you_mean(key, known) or f"Known: {', '.join(known)}."
            problems.append(_build_problem(key, f"{algorithm} has no such option", value, fix))
        elif not known[key].accepts(value):
            problems.append(_build_problem(key, known[key].rule, value, _format_default(known[key])))
    if problems:
        raise RequestInvalid(problems=problems)
    return {**{key: option.default for key, option in known.items()}, **options}


def _format_default(option: Option) -> str:
    return "Leave it out." if option.default is None else f"The default is {option.default!r}."


def option_error(key: str, rule: str, value: Any, fix: str) -> RequestInvalid:
    """Return the error of one option whose value does not fit the others."""
    return RequestInvalid(problems=[_build_problem(key, rule, value, fix)])


def _build_problem(key: str, rule: str, value: Any, fix: str) -> Problem:
    return Problem(where=f"{_WHERE}.options.{key}", rule=rule, got=repr(value), fix=fix)


def missing_library_error(algorithm: str, error: ModuleNotFoundError, *, library: str, extra: str) -> Exception:
    """Return the error to raise when a library is missing; the same one when only a dependency of it is missing."""
    if (error.name or "").partition(".")[0] != library:
        return error
    return RequestInvalid(
        f"{algorithm} needs the library {library!r}",
        where=f"{_WHERE}.name",
        got="it is not installed",
        fix=f"pip install 'trialrun[{extra}]'",
    )
