"""The inputs of a job from the command line: job file, plugins, fixtures, resources; all errors at once."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trialrun_hookspecs.errors import FixtureInvalid, Problem, UsageError

if TYPE_CHECKING:
    from trialrun.plugins import Plugin
    from trialrun_hookspecs.request import Request

__all__ = [
    "JobInputs",
    "Problems",
    "load_inputs",
    "parse_fixtures",
    "parse_resources",
    "read_request",
    "with_fail_fast",
]

_AMOUNT = re.compile(r"([^=\s]+)=(\d+(?:\.\d+)?)", re.ASCII)


class Problems:
    """The errors of one call, collected so that they are reported together."""

    def __init__(self) -> None:
        self.collected: list[Problem] = []

    @contextlib.contextmanager
    def collect_usage_errors(self) -> Iterator[None]:
        """Catch a UsageError of the block and keep its problems."""
        try:
            yield
        except UsageError as error:
            self.collected += [problem for problem in error.problems if problem not in self.collected]

    def raise_if_any(self) -> None:
        """Raise a UsageError with all collected problems, if there are any."""
        if self.collected:
            raise UsageError(problems=self.collected)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInputs:
    """A job and its plugins; `plugin` is None where none was named."""

    request: Request
    plugin: Plugin | None
    others: tuple[Plugin, ...]


def read_request(job: str, warn: Callable[[str], None]) -> Request:
    """Return the validated job; `warn` gets the warning for a deprecated form. Raises UsageError: it is invalid."""
    from trialrun.job_file import to_request

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        request = to_request(job)
    for warning in caught:
        warn(str(warning.message))
    return request


def load_inputs(
    job: str, plugin: str | None, others: Iterable[str], warn: Callable[[str], None], problems: Problems
) -> JobInputs:
    """Read the job and load the plugins. Raises UsageError with `problems` and every error of these."""
    from trialrun.plugins import load_plugin

    requests: list[Request] = []
    loaded: Plugin | None = None
    other_plugins: list[Plugin] = []
    with problems.collect_usage_errors():
        requests.append(read_request(job, warn))
    if plugin is not None:
        with problems.collect_usage_errors():
            loaded = load_plugin(plugin, need_train=True)
    for other in others:
        with problems.collect_usage_errors():
            other_plugins.append(load_plugin(other))
    problems.raise_if_any()
    return JobInputs(request=requests[0], plugin=loaded, others=tuple(other_plugins))


def with_fail_fast(request: Request) -> Request:
    """Return the job with `fail_fast` set. Raises UsageError: it has no trials, or it retries failed ones."""
    config = request.params.tune_config
    if config is None or config.max_failures:
        rule = "needs a tuning job" if config is None else "excludes tune_config.max_failures"
        raise UsageError(rule, where="--fail-fast", fix="Drop one of them." if config else "Leave it out.")
    tuning = config.model_copy(update={"fail_fast": "raise"})
    return request.model_copy(update={"params": request.params.model_copy(update={"tune_config": tuning})})


def parse_resources(texts: Iterable[str], option: str, problems: Problems) -> dict[str, float]:
    """Return `NAME=AMOUNT` options as a dict; `problems` gets the errors."""
    resources: dict[str, float] = {}
    for text in texts:
        matched = _AMOUNT.fullmatch(text)
        with problems.collect_usage_errors():
            if matched is None:
                fix = "Write a name and an amount, such as GPU=2 or license=1.5."
                raise UsageError("must be NAME=AMOUNT", where=option, got=repr(text), fix=fix)
            resources[matched[1]] = float(matched[2])
    return resources


def parse_fixtures(texts: Iterable[str], option: str, problems: Problems) -> dict[int, Any]:
    """Return `ID=PATH` options as a dict; `problems` gets the errors."""
    from trialrun.recorder.fixtures import split_fixture

    fixtures: dict[int, Any] = {}
    for text in texts:
        with problems.collect_usage_errors():
            fixture_id, source = split_fixture(text)
            if fixture_id in fixtures:
                fix = "Give each id once."
                raise FixtureInvalid("an id must be given once", where=option, got=repr(text), fix=fix)
            fixtures[fixture_id] = source
    return fixtures
