"""Errors say where, which rule, what came and what to do, and travel between processes."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun_hookspecs import BadValue, JobInterrupted, Problem, RequestInvalid, TrialrunError, UsageError, errors

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TrialrunError)]
problems = st.builds(Problem, where=st.text(), rule=st.text(), got=st.text(), fix=st.text())


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"where": "a.b", "rule": "must be x", "got": "3", "fix": "Use x."}, "a.b: must be x, got 3. Use x."),
        ({"where": "", "rule": "must be x"}, "must be x"),
        ({"where": "a", "rule": "must be x", "fix": "Use x."}, "a: must be x. Use x."),
        ({"where": "", "rule": "must be x", "got": "3"}, "must be x, got 3"),
    ],
)
def test_a_problem_reads_as_one_sentence_and_its_remedy(parts: dict[str, str], text: str) -> None:
    assert str(Problem(**parts)) == text


def test_an_error_is_built_from_the_parts_of_one_problem() -> None:
    error = UsageError("must be x", where="a", got="3", fix="Use x.")
    assert error.problems == (Problem(where="a", rule="must be x", got="3", fix="Use x."),)
    assert str(error) == "a: must be x, got 3. Use x."


def test_an_error_of_many_problems_has_one_line_each() -> None:
    many = [Problem(where="a", rule="x"), Problem(where="b", rule="y")]
    assert str(RequestInvalid(problems=many)) == "a: x\nb: y"


@given(st.sampled_from(TREE), st.lists(problems, max_size=3))
def test_an_error_survives_the_way_back_from_a_worker(kind: type[TrialrunError], several: list[Problem]) -> None:
    error = kind(problems=several)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert back.problems == error.problems
    assert str(back) == str(error)


def test_a_wrong_call_exits_with_2_and_a_failed_job_with_1() -> None:
    for kind in TREE:
        expected = 130 if kind is JobInterrupted else 2 if issubclass(kind, UsageError) else 1
        assert kind.exit_code == expected, kind


def test_a_bad_value_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="must be x"):
        raise BadValue("must be x")


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = re.findall(r"^((?:│   |    |├── |└── )*)(\w+)(?: {2,}.*)?$", errors.__doc__ or "", re.MULTILINE)
    depths = {name: len(lead) // 4 for lead, name in drawn}
    assert set(depths) == {kind.__name__ for kind in TREE}
    for kind in TREE:
        assert depths[kind.__name__] == len([base for base in kind.__mro__ if issubclass(base, TrialrunError)]) - 1


def test_every_error_is_offered() -> None:
    assert {kind.__name__ for kind in TREE} | {"Problem"} == set(errors.__all__)
