"""Faults hit the calls that they name, in the way that they name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trialrun.backend.transport import Answer, Call
from trialrun.testing.faulty import Faulty
from trialrun.testing.scenario import Fault, Scenario
from trialrun_hookspecs.errors import BackendUnavailable

CALL = Call(method="GET", path="jobs/")


class Good:
    def __init__(self) -> None:
        self.read = 0

    def send(self, call: Call) -> Answer:
        self.read += 1
        return Answer(status=200)

    def close(self) -> None: ...


def outcomes(fault: Fault, calls: int = 4, *, in_plugin: bool = False) -> tuple[list[str], int]:
    good = Good()
    faulty = Faulty(good, [fault], in_plugin=lambda: in_plugin, sleep=lambda seconds: None)
    found = []
    for _ in range(calls):
        try:
            found.append(str(faulty.send(CALL).status))
        except BackendUnavailable:
            found.append("none")
    return found, good.read


def test_only_the_calls_that_are_named_are_hit() -> None:
    assert outcomes(Fault(first=2, last=3)) == (["200", "none", "none", "200"], 2)


def test_a_dropped_answer_was_read() -> None:
    assert outcomes(Fault(kind="drop", first=1, last=1)) == (["none", "200", "200", "200"], 4)


def test_refusals_have_their_status() -> None:
    assert outcomes(Fault(kind="refuse", last=1))[0][0] == "503"
    assert outcomes(Fault(kind="busy", last=1))[0][0] == "429"


def test_a_fault_of_the_plugins_time_waits_for_it() -> None:
    assert outcomes(Fault(during="plugin"))[0] == ["200"] * 4
    assert outcomes(Fault(during="plugin"), in_plugin=True)[0] == ["none"] * 4


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
    assert Scenario.from_json(scenario.to_json()).key == scenario.key
