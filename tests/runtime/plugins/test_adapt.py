"""Adapting functions to hooks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.plugins.adapt import HOOKS, adapt_hook
from trialrun_hookspecs import spec

OWN = ("run", "dataset", "hyperparameter", "checkpoint")


def define(parameters: str, name: str = "train") -> Callable[..., Any]:
    """Give a function with these parameters that returns what it was called with."""
    scope: dict[str, Any] = {}
    exec(f"def {name}({parameters}): return dict(locals())", scope)
    function: Callable[..., Any] = scope[name]
    return function


@st.composite
def signatures(draw: st.DrawFn) -> str:
    """Parameter lists of all kinds, with our names in any order, some replaced and some left out."""
    names = draw(st.permutations([*OWN, "data", "epochs"]))[: draw(st.integers(0, 6))]
    if draw(st.booleans()):
        names = [*OWN, *[name for name in names if name not in OWN]]
    first_default = draw(st.integers(0, len(names)))
    parts = [f"{name}=None" if at >= first_default else name for at, name in enumerate(names)]
    slash = draw(st.integers(0, len(parts)))
    if draw(st.booleans()) and slash:
        parts.insert(slash, "/")
    star = draw(st.sampled_from(["", "*args", "*"]))
    if star:
        parts.append(star)
    if star == "*" or (star and draw(st.booleans())):
        parts.append(draw(st.sampled_from(["device=None", "device"])))
    if draw(st.booleans()):
        parts.append("**kwargs")
    return ", ".join(parts)


def received(call: dict[str, Any]) -> dict[str, Any]:
    return {name: call[name] for name in OWN if name in call}


@given(signatures())
@example("run, dataset, hyperparameter, checkpoint=None, **kwargs")
@example("hyperparameter, run, dataset, checkpoint")
@example("*args, **kwargs")
@example("run, dataset, hyperparameter, *, device")
@example("model, run, dataset, hyperparameter")
def test_a_function_is_taken_exactly_when_the_platform_could_call_it_rightly(parameters: str) -> None:
    function = define(parameters)
    positional = [p.name for p in inspect.signature(function).parameters.values() if p.kind in (0, 1)]
    in_place = all(OWN[at : at + 1] == (name,) for at, name in enumerate(positional) if name in OWN)
    try:
        inspect.signature(function).bind(*OWN)
        callable_by_position = True
    except TypeError:
        callable_by_position = False

    hook, problems = adapt_hook("train", function, where="plugin 'p'")

    assert (hook is not None) == (in_place and callable_by_position)
    assert (hook is None) == bool(problems)
    if hook is not None:
        called = hook(*OWN, epochs=3, anything=4)
        assert received(called) == {name: name for name in OWN if name in called and name in positional}
        if "kwargs" in called:
            assert called["kwargs"]["anything"] == 4


def test_defaults_that_pluggy_would_drop_are_passed() -> None:
    hook, _ = adapt_hook("train", define("run, dataset=None, hyperparameter=None, checkpoint=None"), where="")
    assert hook is not None
    assert hook(*OWN) == {name: name for name in OWN}


def test_extra_keywords_reach_named_parameters() -> None:
    hook, _ = adapt_hook(
        "train", define("run, dataset, hyperparameter, checkpoint, epochs=1, *, device='cpu'"), where=""
    )
    assert hook is not None
    called = hook(*OWN, epochs=7, device="gpu", unknown=1)
    assert (called["epochs"], called["device"]) == (7, "gpu")


def test_an_extra_keyword_never_fills_a_place_twice() -> None:
    hook, _ = adapt_hook("train", define("run, dataset, params, trial, **kwargs"), where="")
    assert hook is not None
    assert hook(*OWN, trial="x", other=1)["kwargs"] == {"other": 1}


def test_partials_and_decorated_functions_are_seen_through() -> None:
    inner = define("run, dataset, hyperparameter, checkpoint, *, device")
    hook, problems = adapt_hook("train", functools.partial(inner, device="gpu"), where="")
    assert not problems
    assert hook is not None
    assert hook(*OWN)["device"] == "gpu"

    @functools.wraps(define("hyperparameter, run, dataset, checkpoint"))
    def decorated(*args: Any, **kwargs: Any) -> None: ...

    assert adapt_hook("train", decorated, where="")[0] is None


def test_a_builtin_without_a_signature_is_refused() -> None:
    hook, problems = adapt_hook("train", iter, where="plugin 'p'")
    assert hook is None
    assert "signature can be read" in str(problems[0])


@pytest.mark.parametrize("name", list(HOOKS))
def test_the_specs_themselves_fit(name: str) -> None:
    assert adapt_hook(name, getattr(spec, name), where="")[1] == []


def test_a_report_with_another_word_for_the_event_is_called_by_position() -> None:
    hook, _ = adapt_hook("report", define("e=None", "report"), where="")
    assert hook is not None
    assert hook("event") == {"e": "event"}


def test_a_refusal_says_the_signature_as_written_and_as_needed() -> None:
    _, problems = adapt_hook(
        "tune", define("run, dataset, hyperparameter, checkpoint=None", "tune"), where="plugin 'p'"
    )
    text = str(problems[0])
    assert "plugin 'p', tune()" in text
    assert "`tune(run, dataset, hyperparameter, checkpoint=None)`" in text
    assert "`def tune(hyperparameter, run, dataset, checkpoint, **kwargs)`" in text


def test_a_signature_with_an_endless_default_is_cut() -> None:
    _, problems = adapt_hook("train", define(f"run, dataset={'x' * 5000!r}"), where="")
    assert len(problems[0].got) < 250
