"""TR2xx, training: the hyperparameters, the dataset and the name of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trialrun.testing.checks.shared import (
    first_error,
    locate_error,
    mentions_name,
    require_training,
    run_jobs,
)
from trialrun.testing.context import CheckContext
from trialrun.testing.observation import Observation
from trialrun.testing.registry import check

__all__: list[str] = []

_TRAIN = "docs/how-to/plugins.md#train"
_MOST_CALLS = 5


@check(
    id="TR208",
    title="leaves the hyperparameters unchanged",
    clause=f"{_TRAIN}: plain Python values, recorded with the model",
    why="The changed values are not those of the job, and a caller that reuses the dict trains with them.",
    fix="Change a copy: settings = {**defaults, **hyperparameter}.",
    before='lr = hyperparameter.pop("lr")',
    after='lr = hyperparameter["lr"]',
)
def hyperparameters_stay(context: CheckContext) -> None:
    for observation in run_jobs(context):
        for hook in context.require_ok(observation).hook_calls:
            same = hook["hyperparameter_before"] == hook["hyperparameter_after"]
            message = f"{hook['hook']}() changed its hyperparameters to {hook['hyperparameter_after']}"
            context.expect(same, message, signature="hyperparameter changed", where=context.locate_hook(hook["hook"]))


@check(
    id="TR209",
    title="leaves the dataset unchanged",
    clause=f"{_TRAIN}: trials share it, so leave it as it is",
    why="All trials of a worker share one dataset: the second trial trains on the rows that the first one changed.",
    fix="Change a copy: rows = list(dataset['train']).",
    before="dataset['train'].pop()",
    after="rows = dataset['train'][:-1]",
)
def dataset_stays(context: CheckContext) -> None:
    for observation in run_jobs(context):
        for hook in context.require_ok(observation).hook_calls:
            same = hook["dataset_hash_before"] == hook["dataset_hash_after"]
            message = f"{hook['hook']}() changed the dataset in place"
            context.expect(same, message, signature="dataset changed", where=context.locate_hook(hook["hook"]))


def _flatten_leaves(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flatten_leaves(value, f"{above}{key}/")
        else:
            yield f"{above}{key}", value


def _replace_value(nested: Mapping[str, Any], path: str, *value: Any) -> dict[str, Any]:
    """Return a copy without the value at `path`, or with `value` there."""
    head, _, rest = path.partition("/")
    if rest:
        return {**nested, head: _replace_value(nested[head], rest, *value)}
    kept = {key: item for key, item in nested.items() if key != head}
    return {**kept, head: value[0]} if value else kept


@check(
    id="TR210",
    title="an error names the missing hyperparameter",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="The author of a job sees only the error. `NoneType is not iterable` does not say which value is missing.",
    fix="Use a default, or raise an error that contains the name.",
    before='range(hyperparameter.get("epochs"))',
    after='epochs = hyperparameter["epochs"]  # KeyError names it',
    timeout_s=90.0,
)
def missing_hyperparameter_is_named(context: CheckContext) -> None:
    require_training(context)
    hyperparameter = dict(context.target.hyperparameter or {})
    names = [name for name, _ in _flatten_leaves(hyperparameter)]
    if not names:
        context.raise_not_applicable("the checks use no hyperparameters")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(hyperparameter, name))
        if not observation.ok:
            _expect_named(context, observation, name, "without", "missing hyperparameter")


@check(
    id="TR211",
    title="an error names the hyperparameter of the wrong type",
    clause=f"{_TRAIN}: the job's hyperparameter is the plugin's own structure, which nobody else can check",
    why="A number in quotes is a common mistake in jobs. Accepted silently, it trains another model.",
    fix="Check the type at the start, and raise ValueError with name and value.",
    before='epochs = int(hyperparameter["epochs"])',
    after='if not isinstance(epochs, int):\n    raise ValueError(f"epochs must be an int, got {epochs!r}")',
    timeout_s=90.0,
)
def wrong_type_is_named(context: CheckContext) -> None:
    require_training(context)
    hyperparameter = dict(context.target.hyperparameter or {})
    names = [name for name, value in _flatten_leaves(hyperparameter) if type(value) in (int, float)]
    if not names:
        context.raise_not_applicable("the checks use no hyperparameter that is a number")
    for name in names[:_MOST_CALLS]:
        observation = context.train(hyperparameter=_replace_value(hyperparameter, name, "a few"))
        message = f"{name!r} was text instead of a number, and train() accepted it"
        context.expect(not observation.ok, message, signature="wrong type accepted", where=context.locate_hook())
        _expect_named(context, observation, name, "with a text for", "wrong type")


def _expect_named(context: CheckContext, observation: Observation, name: str, how: str, signature: str) -> None:
    error = first_error(observation)
    text = str(error) if error and observation.has_ended else observation.status_text
    message = f"{how} {name!r}, train() failed with an error that does not name it: {text}"
    context.expect(
        observation.has_ended and mentions_name(text, name),
        message,
        signature=signature,
        where=locate_error(error) or context.locate_hook(),
    )


_ABOUT_DATA = ("dataset", "data set", "row", "categor", "sample", "record", "example", "empty", "no data")


@check(
    id="TR221",
    title="an error names the missing rows of a dataset",
    level="extended",
    clause=f"{_TRAIN}: dataset is a dict from category to rows",
    why="A wrong dataset id is a common mistake, and `division by zero` does not point to it.",
    fix="Check for rows at the start, and name the missing category in the error.",
    before="loss = total / len(rows)",
    after='if not rows:\n    raise ValueError("the dataset has no rows of category train")',
)
def missing_rows_are_reported(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(dataset=[{"category": "conformance", "data": {}}])
    if observation.ok:
        return  # it needs no rows
    error = first_error(observation)
    text = str(error) if error and observation.has_ended else observation.status_text
    named = any(word in text.lower() for word in _ABOUT_DATA) or any(
        mentions_name(text, c) for c in _list_categories(context)
    )
    message = f"with a dataset of another category, train() failed with an error that does not say so: {text}"
    context.expect(
        observation.has_ended and named,
        message,
        signature="dataset error",
        where=locate_error(error) or context.locate_hook(),
    )


def _list_categories(context: CheckContext) -> set[str]:
    rows = context.train().scenario.dataset
    known = {str(row.get("category")) for row in rows if isinstance(row, Mapping)} if isinstance(rows, list) else set()
    return known | {"train", "training", "validation", "test"}


@check(
    id="TR222",
    title="works with any job name",
    clause="docs/how-to/jobs.md: the name is any text that is not blank",
    why="Job names contain slashes, spaces and dates. In a file name these mean another folder, or an error.",
    fix="Do not derive file names from run.name: each run already has its own folder.",
    before='Path(f"{run.name}.pt")',
    after='Path("model.pt")',
)
def any_job_name_works(context: CheckContext) -> None:
    require_training(context)
    observation = context.train(name="a/b: c, 100 %; ünï")
    where = locate_error(first_error(observation)) or context.locate_hook()
    context.expect(
        observation.ok,
        f"train() failed with a slash in the job's name: {observation.status_text}",
        signature="job name",
        where=where,
    )
