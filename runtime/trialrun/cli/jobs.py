"""What the commands ask for alike: the job, plugins and fixtures, with all that is wrong with them at once."""

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
    """Collects what is wrong, so that it is told at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    @contextlib.contextmanager
    def collect_usage_errors(self) -> Iterator[None]:
        """Keep the problems of a UsageError that the block raises, and go on."""
        try:
            yield
        except UsageError as error:
            self.found += [problem for problem in error.problems if problem not in self.found]

    def raise_if_any(self) -> None:
        """Raise a UsageError with all that was found, if anything was."""
        if self.found:
            raise UsageError(problems=self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInputs:
    """A job and the plugins it was called with; `plugin` is None where none was named."""

    request: Request
    plugin: Plugin | None
    others: tuple[Plugin, ...]


def read_request(job: str, warn: Callable[[str], None]) -> Request:
    """The validated job; that its form is deprecated is said through `warn`. Raises UsageError."""
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
    """Read the job and load the plugins. Raises UsageError with `problems` and all that is wrong with these."""
    from trialrun.plugins import load_plugin

    requests: list[Request] = []
    loaded: Plugin | None = None
    more: list[Plugin] = []
    with problems.collect_usage_errors():
        requests.append(read_request(job, warn))
    if plugin is not None:
        with problems.collect_usage_errors():
            loaded = load_plugin(plugin, need_train=True)
    for other in others:
        with problems.collect_usage_errors():
            more.append(load_plugin(other))
    problems.raise_if_any()
    return JobInputs(request=requests[0], plugin=loaded, others=tuple(more))


def with_fail_fast(request: Request) -> Request:
    """The job as it ends at its first failed trial. Raises UsageError: it has no trials, or starts them again."""
    config = request.params.tune_config
    if config is None or config.max_failures:
        rule = "there are no trials to fail" if config is None else "excludes tune_config.max_failures"
        raise UsageError(rule, where="--fail-fast", fix="Drop one of them." if config else "Leave it out.")
    tuning = config.model_copy(update={"fail_fast": "raise"})
    return request.model_copy(update={"params": request.params.model_copy(update={"tune_config": tuning})})


def parse_resources(texts: Iterable[str], option: str, problems: Problems) -> dict[str, float]:
    """`NAME=AMOUNT` options as a dict; what is wrong with them goes to `problems`."""
    found: dict[str, float] = {}
    for text in texts:
        matched = _AMOUNT.fullmatch(text)
        with problems.collect_usage_errors():
            if matched is None:
                fix = "Write GPU=2, or license=1.5: a name, and how many there are."
                raise UsageError("must be NAME=AMOUNT", where=option, got=repr(text), fix=fix)
            found[matched[1]] = float(matched[2])
    return found


def parse_fixtures(texts: Iterable[str], option: str, problems: Problems) -> dict[int, Any]:
    """`ID=PATH` options as a dict; what is wrong with them goes to `problems`."""
    from trialrun.recorder.fixtures import split_fixture

    found: dict[int, Any] = {}
    for text in texts:
        with problems.collect_usage_errors():
            fixture_id, source = split_fixture(text)
            if fixture_id in found:
                fix = "Give each id once."
                raise FixtureInvalid("an id must be given once", where=option, got=repr(text), fix=fix)
            found[fixture_id] = source
    return found
