"""Tests of `trialrun.testing.scenario`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trialrun.testing.scenario import Fault, Scenario


@given(
    st.builds(
        Scenario,
        kind=st.sampled_from(["load", "train", "tune"]),
        plugin=st.text(min_size=1),
        hyperparameter=st.dictionaries(st.text(), st.integers()),
        faults=st.lists(st.builds(Fault, first=st.integers(1, 9)), max_size=2).map(tuple),
        raise_at=st.one_of(st.none(), st.tuples(st.integers(1, 9), st.just("OSError"))),
    )
)
def test_a_scenario_travels(scenario: Scenario) -> None:
    assert Scenario.from_json(scenario.to_json()) == scenario
    assert Scenario.from_json(scenario.to_json()).cache_key == scenario.cache_key
