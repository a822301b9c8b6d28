"""Tests of `trialrun.recordings.importance`."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trialrun.recordings.importance import MIN_TRIALS, estimate_importance

CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.floats(allow_nan=False),
        "b": st.sampled_from(["x", "y"]),
        "c": st.lists(st.booleans(), max_size=2),
    },
)
POINTS = st.lists(st.tuples(CONFIGS, st.floats(allow_nan=False, allow_infinity=False)), max_size=40)


@given(POINTS)
def test_a_share_is_a_share(points: list[tuple[dict[str, Any], float]]) -> None:
    found = estimate_importance(points, ["a", "b", "c"])
    assert all(0.0 <= share <= 1.0 for share in found.values())
    assert list(found.values()) == sorted(found.values(), reverse=True)


@given(POINTS.filter(lambda points: len(points) >= MIN_TRIALS), st.randoms())
def test_the_order_of_trials_does_not_matter(points: list[tuple[dict[str, Any], float]], draw: random.Random) -> None:
    mixed = draw.sample(points, len(points))
    one, other = estimate_importance(points, ["a", "b", "c"]), estimate_importance(mixed, ["a", "b", "c"])
    assert all(abs(one[name] - other[name]) < 1e-9 for name in one)


def test_few_trials_say_nothing() -> None:
    assert estimate_importance([({"a": n}, float(n)) for n in range(MIN_TRIALS - 1)], ["a"]) == {}


def test_what_decides_is_told_from_what_does_not() -> None:
    draw = random.Random(3)
    configs: list[dict[str, Any]] = [
        {"rate": draw.random(), "noise": draw.random(), "kind": draw.choice("xyz"), "same": 1} for _ in range(200)
    ]
    points = [(config, (config["rate"] - 0.3) ** 2 + draw.gauss(0, 0.005)) for config in configs]
    found = estimate_importance(points, ["noise", "kind", "rate", "same"])
    assert next(iter(found)) == "rate"
    assert found["rate"] > 0.7
    assert max(found["noise"], found["kind"]) < 0.1
    assert found["same"] == 0.0


def test_many_values_do_not_look_important_by_chance() -> None:
    draw = random.Random(5)
    found = [
        estimate_importance([({"a": draw.random()}, draw.random()) for _ in range(24)], ["a"])["a"] for _ in range(200)
    ]
    assert sum(found) / len(found) < 0.12  # the share without a correction is 0.2


def test_a_hyperparameter_that_is_not_a_number_is_a_group_of_its_own() -> None:
    points = [({"a": float("nan") if n % 2 else float(n)}, float(n)) for n in range(2 * MIN_TRIALS)]
    assert 0.0 <= estimate_importance(points, ["a"])["a"] <= 1.0
