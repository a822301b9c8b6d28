"""Submission of a run to a cluster as a Ray Job, without secrets."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["build_runtime_env", "follow_job", "resolve_dashboard", "send_job", "submit_with_retry"]

_FINAL_STATUSES = ("SUCCEEDED", "FAILED", "STOPPED")
_EXCLUDED_FILES = (
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    layout.RESULTS_ROOT,
    ".env",
    "*.pem",
    "*.key",
    ".netrc",
    ".aws",
    ".ssh",
)
_NO_AGENT_TEXT = "No available agent"  # a dashboard's answer before its nodes have started
_RETRY_LIMIT_S = 60.0
_SECRET = ("TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "AUTHORIZATION", "API_KEY", "ACCESS_KEY", "PRIVATE")


def build_runtime_env(folder: Path, requirements: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the runtime_env of the job's processes: the folder, libraries, and the named variables.

    Raises UsageError: the name of a variable looks like a secret's, and the cluster shows a runtime_env to everybody.
    """
    for name in variables:
        if any(word in name.upper() for word in _SECRET):
            fix = "Set it on the cluster's nodes, or give its processes a role."
            raise UsageError("a secret must not be sent with a job", where="--env", got=name, fix=fix)
    env: dict[str, Any] = {"working_dir": str(folder), "excludes": list(_EXCLUDED_FILES)}
    if requirements:
        env["pip"] = list(requirements)
    if variables:
        env["env_vars"] = dict(variables)
    return env


def send_job(address: str, command: str, env: Mapping[str, Any]) -> tuple[Any, str]:
    """Send the job to the dashboard at `address` (http://host:8265); return the client and the job's id.

    Raises UsageError: Ray's job client is not installed, or nothing answers.
    """
    try:
        from ray.job_submission import JobSubmissionClient

        client = JobSubmissionClient(address)
        sent = submit_with_retry(client, command, env)
    except ImportError as error:
        fix = "Install it: pip install 'ray[default]'."
        raise UsageError("Ray's job client is not installed", where="submit", got=str(error), fix=fix) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        fix = "Name the dashboard of a cluster that was started with ray[default], such as http://head:8265."
        raise UsageError(
            "no cluster takes jobs at this address", where="--address", got=f"{address!r} ({error})", fix=fix
        ) from None
    return client, sent


def submit_with_retry(
    client: Any,
    command: str,
    env: Mapping[str, Any],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Send the job and return its id. While the cluster has no node that takes jobs, retry for a minute.

    Raises RuntimeError: the cluster refused it.
    """
    end = clock() + _RETRY_LIMIT_S
    while True:
        try:
            return str(client.submit_job(entrypoint=command, runtime_env=dict(env)))
        except RuntimeError as error:
            if _NO_AGENT_TEXT not in str(error) or clock() >= end:
                raise
        sleep(1.0)


def follow_job(client: Any, job: str, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yield the output of the job as it arrives, and at the end its status."""
    shown = 0
    while True:
        status = str(client.get_job_status(job).value)
        text = client.get_job_logs(job)
        if len(text) > shown:
            yield text[shown:]
            shown = len(text)
        if status in _FINAL_STATUSES:
            yield status
            return
        sleep(1.0)


def resolve_dashboard(address: str | None) -> str:
    """Return the given dashboard address, else RAY_API_SERVER_ADDRESS. Raises UsageError if there is neither."""
    dashboard = address or os.environ.get("RAY_API_SERVER_ADDRESS")
    if not dashboard:
        fix = "Give --address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS."
        raise UsageError("must name the dashboard that takes jobs", where="--address", got="nothing", fix=fix)
    return dashboard
