"""A driver that is killed loses nothing of what its run had accepted: a flush sends the rest."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from trialrun.backend.http import Tokens
from trialrun.engine.flush import flush
from trialrun.recorder import Fixtures, Recorder

LIMIT_S = 60
KILLS = int(os.environ.get("TRIALRUN_TEST_KILLS", "3"))
PLUGIN = """
def train(run, dataset, hyperparameter, checkpoint):
    for number in range(100_000):
        run.log_metric("training", "loss", number, trial=run.trial_id)
"""
JOB = {"action": "train", "params": {"name": "killed", "dataset": 1, "hyperparameter": {}}}


def keys_of(folder: Path) -> Counter[str]:
    whole = [
        line
        for path in (folder / "spool").glob("*.jsonl")
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]
    return Counter(json.loads(line)["key"] for line in whole)


def killed(tmp_path: Path, *options: str, after: float, environment: dict[str, str]) -> Path:
    """The results folder of a run that was killed so many seconds after its first metric."""
    (tmp_path / "endless.py").write_text(PLUGIN)
    (tmp_path / "job.json").write_text(json.dumps(JOB))
    (tmp_path / "line.csv").write_text("x,y\n1,2\n")
    command = [sys.executable, "-m", "trialrun", "run", "job.json", "--plugin", "endless.py", "--quiet", *options]
    driver = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **environment})
    folder = tmp_path / "trialrun-results" / "killed-1"
    end = time.monotonic() + LIMIT_S
    while not (folder / "spool" / "train.0.jsonl").exists():
        assert driver.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(after)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait(LIMIT_S) == -signal.SIGKILL
    return folder


@pytest.mark.parametrize("number", range(KILLS))
def test_what_it_had_accepted_reaches_the_run_s_own_recorder(tmp_path: Path, number: int) -> None:
    after = random.Random(f"own {number}").uniform(0.05, 1.5)
    folder = killed(tmp_path, "--dataset", "1=line.csv", after=after, environment={})
    done = flush(folder)
    assert (done.left, done.refused) == (0, 0)
    with Recorder.open(folder / "recorder.sqlite") as recorder:
        assert Counter(event["key"] for event in recorder.events()) == keys_of(folder)
        values = [metric["value"] for metric in recorder.metrics()]
    assert values == list(range(len(values)))
    assert flush(folder).sent == 0


@pytest.mark.parametrize("number", range(KILLS))
def test_what_it_had_accepted_reaches_another_backend(tmp_path: Path, number: int) -> None:
    after = random.Random(f"other {number}").uniform(0.05, 1.5)
    fixtures = Fixtures()
    fixtures.add_dataset(1, [{"category": "a", "data": 1}])
    with Recorder(tmp_path / "there.sqlite", fixtures=fixtures) as recorder, recorder.server() as server:
        recorder.fail("drop", first=8, last=9)
        environment = {"TRIALRUN_ACCESS_TOKEN": server.token}
        folder = killed(tmp_path, "--backend", server.url, after=after, environment=environment)
        recorder.heal()
        done = flush(folder, tokens=Tokens(access=server.token))
        assert (done.left, done.refused) == (0, 0)
        assert Counter(event["key"] for event in recorder.events()) == keys_of(folder)
        assert [metric["value"] for metric in recorder.metrics()] == list(range(len(recorder.metrics())))
