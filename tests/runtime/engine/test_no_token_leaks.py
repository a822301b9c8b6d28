"""A run leaves its credentials nowhere: not in files, nor in what it prints, nor with its workers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Fixtures, Recorder

TOKEN = "kT7-a-token-that-is-drawn-for-this-test-only-Zq9"
ROWS = [{"category": "train", "data": {"x": 1}, "files": {"f": b"content"}}]
LIMIT_S = 150

# What it looks for it knows backwards only, so that its own text is no finding.
PLUGIN = """
import json, os
from pathlib import Path

HERE = Path(__file__).parent
WANTED = (HERE / "backwards.txt").read_text()[::-1].encode()


def processes_with_it():
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        for part in ("environ", "cmdline"):
            try:
                content = (process / part).read_bytes()
            except OSError:
                continue
            if WANTED in content:
                found.append([int(process.name), part, (process / "cmdline").read_bytes().decode(errors="replace")])
    return found


def look(run):
    own = [key for key, value in os.environ.items() if WANTED in value.encode()]
    seen = {"own": own, "others": processes_with_it()}
    (HERE / f"seen-{os.getpid()}-{run.trial_id}.json").write_text(json.dumps(seen))


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    look(run)
    run.log_metric("training", "loss", 0.5)
    run.log_message(f"the environment: {sorted(os.environ.items())}")
    print(sorted(os.environ.items()))
    if hyperparameter.get("n") == 2:
        raise ValueError(f"with {dict(os.environ)}")
    path = HERE / f"model-{run.trial_id}"
    path.write_text("model")
    run.report({"loss": 1.0})
    return path
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Ray's sockets lie in it, and their paths are bounded."""
    folder = Path(tempfile.mkdtemp(prefix="tr-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def job(mode: str) -> dict[str, Any]:
    params: dict[str, Any] = {"name": "secret", "dataset": 1, "num_cpus": 0.5}
    if mode == "tune":
        space = [{"name": "n", "type": "grid_search", "options": [1, 2, 3]}]
        params |= {"is_tune": True, "hyperparameters": space, "tune_config": {"metric": "loss", "mode": "min"}}
    else:
        del params["num_cpus"]
        params["hyperparameter"] = {"n": 2 if mode == "failing" else 1}
    return {"action": "train", "params": params}


def holding(folder: Path) -> list[str]:
    """Files below `folder` in which the token stands."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and TOKEN.encode() in path.read_bytes()
    ]


@pytest.mark.ray(session=False)
@pytest.mark.parametrize("mode", ["tune", "train", "failing"])
def test_a_known_token_is_found_nowhere_after_a_run(mode: str, short: Path) -> None:
    (short / "work").mkdir()
    (short / "work" / "spy.py").write_text(PLUGIN)
    (short / "work" / "backwards.txt").write_text(TOKEN[::-1])
    (short / "work" / "job.json").write_text(json.dumps(job(mode)))
    fixtures = Fixtures()
    fixtures.add_dataset(1, ROWS)
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    environment |= {f"TRIALRUN_{name}": TOKEN for name in ("ACCESS_TOKEN", "AUTHORIZATION", "TENANT", "AGENT")}
    environment |= {"RAY_TMPDIR": str(short / "ray")}
    with Recorder(short / "there.sqlite", fixtures=fixtures, token=TOKEN) as recorder, recorder.server() as server:
        command = ["run", "job.json", "--plugin", "spy.py", "--backend", server.url, "--results", "results"]
        run = subprocess.Popen(
            [sys.executable, "-m", "trialrun", *command],
            cwd=short / "work",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out, err = run.communicate(timeout=LIMIT_S)
        assert run.returncode == (1 if mode == "failing" else 0), err
        assert len(recorder.metrics()) == {"tune": 3, "train": 2, "failing": 1}[mode]
    seen = [json.loads(path.read_text()) for path in (short / "work").glob("seen-*.json")]
    assert len(seen) == (3 if mode == "tune" else 1)
    for found in seen:
        assert found["own"] == []
        # the process that was given it: what it was started with stays to be read by its user
        others = [each for each in found["others"] if each[0] not in (run.pid, os.getpid())]
        assert others == []
    assert TOKEN not in out + err
    assert holding(short) == []
    assert mode != "tune" or any((short / "ray").rglob("raylet*")), "Ray's session was looked at"
