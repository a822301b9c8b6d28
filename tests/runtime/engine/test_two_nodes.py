"""A cluster of two nodes: trials are spread, a study survives the loss of one; one without the folder is refused."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[2] / "broken_plugins" / "writes_where_it_was.py"
LIMIT_S = 150
APART = ["unshare", "--map-root-user", "--mount", "sh", "-c"]


class Cluster:
    """A head and a worker node, each a process group of its own, with Ray's files in a short folder.

    Below `private`, which must be there, the worker has files of its own.
    """

    def __init__(self, folder: Path, private: Path | None = None) -> None:
        self.folder = folder
        self.nodes: list[subprocess.Popen[str]] = []
        self.environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        self.environment |= {
            "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the machine
            "RAY_AUTH_MODE": "token",  # as `ray start` has it by default, with a token that is this test's own
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
        }
        head = self._start("head", "--head", "--port=0", "--include-dashboard=false", f"--temp-dir={folder}")
        self.address = self._address(head)
        apart = [*APART, f'mount -t tmpfs none "{private}" && exec "$@"', "sh"] if private else []
        self._start("worker", f"--address={self.address}", apart=apart)

    def _start(self, name: str, *options: str, apart: Sequence[str] = ()) -> subprocess.Popen[str]:
        command = [*apart, sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", *options]
        environment = {**self.environment, "RAY_NODE_OF_TEST": name, "RAY_health_check_period_ms": "500"}
        with (self.folder / f"{name}.log").open("w") as log:
            node = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, text=True, start_new_session=True, cwd=self.folder
            )
        self.nodes.append(node)
        return node

    def _address(self, head: subprocess.Popen[str]) -> str:
        found: list[str] = []

        def said() -> bool:
            text = (self.folder / "head.log").read_text()
            found[:] = re.findall(r"--address='([\d.]+:\d+)'", text)
            return bool(found)

        wait_for(said, head, self.folder / "head.log")
        return found[0]

    def kill_worker(self) -> None:
        os.killpg(self.nodes[1].pid, signal.SIGKILL)

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.terminate()
            try:
                node.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait(30)

    def left(self) -> list[str]:
        """Processes that still name this cluster's folder or address."""
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in shown.splitlines() if str(self.folder) in line or self.address in line]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="two", dir="/tmp", ignore_cleanup_errors=True) as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.stop()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], log: Path) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)


def call(folder: Path, results: Path, address: str) -> list[str]:
    """The command that runs three trials of twelve steps on the cluster."""
    space = [
        {"name": "n", "type": "grid_search", "options": [1, 2, 3]},
        {"name": "steps", "type": "constant", "value": 12},
    ]
    config = {"metric": "loss", "mode": "min", "max_failures": 3, "reuse_actors": False}
    params = {"name": "spread", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    (folder / "job.json").write_text(json.dumps({"action": "train", "params": params}))
    (folder / "line.csv").write_text("x,y\n1,2\n")
    command = [sys.executable, "-m", "trialrun", "run", str(folder / "job.json"), "--plugin", str(PLUGIN), "--json"]
    return [*command, "--dataset", f"1={folder / 'line.csv'}", "--results", str(results), "--address", address]


@pytest.mark.ray(session=False)
@pytest.mark.timeout(500)
def test_a_node_that_dies_takes_no_trial_with_it(cluster: Cluster, tmp_path: Path) -> None:
    shared = tmp_path / "shared"  # what both nodes see: on real ones, a network file system
    command = call(tmp_path, shared, cluster.address)
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=cluster.environment)

        def begun() -> dict[str, str]:
            texts = {p.parent.name: p.read_text() for p in shared.glob("spread-1/trials/*/stdout")}
            return {trial: found[-1] for trial, text in texts.items() if (found := re.findall(r"on (\w+)", text))}

        def on_both() -> bool:
            marked = {p.parent.name for p in shared.glob("spread-1/trials/*/checkpoints.jsonl")}
            return {node for trial, node in begun().items() if trial in marked} == {"head", "worker"}

        wait_for(on_both, run, tmp_path / "said")
        lost = next(trial for trial, node in begun().items() if node == "worker")
        cluster.kill_worker()
        shown, _ = run.communicate(timeout=LIMIT_S * 2)
    assert run.returncode == 0, (tmp_path / "said").read_text()
    result: dict[str, Any] = json.loads(shown)
    assert len(result["trial_models"]) == 3
    assert result["failures"] == []
    (begins,) = [p.read_text() for p in shared.glob(f"spread-1/trials/{lost}/stdout")]
    assert re.findall(r"on (\w+)", begins) == ["worker", "head"]
    assert not begins.rstrip().endswith("begins at 0 on head"), "it went on from its checkpoint"
    cluster.stop()
    end = time.monotonic() + 30
    while cluster.left() and time.monotonic() < end:
        time.sleep(0.2)
    assert cluster.left() == []


def can_be_apart() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*APART, "true"], check=False).returncode == 0


@pytest.mark.ray(session=False)
@pytest.mark.timeout(500)
@pytest.mark.skipif(
    not can_be_apart(), reason="unshare is not there, or not allowed: no node can have files of its own"
)
def test_a_node_that_does_not_share_the_results_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    with tempfile.TemporaryDirectory(prefix="two", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), private=tmp_path / "private")
        try:
            count = "import ray; ray.init('auto', log_to_driver=False); print(sum(n['Alive'] for n in ray.nodes()))"
            joined = [sys.executable, "-c", count]
            environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}

            def both() -> bool:
                done = subprocess.run(joined, capture_output=True, text=True, env=environment, check=False)
                return done.stdout.strip() == "2"

            wait_for(both, cluster.nodes[1], Path(folder, "worker.log"))
            run = subprocess.run(
                call(tmp_path, tmp_path / "private", cluster.address),
                capture_output=True, text=True, env=cluster.environment, timeout=LIMIT_S, check=False,
            )  # fmt: skip
        finally:
            cluster.stop()
    assert run.returncode == 2, run.stderr
    assert "--results: must be a folder that all nodes share" in run.stderr
    assert "No such file or directory" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(tmp_path.glob("private/spread-1/trials/*"))
    assert not list(tmp_path.glob("private/spread-1/.node-*"))
