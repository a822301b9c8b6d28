"""The job: everything wrong with it is said at once, with path and remedy; its model, JSON and schema agree."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trialrun.testing.strategies import job_dicts, json_values, requests
from trialrun_hookspecs import Request, RequestInvalid, advice, count_trials, json_schema, parse_request
from trialrun_hookspecs.suggestions import did_you_mean

SPACE = [{"name": "lr", "type": "uniform", "min": 0.1, "max": 1}]
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def training(**params: Any) -> dict[str, Any]:
    return {"action": "train", "params": {"name": "n", "dataset": 1, "hyperparameter": {}, **params}}


def tuning(space: Any = SPACE, params: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    tune_config = {"metric": "m", "mode": "max", **config}
    made = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": tune_config}
    return {"action": "train", "params": {**made, **(params or {})}}


def less(job: dict[str, Any], *path: str) -> dict[str, Any]:
    made = copy.deepcopy(job)
    parent = made
    for key in path[:-1]:
        parent = parent[key]
    del parent[path[-1]]
    return made


def refused(job: Any) -> list[tuple[str, str, str]]:
    """(path, rule, remedy) of everything wrong."""
    with pytest.raises(RequestInvalid) as caught:
        parse_request(job)
    return [(problem.where, problem.rule, problem.fix) for problem in caught.value.problems]


def choices(*names: Any) -> list[Any]:
    return [{"name": name, "type": "choice", "options": [1]} for name in names]


def grids(**sizes: int) -> list[Any]:
    return [{"name": name, "type": "grid_search", "options": list(range(size))} for name, size in sizes.items()]


PARAMS, CONFIG = "params", "params.tune_config"
REFUSED = [
    (less(training(), "action"), "action", "required", 'Add "action": "train".'),
    ({**training(), "action": "trian"}, "action", "must be 'train'", "Did you mean 'train'?"),
    ({**training(), "action": 3}, "action", "must be 'train'", ""),
    (less(training(), "params"), PARAMS, "required", "Add 'params'."),
    ({**training(), "params": []}, PARAMS, "must be an object", "Write {…}."),
    ({**training(), "parms": {}}, "parms", "unknown key", "Did you mean 'params'?"),
    (less(training(), PARAMS, "name"), "params.name", "required", "Add 'name'."),
    (training(name=""), "params.name", "must not be empty", "Write some text."),
    (training(name=" \t"), "params.name", "must not be blank", "Write some text."),
    (training(name="\x1f"), "params.name", "must not be blank", "Write some text."),
    (training(name=5), "params.name", "must be a string", "Write it in quotes."),
    (training(name="\ud800"), "params.name", "must be text that UTF-8 can hold", None),
    (less(training(), PARAMS, "dataset"), "params.dataset", "required", "Add 'dataset'."),
    (training(dataset="1"), "params.dataset", "must be an integer", "Write a whole number, without quotes."),
    (training(dataset=True), "params.dataset", "must be an integer", None),
    (training(dataset=1.5), "params.dataset", "must be an integer", None),
    (training(dataset=None), "params.dataset", "must be an integer", None),
    (training(checkpoint="x"), "params.checkpoint", "must be an integer", None),
    (training(description=3), "params.description", "must be a string", None),
    (training(is_tune="true"), "params.is_tune", "must be true or false", None),
    (training(is_tune=0), "params.is_tune", "must be true or false", None),
    (training(is_tune=None), "params.is_tune", "must be true or false", None),
    (training(hyperparameter=[]), "params.hyperparameter", "must be an object", "Write {…}."),
    (training(hyperparameter={"lr": float("nan")}), "params.hyperparameter.lr", "must be finite", None),
    (training(hyperparameter={"a": [1, {"b": {2}}]}), "params.hyperparameter.a[1].b", "must be JSON, got set", None),
    (training(num_cpus=1), "params.num_cpus", "num_cpus is for tuning only (is_tune=True)", None),
    (training(num_gpus=0), "params.num_gpus", "num_gpus is for tuning only (is_tune=True)", None),
    (
        training(hyperparameters=SPACE),
        "params.hyperparameters",
        "hyperparameters is for tuning only (is_tune=True)",
        None,
    ),
    (
        training(tune_config={"metric": "m", "mode": "max"}),
        CONFIG,
        "tune_config is for tuning only (is_tune=True)",
        "Remove tune_config, or set is_tune to true.",
    ),
    (training(datset=1), "params.datset", "unknown key", "Did you mean 'dataset'?"),
    (training(hyper_parameters=1), "params.hyper_parameters", "unknown key", "Use 'hyperparameters'."),
    (
        tuning(params={"hyperparameter": {}}),
        "params.hyperparameter",
        "hyperparameter is for training only (is_tune=False)",
        None,
    ),
    (tuning(params={"num_cpus": -1}), "params.num_cpus", "must be greater than or equal to 0", "Use a larger number."),
    (tuning(params={"num_cpus": True}), "params.num_cpus", "must be a number", None),
    (tuning(params={"num_gpus": float("inf")}), "params.num_gpus", "must be finite", None),
    (tuning(params={"num_cpus": 0}), "params.num_cpus", "num_cpus and num_gpus must not both be 0", None),
    (
        tuning(params={"num_cpus": 0, "num_gpus": 0}),
        "params.num_cpus",
        "num_cpus and num_gpus must not both be 0",
        None,
    ),
    (tuning(space=[]), "params.hyperparameters", "must not be empty", "Add an item."),
    (tuning(space={}), "params.hyperparameters", "must be a list", "Write […]."),
    (
        tuning(space=choices("a", "b", "a")),
        "params.hyperparameters[2].name",
        "names must be unique, and hyperparameters[0] has this one",
        "Rename one of them.",
    ),
    (
        tuning(space=choices("a/b/c", "a")),
        "params.hyperparameters[0].name",
        "'a/b/c' is nested in 'a', which is a parameter itself",
        "Rename one of them.",
    ),
    (tuning(params={"tune_config": []}), CONFIG, "must be an object", "Write {…}."),
    (less(tuning(), PARAMS, "tune_config", "metric"), f"{CONFIG}.metric", "required", "Add 'metric'."),
    (less(tuning(), PARAMS, "tune_config", "mode"), f"{CONFIG}.mode", "required", "Add 'max' or 'min'."),
    (tuning(mode="maximum"), f"{CONFIG}.mode", "must be 'max' or 'min'", "Did you mean 'max'?"),
    (tuning(metric=" "), f"{CONFIG}.metric", "must not be blank", None),
    (tuning(num_samples=0), f"{CONFIG}.num_samples", "must be greater than or equal to 1", None),
    (tuning(num_samples=-1), f"{CONFIG}.num_samples", "must be greater than or equal to 1", None),
    (tuning(num_samples=2.5), f"{CONFIG}.num_samples", "must be an integer", None),
    (tuning(num_samples=None), f"{CONFIG}.num_samples", "must be an integer", None),
    (tuning(max_concurrent_trials=0), f"{CONFIG}.max_concurrent_trials", "must be greater than or equal to 1", None),
    (tuning(max_concurrent=2), f"{CONFIG}.max_concurrent", "unknown key", "Use 'max_concurrent_trials'."),
    (tuning(search_algo="x"), f"{CONFIG}.search_algo", "unknown key", "Did you mean 'search_alg'?"),
    (tuning(search_alg=""), f"{CONFIG}.search_alg.name", "must not be empty", None),
    (tuning(search_alg=[]), f"{CONFIG}.search_alg", "must be an object", None),
    (tuning(search_alg={"nmae": "x"}), f"{CONFIG}.search_alg.nmae", "unknown key", "Did you mean 'name'?"),
    (
        tuning(search_alg={"points_to_evaluate": {}}),
        f"{CONFIG}.search_alg.points_to_evaluate",
        "must be a list",
        None,
    ),
    (
        tuning(search_alg={"points_to_evaluate": [3]}),
        f"{CONFIG}.search_alg.points_to_evaluate[0]",
        "must be an object",
        None,
    ),
    (tuning(scheduler={"options": []}), f"{CONFIG}.scheduler.options", "must be an object", None),
    (tuning(scheduler={"option": {}}), f"{CONFIG}.scheduler.option", "unknown key", "Did you mean 'options'?"),
    (tuning(seed=-1), f"{CONFIG}.seed", "must be greater than or equal to 0", None),
    (tuning(seed=2**32), f"{CONFIG}.seed", "must be less than 4294967296", None),
    (tuning(seed=True), f"{CONFIG}.seed", "must be an integer", None),
    (tuning(stop={"loss": "x"}), f"{CONFIG}.stop.loss", "must be a number", None),
    (tuning(stop=3), f"{CONFIG}.stop", "must be an object", None),
    (tuning(time_budget_s=0), f"{CONFIG}.time_budget_s", "must be greater than 0", None),
    (tuning(time_budget=9), f"{CONFIG}.time_budget", "unknown key", "Use 'time_budget_s'."),
    (tuning(target=float("nan")), f"{CONFIG}.target", "must be finite", None),
    (tuning(max_failures=-2), f"{CONFIG}.max_failures", "must be greater than or equal to -1", None),
    (
        tuning(fail_fast=True, max_failures=1),
        f"{CONFIG}.fail_fast",
        "fail_fast and max_failures exclude each other",
        "Drop one of them.",
    ),
    (
        tuning(fail_fast="raise", max_failures=1),
        f"{CONFIG}.fail_fast",
        "fail_fast and max_failures exclude each other",
        "Drop one of them.",
    ),
    (tuning(fail_fast=None), f"{CONFIG}.fail_fast", "must be true, false or 'raise'", None),
    (tuning(plateau={"trial": {}}), f"{CONFIG}.plateau.trial.patience", "required", "Add 'patience'."),
    (
        tuning(plateau={"study": {"patience": 0}}),
        f"{CONFIG}.plateau.study.patience",
        "must be greater than or equal to 1",
        None,
    ),
    (tuning(plateau={"trail": {}}), f"{CONFIG}.plateau.trail", "unknown key", "Did you mean 'trial'?"),
    (tuning(allow_restart="yes"), f"{CONFIG}.allow_restart", "must be true or false", None),
    (tuning(fail_fast=1), f"{CONFIG}.fail_fast", "must be true, false or 'raise'", None),
    (tuning(reuse_actors="no"), f"{CONFIG}.reuse_actors", "must be true or false", None),
    (3, "job", "must be an object", "Write {…}."),
    (None, "job", "must be an object", "Write {…}."),
    ([training()], "job", "must be an object", "Write {…}."),
]


@pytest.mark.parametrize(("job", "where", "rule", "fix"), REFUSED)
def test_what_breaks_a_rule_is_refused_with_path_and_remedy(job: Any, where: str, rule: str, fix: str | None) -> None:
    ((at, said, remedy),) = refused(job)
    assert (at, said) == (where, rule)
    if fix is not None:
        assert remedy == fix


@pytest.mark.parametrize("job", [training(), tuning(), tuning(params={"num_cpus": 0, "num_gpus": 0.5})])
def test_the_jobs_that_the_table_spoils_are_valid(job: dict[str, Any]) -> None:
    assert parse_request(job).action == "train"


def test_all_problems_are_said_at_once_though_rules_between_fields_come_later() -> None:
    job = tuning(
        space=[*choices("a", "a"), {"name": "u", "type": "uniform", "lower": 1, "max": "x"}],
        params={"num_cpus": 0, "hyperparameter": {}, "dataset": "1", "zzz": 0},
        mode="up",
        fail_fast=True,
        max_failures=2,
    )
    assert {where for where, _, _ in refused(job)} == {
        "params.dataset",
        "params.zzz",
        "params.num_cpus",
        "params.hyperparameter",
        "params.hyperparameters[1].name",
        "params.hyperparameters[2].lower",
        "params.hyperparameters[2].max",
        "params.tune_config.mode",
        "params.tune_config.fail_fast",
    }


def test_an_error_shows_where_rule_value_and_remedy_in_one_line() -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse_request(tuning(num_samples="ten"))
    assert str(caught.value) == (
        "params.tune_config.num_samples: must be an integer, got 'ten'. Write a whole number, without quotes."
    )


def test_a_long_value_is_shown_shortened() -> None:
    with pytest.raises(RequestInvalid) as caught:
        parse_request(training(dataset="x" * 10_000))
    assert len(str(caught.value)) < 200


def test_a_mode_that_is_unknown_draws_no_further_complaints() -> None:
    assert refused(less(training(is_tune="yes"), PARAMS, "hyperparameter")) == [
        ("params.is_tune", "must be true or false", "Write true or false, without quotes.")
    ]


def test_nesting_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(101):
        deep = [deep]
    assert refused(training(hyperparameter={"a": deep}))[0][1] == "must not be nested deeper than 100 levels"


def test_a_one_item_list_of_hyperparameters_is_folded_in_training_mode() -> None:
    job = less(training(hyperparameters=[{"lr": 0.1, "type": "adam"}]), PARAMS, "hyperparameter")
    assert parse_request(job).params.hyperparameter == {"lr": 0.1, "type": "adam"}


@pytest.mark.parametrize("many", [[], [{}, {}], [3], [{"name": "x", "type": "uniform", "min": 0, "max": 1}], "x"])
def test_other_lists_of_hyperparameters_are_not_folded(many: Any) -> None:
    job = less(training(hyperparameters=many), PARAMS, "hyperparameter")
    assert "params.hyperparameter" in {where for where, _, _ in refused(job)}


@pytest.mark.parametrize("kind", [[], {}, None, 3])
def test_a_hyperparameter_named_type_may_be_anything(kind: Any) -> None:
    job = less(training(hyperparameters=[{"type": kind}]), PARAMS, "hyperparameter")
    assert parse_request(job).params.hyperparameter == {"type": kind}


@pytest.mark.parametrize(("name", "kept"), [("HyperOptSearch", "hyperoptsearch"), (" ASHA ", "asha")])
def test_names_of_algorithms_are_case_insensitive(name: str, kept: str) -> None:
    config = parse_request(tuning(search_alg=name, scheduler={"name": name})).params.tuning
    assert (config.search_alg.name, config.scheduler.name) == (kept, kept)


def test_a_bare_name_stands_for_an_object_with_it() -> None:
    assert parse_request(tuning(search_alg="x", scheduler="y")) == parse_request(
        tuning(search_alg={"name": "x"}, scheduler={"name": "y"})
    )


def test_a_trial_gets_one_cpu_unless_told_otherwise() -> None:
    default, given_ = (
        parse_request(tuning()).params,
        parse_request(tuning(params={"num_cpus": 0, "num_gpus": 1})).params,
    )
    assert (default.cpus, default.gpus, given_.cpus, given_.gpus) == (1.0, 0.0, 0.0, 1.0)


def test_a_training_job_has_no_tuning() -> None:
    with pytest.raises(ValueError, match="no tune_config"):
        _ = parse_request(training()).params.tuning


def test_a_request_is_frozen() -> None:
    request = parse_request(tuning())
    for model, key in ((request, "action"), (request.params, "name"), (request.params.tuning, "mode")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, key, "x")


@settings(max_examples=10)
@given(st.data())
def test_lists_of_a_request_cannot_grow(data: st.DataObject) -> None:
    request = data.draw(requests().filter(lambda made: made.params.is_tune))
    assert isinstance(request.params.hyperparameters, tuple)
    assert isinstance(request.params.tuning.search_alg.points_to_evaluate, tuple)


# -- how many trials


@pytest.mark.parametrize(
    ("space", "config", "trials"),
    [
        (SPACE, {}, 1),
        (SPACE, {"num_samples": 9}, 9),
        (grids(a=3, b=2), {"num_samples": 5}, 30),
        ([*grids(a=3), *SPACE], {"num_samples": 2}, 6),
        (grids(a=3, b=2), {"num_samples": 5, "search_alg": {"points_to_evaluate": [{"a": 1, "b": 1}]}}, 25),
        (grids(a=3, b=2), {"num_samples": 5, "search_alg": {"points_to_evaluate": [{"a": 1}, {}]}}, 26),
        (
            grids(**{"o/a": 3}),
            {"num_samples": 2, "search_alg": {"points_to_evaluate": [{"o": {"a": 1}}, {"o/a": 2}]}},
            2,
        ),
        (grids(a=3), {"num_samples": 1, "search_alg": {"points_to_evaluate": [{"a": 1}] * 4}}, 4),
        (SPACE, {"num_samples": 2, "search_alg": {"name": "x", "points_to_evaluate": [{}] * 4}}, 2),
    ],
)
def test_trials_are_counted_as_they_will_run(space: Any, config: Any, trials: int) -> None:
    assert count_trials(parse_request(tuning(space, **config))) == trials


def test_a_training_job_has_no_trials() -> None:
    assert count_trials(parse_request(training())) is None
    assert advice(parse_request(training())) == []


@pytest.mark.parametrize(
    ("space", "config", "words"),
    [
        (grids(a=4), {"num_samples": 4}, ["num_samples: the grid has 4 points", "makes 16 trials"]),
        (grids(a=4), {"num_samples": 3}, []),
        (grids(a=1), {"num_samples": 1}, []),
        (SPACE, {"search_alg": {"points_to_evaluate": [{}, {}]}}, ["all are tried, which makes 2 trials"]),
        (SPACE, {"search_alg": {"name": "x", "points_to_evaluate": [{}, {}]}}, ["only the first 1 are tried"]),
        (SPACE, {"num_samples": 2, "search_alg": {"points_to_evaluate": [{}, {}]}}, []),
    ],
)
def test_what_is_probably_not_meant_is_said(space: Any, config: Any, words: list[str]) -> None:
    said = advice(parse_request(tuning(space, **config)))
    assert len(said) == bool(words)
    for word in words:
        assert word in said[0]


@pytest.mark.parametrize(("word", "answer"), [("unifrom", "Did you mean 'uniform'?"), ("zzz", ""), ("", "")])
def test_did_you_mean_gives_the_nearest_or_nothing(word: str, answer: str) -> None:
    assert did_you_mean(word, ["uniform", "choice"]) == answer


# -- model, JSON and schema


@settings(max_examples=50)
@given(job_dicts())
def test_a_job_survives_model_and_json(job: dict[str, Any]) -> None:
    request = parse_request(job)
    text = json.dumps(request.model_dump(mode="json"), allow_nan=False)
    assert parse_request(json.loads(text)) == request
    assert parse_request(json.loads(request.model_dump_json())) == request


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@settings(max_examples=50)
@given(requests())
def test_what_the_model_writes_the_schema_accepts(request: Request) -> None:
    SCHEMA.validate(request.model_dump(mode="json"))


@settings(max_examples=50)
@given(job_dicts())
def test_what_the_model_accepts_the_schema_accepts(job: dict[str, Any]) -> None:
    SCHEMA.validate(job)


# What the schema cannot say, or does not: `json_schema` lists the same. Everything else both must refuse.
ONLY_THE_MODEL = (
    "min must be less than max",
    "needs min > 0",
    "must be a multiple of q",
    "is too fine for",
    "q must be at most",
    "no power of ten divides both bounds",
    "names must be unique",
    "which is a parameter itself",
    "is reserved by Ray",
    "must not be an object whose only key is",
    "must not be blank",  # white space of Python that is none of a regular expression's
    "every part of a name",  # likewise
    "fail_fast and max_failures exclude",
    "num_cpus and num_gpus must not both be 0",
    "must be text that UTF-8 can hold",
    "must not be nested deeper",
    "is too large",
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


@st.composite
def spoilt_jobs(draw: st.DrawFn) -> Any:
    """A valid job with one to three changes: a key dropped or added, a value replaced by another."""
    job = draw(job_dicts())
    others: st.SearchStrategy[Any] = json_values | st.sampled_from(
        [-1, 0, 1, 0.5, "", " ", True, [], {}, None, "x", 10**30, "uniform", "max", 1e301]
    )
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(_paths(job))))
        if not path:
            continue
        parent: Any = job
        for key in path[:-1]:
            parent = parent[key]
        change = draw(st.sampled_from(["drop", "add", "replace"]))
        if change == "drop":
            del parent[path[-1]]
        elif change == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["q", "base", "min", "is_tune", "num_cpus", "hyperparameter", "zzz"]))] = draw(
                others
            )
        else:
            parent[path[-1]] = draw(others)
    return job


@settings(max_examples=80)
@given(spoilt_jobs())
@example(tuning([{"name": "c", "type": "choice", "options": []}]))
def test_schema_and_model_refuse_the_same(job: Any) -> None:
    params = job.get("params")
    folded = isinstance(params, dict) and isinstance(params.get("hyperparameters"), list) and not params.get("is_tune")
    assume(not folded)  # a one-item list of the older form is rewritten before either sees it
    rules = _rules(job)
    if SCHEMA.is_valid(job):
        assert all(any(known in rule for known in ONLY_THE_MODEL) for rule in rules), rules
    else:
        assert rules, list(SCHEMA.iter_errors(job))


def _rules(job: Any) -> list[str]:
    try:
        parse_request(job)
    except RequestInvalid as caught:
        return [problem.rule for problem in caught.problems]
    return []


def test_the_schema_says_what_it_leaves_to_the_model() -> None:
    told = json_schema.__doc__ or ""
    for words in ("min < max", "multiples of q", "unique", "nested", "fail_fast", "both 0", "blank", "Ray", "2**53"):
        assert words in told
