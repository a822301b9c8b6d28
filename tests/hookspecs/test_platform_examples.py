"""Every JSON example of the platform's documentation is a valid job, and its trials are counted right."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from trialrun_hookspecs import JobResult, RequestInvalid, TuneConfig, advice, count_trials, migrate, parse_request
from trialrun_hookspecs.distributions import DISTRIBUTIONS

EXAMPLES = Path(__file__).parent / "platform_examples"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def tuning(space: list[Any], config: dict[str, Any] | None = None) -> dict[str, Any]:
    config = config or {"metric": "accuracy", "mode": "max", "num_samples": 7}
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    return {"action": "train", "params": params}


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("training_mode", None),
        ("tuning_mode", 10),
        ("new_form", 10),
        ("simple_training", None),
        ("resume", None),
        ("grid", 144),
        ("hyperopt_hyperband", 50),
    ],
)
def test_a_whole_example_makes_its_number_of_trials(name: str, trials: int | None) -> None:
    assert count_trials(parse_request(example(name))) == trials


@pytest.mark.parametrize("name", ["continuous", "discrete", "quantised"])
def test_an_example_of_a_space_is_valid(name: str) -> None:
    assert count_trials(parse_request(tuning(example(name)))) == 7


@pytest.mark.parametrize("distribution", example("distribution_table"), ids=lambda d: str(d["type"]))
def test_a_row_of_the_table_of_distributions_is_valid(distribution: dict[str, Any]) -> None:
    request = parse_request(tuning([distribution]))
    grid = len(distribution["options"]) if distribution["type"] == "grid_search" else 1
    assert count_trials(request) == 7 * grid


def test_the_table_of_distributions_is_ours() -> None:
    assert [row["type"] for row in example("distribution_table")] == list(DISTRIBUTIONS)


@pytest.mark.parametrize(
    ("name", "trials"), [("tune_config_basic", 10), ("tune_config_search", 20), ("tune_config_scheduler", 50)]
)
def test_an_example_of_a_tune_config_makes_its_number_of_trials(name: str, trials: int) -> None:
    space = example("tuning_mode")["params"]["hyperparameters"]
    assert count_trials(parse_request(tuning(space, example(name)))) == trials


@pytest.mark.parametrize("name", ["training_params", "tuning_params"])
def test_the_remedies_of_the_troubleshooting_page_are_valid(name: str) -> None:
    job = {"action": "train", "params": {"name": "n", "dataset": 1, **example(name)}}
    assert parse_request(job).params.is_tune is (name == "tuning_params")


def test_a_name_keeps_its_special_characters() -> None:
    request = parse_request({"action": "train", "params": example("special_name")})
    assert request.params.name == "experiment:v1,batch:32"


def test_the_grid_example_is_told_that_it_makes_144_trials() -> None:
    (said,) = advice(parse_request(example("grid")))
    assert said == (
        "params.tune_config.num_samples: the grid has 12 points and is repeated 12 times, which makes 144 trials. "
        "Set num_samples to 1 to run each point once."
    )


@pytest.mark.parametrize("name", ["training_mode", "tuning_mode", "hyperopt_hyperband"])
def test_the_other_examples_need_no_advice(name: str) -> None:
    assert advice(parse_request(example(name))) == []


def test_the_deprecated_form_draws_one_warning_that_shows_the_new_form() -> None:
    old, new = example("old_form"), example("new_form")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        request = parse_request(old)
    (warning,) = caught
    assert warning.category is DeprecationWarning
    shown = str(warning.message)
    assert json.loads(shown[shown.index("{") :]) == new
    assert warning.filename == __file__
    assert request == parse_request(new)


def test_the_deprecated_form_migrates_to_the_new_form() -> None:
    old = example("old_form")
    before = json.dumps(old)
    assert migrate(old) == example("new_form")
    assert json.dumps(old) == before


@pytest.mark.parametrize("name", ["tuning_mode", "training_mode", "new_form"])
def test_a_job_in_the_current_form_migrates_to_itself(name: str) -> None:
    assert migrate(example(name)) == example(name)


def test_a_deprecated_job_with_both_words_is_left_to_the_model() -> None:
    old = example("old_form")
    old["params"]["hyperparameters"] = old["params"]["hyperparameter"]
    with (
        pytest.warns(DeprecationWarning, match='action "tune"'),
        pytest.raises(RequestInvalid, match=r"params\.hyperparameter: "),
    ):
        parse_request(old)


@pytest.mark.parametrize(
    ("params", "messages"),
    [
        ({"is_tune": False}, ["hyperparameter is required when is_tune=False"]),
        ({}, ["hyperparameter is required when is_tune=False"]),
        (
            {"is_tune": True},
            ["hyperparameters is required when is_tune=True", "tune_config is required when is_tune=True"],
        ),
    ],
)
def test_the_messages_of_the_troubleshooting_page_are_said(params: dict[str, Any], messages: list[str]) -> None:
    with pytest.raises(RequestInvalid) as refused:
        parse_request({"action": "train", "params": {"name": "n", "dataset": 1, **params}})
    assert [problem.rule for problem in refused.value.problems] == messages
    assert [problem.where for problem in refused.value.problems] == [f"params.{m.split()[0]}" for m in messages]
    assert all(problem.fix for problem in refused.value.problems)


def test_a_result_has_the_keys_of_the_platform_s() -> None:
    trial = {"trial_id": "t", "trial_logdir": "/a", "config": {"lr": 0.1}, "metrics": {"accuracy": 0.9}}
    result = JobResult.model_validate({"model_id": 1, "best_trial": trial, "trial_models": [{**trial, "model_id": 2}]})
    assert {"model_id", "best_trial", "trial_models"} <= set(result.model_dump())
    assert result.model_dump()["trial_models"] == [{**trial, "model_id": 2}]


def test_defaults_are_those_of_the_platform() -> None:
    config = TuneConfig.model_validate({"metric": "m", "mode": "max"})
    assert (config.num_samples, config.search_alg.name, config.scheduler.name) == (1, "basicvariantgenerator", "fifo")
