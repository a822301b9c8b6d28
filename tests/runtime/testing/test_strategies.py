"""The strategies for authors give what they promise."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trialrun.names import decode_name, encode_name
from trialrun.space import Space, flatten_values
from trialrun.testing.strategies import FIELDS, configs, from_space, job_names, requests, spaces
from trialrun_hookspecs import DISTRIBUTIONS, Request, parse_request


@given(requests())
def test_requests_are_valid(request: Request) -> None:
    assert parse_request(request.model_dump(mode="json", exclude_none=True)) == request


@given(job_names())
def test_job_names_are_names_of_jobs(name: str) -> None:
    job = {"action": "train", "params": {"name": name, "dataset": 1, "hyperparameter": {}}}
    assert parse_request(job).params.name == name
    assert decode_name(encode_name(name)) == name


@given(st.data(), spaces())
def test_what_comes_from_a_space_is_in_it(data: st.DataObject, space: list[Any]) -> None:
    config = data.draw(from_space(space))
    made = Space(space)
    assert set(config) == set(made.names)
    assert all(made.contains(name, value) for name, value in config.items())


@given(st.data(), spaces())
def test_configs_are_what_a_plugin_gets(data: st.DataObject, space: list[Any]) -> None:
    config = data.draw(configs(space))
    assert set(flatten_values(config, Space(space).names)) == set(Space(space).names)


@given(st.data())
def test_a_space_may_be_given_as_a_job_writes_it(data: st.DataObject) -> None:
    space = [
        {"name": "optimizer/lr", "type": "loguniform", "min": 0.001, "max": 0.1, "base": 10},
        {"name": "layers", "type": "randint", "min": 1, "max": 4},
    ]
    config = data.draw(configs(space))
    assert 0.001 <= config["optimizer"]["lr"] <= 0.1
    assert config["layers"] in (1, 2, 3)
    assert type(config["layers"]) is int


def test_there_is_a_strategy_for_every_distribution() -> None:
    assert set(FIELDS) == set(DISTRIBUTIONS)
