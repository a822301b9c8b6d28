"""Trial schedulers by name: each can be created, and options that it does not take are refused."""

from __future__ import annotations

from typing import Any

import pytest
from ray.tune import schedulers as of_ray

from trialrun.executors.ray_tune.schedulers import SCHEDULERS, list_scheduler_options, make_scheduler
from trialrun_hookspecs import RequestInvalid, UsageError
from trialrun_reference.patience import schedulers

EXTENSIONS: Any = schedulers()
MUTATIONS: Any = {"pbt": {"hyperparam_mutations": {"x": [1, 2]}}, "pb2": {"hyperparam_bounds": {"x": [0.0, 1.0]}}}


def make(name: str, **options: Any) -> Any:
    return make_scheduler(name, options, EXTENSIONS, metric="m", mode="max", mutations=MUTATIONS.get(name))


def refused(name: str, **options: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(RequestInvalid) as caught:
        make(name, **options)
    return [(p.where.removeprefix("params.tune_config.scheduler."), p.rule, p.fix) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        ("fifo", {}, of_ray.FIFOScheduler),
        ("asha", {}, of_ray.AsyncHyperBandScheduler),
        (
            "asha",
            {"max_t": 50, "grace_period": 2, "reduction_factor": 3, "brackets": 2},
            of_ray.AsyncHyperBandScheduler,
        ),
        ("asha", {"time_attr": "epoch", "stop_last_trials": False}, of_ray.AsyncHyperBandScheduler),
        ("hyperband", {}, of_ray.HyperBandScheduler),
        ("hyperband", {"max_t": 100, "reduction_factor": 4}, of_ray.HyperBandScheduler),
        ("patience", {"patience": 2}, of_ray.FIFOScheduler),
    ],
)
def test_a_scheduler_is_made_with_its_options(name: str, options: dict[str, Any], kind: type) -> None:
    made = make(name, **options)
    assert isinstance(made, kind)
    for key, value in options.items():
        held = vars(made).get(f"_{key}", value) if key not in ("max_t", "brackets") else value
        assert held == value


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_takes_metric_and_mode_from_the_study(name: str) -> None:
    assert make(name).set_search_properties("m", "max") is True


def test_an_option_reaches_ray() -> None:
    assert make("asha", max_t=7)._max_t == 7
    assert make("hyperband", max_t=7)._max_t_attr == 7


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fifo", []),
        ("asha", ["time_attr", "max_t", "grace_period", "reduction_factor", "brackets", "stop_last_trials"]),
        ("hyperband", ["time_attr", "max_t", "reduction_factor", "stop_last_trials"]),
    ],
)
def test_options_are_named_as_in_ray(name: str, options: list[str]) -> None:
    assert list_scheduler_options(SCHEDULERS[name]) == options


@pytest.mark.parametrize(
    ("name", "options", "where", "rule", "fix"),
    [
        ("asha", {"max_tt": 3}, "options.max_tt", "asha has no such option", "Did you mean 'max_t'?"),
        ("fifo", {"max_t": 3}, "options.max_t", "fifo has no such option", "It has no options."),
        (
            "hyperband",
            {"zzz": 3},
            "options.zzz",
            "hyperband has no such option",
            "Known: time_attr, max_t, reduction_factor, stop_last_trials.",
        ),
        (
            "asha",
            {"metric": "loss"},
            "options.metric",
            "is not an option of a scheduler",
            "Remove it: tune_config.metric applies to the scheduler too.",
        ),
        ("asha", {"max_t": "x"}, "options.max_t", "must be a number", "Its default is 100."),
        ("asha", {"max_t": True}, "options.max_t", "must be a number", "Its default is 100."),
        ("asha", {"brackets": None}, "options.brackets", "must be a number", "Its default is 1."),
        ("asha", {"time_attr": 3}, "options.time_attr", "must be a string", "Its default is 'training_iteration'."),
        (
            "asha",
            {"stop_last_trials": "no"},
            "options.stop_last_trials",
            "must be true or false",
            "Its default is True.",
        ),
        ("asha", {"reduction_factor": 1}, "options.reduction_factor", "must be more than 1", "3 or 4 is usual."),
        ("hyperband", {"reduction_factor": 0.5}, "options.reduction_factor", "must be more than 1", "3 or 4 is usual."),
        ("ashaa", {}, "name", "no such scheduler", "Did you mean 'asha'?"),
        ("zzz", {}, "name", "no such scheduler", "Known: fifo, hyperband, asha, median, pbt, pb2, patience."),
    ],
)
def test_what_a_scheduler_cannot_be_made_with_is_refused(
    name: str, options: dict[str, Any], where: str, rule: str, fix: str
) -> None:
    assert refused(name, **options) == [(where, rule, fix)]


def test_all_bad_options_are_said_at_once() -> None:
    assert len(refused("asha", max_t="x", zzz=1, mode="max")) == 3


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("asha", {"max_t": 0}, "Max (time_attr) not valid!"),
        ("asha", {"max_t": 3, "grace_period": 5}, "grace_period must be <= max_t!"),
        ("asha", {"brackets": 0}, "brackets must be positive!"),
        ("asha", {"brackets": 1.5}, "integer"),
        ("hyperband", {"max_t": -1}, "Max (time_attr) not valid!"),
    ],
)
def test_what_ray_refuses_is_refused_with_its_words(name: str, options: dict[str, Any], words: str) -> None:
    ((where, rule, fix),) = refused(name, **options)
    assert where == "options"
    assert rule.startswith(f"{name} refuses these options: ")
    assert words in rule
    assert fix


def test_an_extension_refuses_in_its_own_words() -> None:
    with pytest.raises(UsageError, match=r"scheduler\.options\.nonsense"):
        make("patience", nonsense=1)


def test_an_extension_that_takes_no_such_argument_is_reported() -> None:
    def stubborn(*, metric: str, mode: str) -> Any:
        return of_ray.FIFOScheduler()

    with pytest.raises(RequestInvalid, match=r"stubborn refuses these options: .*unexpected keyword argument 'x'"):
        make_scheduler("stubborn", {"x": 1}, {"stubborn": stubborn}, metric="m", mode="max")
