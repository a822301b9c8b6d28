"""The 12 distributions as Ray's own domains: the same draws under the same seed, and all of them in our support."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ray import tune
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.variant_generator import generate_variants

from trialrun.executors.ray_tune.space import DOMAINS, build_param_space, make_domain
from trialrun.space import CODECS, Space, nest_values
from trialrun.testing.strategies import FIELDS, distributions, spaces
from trialrun_hookspecs import DISTRIBUTIONS, DistributionBase, count_trials, parse_request

PLAIN = (int, float, str, bool, list, dict, type(None))
quick = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
drawn = tuple(kind for kind in FIELDS if kind != "grid_search")
seeds = st.integers(0, 2**32 - 1)


def made(kind: str, **fields: Any) -> Any:
    return DISTRIBUTIONS[kind].model_validate({"name": "x", "type": kind, **fields})


def draws(of: Any, number: int, seed: int = 0) -> list[Any]:
    state = np.random.RandomState(seed)
    return [of.sample(random_state=state) for _ in range(number)]


def test_every_distribution_has_a_domain() -> None:
    assert list(DOMAINS) == list(DISTRIBUTIONS.values()) == list(CODECS)


# By hand, from Ray's documentation. A q of 1 is the one step where Ray leaves the top out.
BY_HAND = [
    (made("uniform", min=-1, max=3), tune.uniform(-1, 3)),
    (made("quniform", min=0, max=1, q=0.25), tune.quniform(0, 1, 0.25)),
    (made("loguniform", min=1e-4, max=1, base=10), tune.loguniform(1e-4, 1)),
    (made("loguniform", min=1e-4, max=1, base=2), tune.loguniform(1e-4, 1)),
    (made("qloguniform", min=0.5, max=8, q=0.5, base=2), tune.qloguniform(0.5, 8, 0.5)),
    (made("randn", mean=1, sd=2), tune.randn(1, 2)),
    (made("qrandn", mean=1, sd=2, q=0.5), tune.qrandn(1, 2, 0.5)),
    (made("randint", min=0, max=9), tune.randint(0, 9)),
    (made("qrandint", min=0, max=8, q=2), tune.qrandint(0, 8, 2)),
    (made("qrandint", min=0, max=8), tune.randint(0, 9)),
    (made("lograndint", min=1, max=64, base=2), tune.lograndint(1, 64)),
    (made("qlograndint", min=2, max=64, q=2, base=2), tune.qlograndint(2, 64, 2)),
    (made("qlograndint", min=2, max=64, base=10), tune.lograndint(2, 65)),
    (made("choice", options=["a", 1, None, [2]]), tune.choice(["a", 1, None, [2]])),
]


@pytest.mark.parametrize(("d", "theirs"), BY_HAND, ids=lambda value: getattr(value, "type", ""))
def test_a_domain_draws_what_one_made_by_hand_draws(d: Any, theirs: Any) -> None:
    assert draws(make_domain(d), 300) == draws(theirs, 300)


def test_a_grid_is_ray_s() -> None:
    assert make_domain(made("grid_search", options=[3, "a"])) == tune.grid_search([3, "a"])


@pytest.mark.parametrize("kind", ["quniform", "qloguniform", "qrandn"])
def test_values_of_quantised_floats_are_clean(kind: str) -> None:
    fields = {"mean": 0, "sd": 1} if kind == "qrandn" else {"min": 0.1, "max": 1.0}
    d = made(kind, q=0.1, **fields, **({"base": 10} if "log" in kind else {}))
    raw: Any = {"quniform": tune.quniform, "qloguniform": tune.qloguniform}.get(kind, lambda *_: tune.qrandn(0, 1, 0.1))
    ours, theirs = draws(make_domain(d), 300), draws(raw(0.1, 1.0, 0.1), 300)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert max(len(repr(value)) for value in ours) <= 4
    assert max(len(repr(value)) for value in theirs) > 4, "Ray has mended it: drop our cast"


@quick
@given(distributions(kinds=drawn), seeds)
def test_what_ray_draws_lies_in_our_support_as_plain_python(d: Any, seed: int) -> None:
    space = Space([d])
    for value in draws(make_domain(d), 20, seed):
        assert space.contains("x", value)
        assert type(value) in PLAIN


@quick
@given(distributions(kinds=("loguniform", "qloguniform", "lograndint", "qlograndint")), seeds)
def test_the_base_never_reaches_ray(d: Any, seed: int) -> None:
    other = d.model_copy(update={"base": d.base + 7})
    assert draws(make_domain(d), 5, seed) == draws(make_domain(other), 5, seed)


DISCRETE = [
    made("quniform", min=0, max=1, q=0.25),
    made("qloguniform", min=1, max=5, q=1, base=2),
    made("randint", min=0, max=4),
    made("qrandint", min=0, max=8, q=2),
    made("qrandint", min=1, max=4),
    made("lograndint", min=1, max=8, base=2),
    made("qlograndint", min=2, max=16, q=2, base=2),
    made("qlograndint", min=1, max=5, base=10),
    made("choice", options=[1, 2, 3]),
]


@pytest.mark.parametrize("d", DISCRETE, ids=lambda d: str(d.type))
def test_our_discrete_law_is_ray_s(d: Any) -> None:
    """Two samples by chi-square: at most 7 degrees of freedom, for which 30 is beyond the 0.9999 quantile."""
    number, rng, space = 3000, random.Random(11), Space([d])
    ours = Counter(space.sample(rng)["x"] for _ in range(number))
    theirs = Counter(draws(make_domain(d), number, 11))
    assert set(ours) == set(theirs)
    assert sum((ours[v] - theirs[v]) ** 2 / (ours[v] + theirs[v]) for v in ours) < 30


@pytest.mark.parametrize(
    "d",
    [
        made("uniform", min=-1, max=3),
        made("loguniform", min=1e-4, max=1, base=10),
        made("randn", mean=2, sd=3),
        made("qrandn", mean=2, sd=3, q=0.001),
    ],
    ids=lambda d: str(d.type),
)
def test_our_continuous_law_is_ray_s(d: Any) -> None:
    """Two samples by Kolmogorov and Smirnov; 2.0 is beyond the 0.999 quantile."""
    number, rng, space = 3000, random.Random(11), Space([d])
    ours = np.sort([space.sample(rng)["x"] for _ in range(number)])
    theirs = np.sort(draws(make_domain(d), number, 11))
    every = np.concatenate([ours, theirs])
    below = [np.searchsorted(one, every, side="right") / number for one in (ours, theirs)]
    assert np.max(np.abs(below[0] - below[1])) < 2.0 * np.sqrt(2 / number)


@quick
@given(spaces(kinds=drawn), seeds)
def test_a_space_becomes_a_nested_dict_that_ray_resolves(space: list[DistributionBase], seed: int) -> None:
    ours = Space(space)
    ((_, spec),) = generate_variants({"config": build_param_space(ours)}, random_state=np.random.RandomState(seed))
    values = {d.name: _at(spec["config"], d.name) for d in space}
    assert all(ours.contains(name, value) for name, value in values.items())
    assert nest_values(values) == spec["config"]


def _at(config: Any, name: str) -> Any:
    for part in name.split("/"):
        config = config[part]
    return config


def test_ray_walks_grids_as_often_as_we_count() -> None:
    points: list[Any] = [{"a": 1, "u": 0.5}, {"o": {"b": 2}}]
    space = [
        {"name": "a", "type": "grid_search", "options": [1, 2, 3]},
        {"name": "o/b", "type": "grid_search", "options": [1, 2]},
        {"name": "u", "type": "uniform", "min": 0, "max": 1},
    ]
    config = {"metric": "m", "mode": "max", "num_samples": 3, "search_alg": {"points_to_evaluate": points}}
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    request = parse_request({"action": "train", "params": params})
    made_ = BasicVariantGenerator(points_to_evaluate=points, random_state=1)
    made_.add_configurations(
        tune.Experiment(
            "e",
            lambda config: None,
            config=build_param_space(Space(request.params.hyperparameters or ())),
            num_samples=3,
        )
    )
    assert made_.total_samples == count_trials(request) == 2 + 3 + 6
