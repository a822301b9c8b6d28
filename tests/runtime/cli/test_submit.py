"""`trialrun submit` sends a run to a cluster, without secrets."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from trialrun.executors.ray_tune.ray_job import follow_job, submit_with_retry

LIMIT_S = 120


def test_what_is_sent_is_the_folder_and_what_was_named(
    called: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEED_OF_MINE", "3")
    monkeypatch.setenv("TRIALRUN_ACCESS_TOKEN", "hunter2")
    (tmp_path / "requirements.txt").write_text("# libraries\nscikit-learn>=1.5  # here\n\n")
    shown = called(
        "submit", "--dry-run", "--requirements", "requirements.txt", "--env", "SEED_OF_MINE", "--env", "MODE=fast day",
        "job.json", "--plugin", "my plugin.py", "--results", "/shared/results",
    )  # fmt: skip
    assert shown.exit_code == 0, shown.stderr
    message = json.loads(shown.stdout)
    assert message["entrypoint"] == (
        "python -m trialrun run job.json --plugin 'my plugin.py' --results /shared/results --address auto"
    )
    env = message["runtime_env"]
    assert env["working_dir"] == str(tmp_path)
    assert env["pip"] == ["scikit-learn>=1.5"]
    assert env["env_vars"] == {"SEED_OF_MINE": "3", "MODE": "fast day"}
    assert {".git", ".env", "trialrun-results"} <= set(env["excludes"])
    assert "hunter2" not in shown.stdout


@pytest.mark.parametrize("name", ["TRIALRUN_ACCESS_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "db_password=x"])
def test_a_secret_does_not_travel(called: Callable[..., Any], name: str) -> None:
    shown = called("submit", "--dry-run", "--env", name, "job.json")
    assert shown.exit_code == 2
    assert "a secret must not be sent" in shown.stderr


def test_a_call_without_a_cluster_is_told(called: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    for options, message in (
        (["job.json"], "must name the dashboard that takes jobs"),
        (["--address", "http://127.0.0.1:9", "job.json"], "error: "),
        (["--working-dir", "nowhere", "job.json"], "must be a folder"),
        (["--address", "http://127.0.0.1:9"], "must be named"),
        (["--requirements", "nowhere", "job.json"], "must be readable"),
    ):
        shown = called("submit", *options)
        assert shown.exit_code == 2, shown.stderr
        assert message in shown.stderr


def test_what_the_job_prints_is_shown_once() -> None:
    class Client:
        turns = iter([("RUNNING", "one\n"), ("RUNNING", "one\n"), ("SUCCEEDED", "one\ntwo\n")])

        def get_job_status(self, job: str) -> Any:
            status, self.text = next(self.turns)
            return type("Status", (), {"value": status})

        def get_job_logs(self, job: str) -> str:
            return self.text

    assert list(follow_job(Client(), "j", sleep=lambda s: None)) == ["one\n", "two\n", "SUCCEEDED"]


class Starting:
    """A cluster that refuses some jobs before it takes one."""

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)

    def submit_job(self, *, entrypoint: str, runtime_env: dict[str, Any]) -> str:
        if self.refusals:
            raise RuntimeError(self.refusals.pop())
        return f"{entrypoint} in {runtime_env['working_dir']}"


def test_a_cluster_that_has_just_started_is_asked_again() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    late = "Request failed with status code 500: No available agent to submit job, please try again later."
    sent = partial(submit_with_retry, command="run", env={"working_dir": "here"}, sleep=sleep, clock=lambda: now)
    assert sent(Starting(late, late)) == "run in here"
    assert now == 2.0
    with pytest.raises(RuntimeError, match="No available agent"):
        sent(Starting(*[late] * 100))
    assert now == 62.0
    with pytest.raises(RuntimeError, match="denied"):
        sent(Starting("denied"))
    assert now == 62.0


@dataclass(frozen=True)
class Head:
    """A cluster of one node that takes jobs, and Ray Client."""

    environment: dict[str, str]
    dashboard: str
    client: str


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    pytest.importorskip("aiohttp_cors", reason="needs ray[default]")
    port = 28265 + os.getpid() % 1000
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
        "RAY_AUTH_MODE": "token",  # as `ray start` has it by default, with a token that is this test's own
        "RAY_AUTH_TOKEN": secrets.token_hex(16),
    }
    log_path = tmp_path_factory.mktemp("head") / "head.log"
    with log_path.open("w") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--port=0", "--num-cpus=2",
             f"--dashboard-port={port}", f"--dashboard-agent-listen-port={port + 1000}",  # as other Rays may run
             f"--ray-client-server-port={port - 2000}", "--include-dashboard=true", f"--temp-dir=/tmp/rs{os.getpid()}"],
            env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            _wait_for_dashboard(f"http://127.0.0.1:{port}", started, log_path)
            yield Head(environment, f"http://127.0.0.1:{port}", f"ray://127.0.0.1:{port - 2000}")
        finally:
            started.terminate()
            started.wait(90)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with a job, its plugin, and what this one imports."""
    folder = tmp_path / "work"
    folder.mkdir()
    space = [{"name": "n", "type": "grid_search", "options": [1, 2]}]
    params = {"name": "sent", "dataset": 1, "is_tune": True, "num_cpus": 0.5, "hyperparameters": space}
    config = {"metric": "loss", "mode": "min"}
    (folder / "job.json").write_text(json.dumps({"action": "train", "params": {**params, "tune_config": config}}))
    (folder / "mine.py").write_text(
        "import beside\ndef train(*a): ...\ndef tune(h, run, d, c): return beside.loss(h)\n"
    )
    (folder / "beside.py").write_text("def loss(h): return {'loss': h['n']}\n")
    (folder / "line.csv").write_text("x,y\n1,2\n")
    return folder


@pytest.mark.ray(session=False)
@pytest.mark.timeout(400)
def test_a_cluster_runs_a_job_that_was_sent(spawned: Callable[..., Any], head: Head, work: Path) -> None:
    done = spawned(
        "submit", "--address", head.dashboard, "--working-dir", work, "job.json", "--plugin", "mine.py",
        "--dataset", "1=line.csv", "--results", work / "shared",
        env=head.environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((work / "shared" / "sent-1" / "result.json").read_text())
    assert result["best_trial"]["config"] == {"n": 1}


@pytest.mark.ray(session=False)
@pytest.mark.timeout(400)
def test_a_cluster_that_is_named_by_its_client_address_is_joined(
    spawned: Callable[..., Any], head: Head, work: Path
) -> None:
    done = spawned(
        "run", "--address", head.client, work / "job.json", "--plugin", work / "mine.py",
        "--dataset", f"1={work / 'line.csv'}", "--results", work / "here", "--json",
        env=head.environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["best_trial"]["config"] == {"n": 1}
    assert result["best_trial"]["metrics"]["loss"] == 1
    wrong = spawned(
        "run", "--address", head.client, work / "job.json", "--plugin", work / "mine.py",
        "--dataset", f"1={work / 'line.csv'}", "--results", work / "here",
        env={**head.environment, "RAY_AUTH_TOKEN": "0" * 32}, timeout=300,
    )  # fmt: skip
    assert wrong.returncode == 2, wrong.stderr
    assert "--address: no Ray answers at this address" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def _wait_for_dashboard(address: str, head: subprocess.Popen[bytes], log: Path) -> None:
    import requests

    end = time.monotonic() + LIMIT_S
    while True:
        assert head.poll() is None, log.read_text()
        assert time.monotonic() < end
        try:
            if requests.get(f"{address}/api/version", timeout=5).status_code in (200, 401):  # 401: it wants a token
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
