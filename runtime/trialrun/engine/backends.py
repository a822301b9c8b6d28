"""The backend of a job: a recorder started for it, or a server at a URL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.backend.client import Client
from trialrun.backend.http import Http, Tokens
from trialrun.backend.memory import Memory
from trialrun.backend.retry import Retry, RetryPolicy
from trialrun.plugins import Manager, load_plugin
from trialrun.recorder import Fixtures, Recorder
from trialrun_hookspecs.errors import BadValue, FixtureInvalid, PluginAbsent, UsageError
from trialrun_hookspecs.suggestions import did_you_mean

__all__ = [
    "Backend",
    "build_fixtures",
    "clear_tokens",
    "connect",
    "named_datasets",
    "read_tokens",
    "start_recorder",
]

_TOKEN_VARIABLES = {
    "access": "TRIALRUN_ACCESS_TOKEN",
    "authorization": "TRIALRUN_AUTHORIZATION",
    "tenant": "TRIALRUN_TENANT",
    "agent": "TRIALRUN_AGENT",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """An open backend. `url` and `token` are for display; `recorder` is None for a backend that is not ours.

    `retry_policy` is how long the sink waits between its attempts; None: the default for a network.
    """

    client: Client
    delivery_client: Client  # for the sink, which does its own retries
    url: str
    token: str = ""
    recorder: Recorder | None = None
    retry_policy: RetryPolicy | None = None


def read_tokens(environment: Mapping[str, str]) -> Tokens:
    """Return the credentials of a backend, from TRIALRUN_ACCESS_TOKEN, _AUTHORIZATION, _TENANT and _AGENT."""
    return Tokens(**{name: environment.get(variable) for name, variable in _TOKEN_VARIABLES.items()})


def clear_tokens() -> None:
    """Remove the credentials from this process's environment, which Ray copies to its workers."""
    for variable in _TOKEN_VARIABLES.values():
        os.environ.pop(variable, None)


@contextlib.contextmanager
def connect(url: str, tokens: Tokens) -> Iterator[Backend]:
    """Yield the backend that runs at `url`. Raises UsageError: the URL or a credential is not valid."""
    try:
        transport = Http(url, tokens)
    except BadValue as error:
        raise UsageError(problems=error.problems) from None
    try:
        yield Backend(client=Client(Retry(transport)), delivery_client=Client(transport), url=transport.url)
    finally:
        transport.close()


@contextlib.contextmanager
def start_recorder(path: Path, fixtures: Fixtures) -> Iterator[Backend]:
    """Yield a recorder that runs until the block ends.

    The job calls its API in memory, without a socket between two threads of one process: a dataset of many files takes
    a sixth of the time. The HTTP server is for all other clients and starts with the first connection.
    """
    with Recorder(path, fixtures=fixtures) as recorder, recorder.server(on_demand=True) as server:
        memory = Memory(recorder.handler())
        client, delivery = Client(Retry(memory)), Client(memory)
        yield Backend(client=client, delivery_client=delivery, url=server.url, token=server.token, recorder=recorder)


NamedDatasets = Mapping[str, Callable[[], Iterable[Mapping[str, Any]]]]


def named_datasets(manager: Manager, datasets: Mapping[int, Any]) -> NamedDatasets:
    """Return datasets by name: those of the manager's plugins, and those of installed plugins named in `datasets`."""
    for source in datasets.values():
        if isinstance(source, str) and source not in manager.datasets() and not Path(source).exists():
            with contextlib.suppress(PluginAbsent):  # the error of `build_fixtures` is more helpful
                manager.add(load_plugin(source))
    return manager.datasets()


def build_fixtures(
    datasets: Mapping[int, Any], checkpoints: Mapping[int, str | Path], offers: NamedDatasets
) -> Fixtures:
    """Return what the recorder serves. A dataset is a path, rows, or the name of one that a plugin offers.

    Raises FixtureInvalid: a dataset or checkpoint does not exist or cannot be served.
    """
    fixtures = Fixtures()
    for dataset_id, source in datasets.items():
        fixtures.add_dataset(dataset_id, _resolve_source(source, offers))
    for model_id, path in checkpoints.items():
        fixtures.add_checkpoint(model_id, path)
    return fixtures


def _resolve_source(source: Any, offers: NamedDatasets) -> Any:
    if not isinstance(source, str):
        return source
    if source in offers:
        return offers[source]
    if Path(source).exists():
        return Path(source)
    fix = did_you_mean(source, offers) or f"Offered by plugins: {', '.join(offers) or 'none'}."
    raise FixtureInvalid(
        "must be a path, or the name of a dataset that a plugin offers", where="--dataset", got=source, fix=fix
    )
