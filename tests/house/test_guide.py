"""The page on Ray Tune's guide is true: its tests exist, its jobs run, its commands exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.cli import main
from trialrun.executors.ray_tune.environment import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "ray-guide.md").read_text("utf-8")
TESTS = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
JOBS = [json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" |")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and line.count("|") == 6 and not line.startswith("| feature")
]
GONE = [row for row in ROWS if row[1] == "gone"]
CALLS = re.findall(r"^(?:\w+=\S+ )?trialrun (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_a_test_that_the_page_names_exists(name: str) -> None:
    assert f"def {name}(" in TESTS


def test_each_row_names_a_test_or_says_that_there_is_none() -> None:
    assert len(ROWS) > 40
    assert [test for *_, test in ROWS if "`test_" not in test and "not run here" not in test] == [""] * len(GONE)


@pytest.mark.parametrize("example", sorted({row[2] for row in ROWS if row not in GONE}))
def test_an_example_that_a_row_names_exists(example: str) -> None:
    named = re.findall(r"`([^`]+)`", example)
    calls = [name for name in named if name.startswith(("--", "trialrun ")) and "without" not in example]
    jobs = [name for name in named if name.startswith("guide-")]
    files = [name for name in named if "/" in name and not name.startswith(("--", "trialrun "))]
    assert all(any(call in f"trialrun {line}" for line in CALLS) for call in calls)
    assert set(jobs) <= {job["params"]["name"] for job in JOBS}
    assert all(list(ROOT.glob(file)) or list(ROOT.glob(f"reference_plugins/{file}")) for file in files)
    assert calls or jobs or files or example in ("any", "`Counter` below", "Docker below")


def test_the_class_of_the_page_is_a_plugin(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "counter.py").write_text(code)
    (job,) = (job for job in JOBS if job["params"]["name"] == "guide-classes")
    line = ROOT / "examples" / "line.csv"
    result = trialrun.run(
        job, plugin=tmp_path / "counter.py", datasets={1: line}, executor="inline", results=tmp_path / "results"
    )
    assert [model.metrics["loss"] for model in result.trial_models] == [0.01, 0.02]
    saved = Path(result.trial_models[0].trial_logdir).rglob("steps.json")
    assert sorted({json.loads(path.read_text()) for path in saved}) == [3, 6, 9, 10]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["params"]["name"])
def test_a_job_of_the_page_runs(job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = ROOT / "examples" / "line.csv"
    result = trialrun.run(job, plugin="pure", datasets={1: line}, executor="inline", results="results")
    assert result.status == "SUCCEEDED"
    assert result.failures == []
    assert len(result.trial_models) == 2


@pytest.mark.ray(session=False)
def test_the_job_with_resources_runs_where_a_local_ray_has_them(tmp_path: Path) -> None:
    (job,) = (job for job in JOBS if job["params"]["name"] == "guide-resources")
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-m", "trialrun", "run", "job.json", "--plugin", "pure", "--json"]
    command += ["--dataset", f"1={ROOT / 'examples' / 'line.csv'}", "--resource", "license=1", "--resource", "CPU=2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=170, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [model["config"]["learning_rate"] for model in result["trial_models"]] == [0.1, 0.2]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_page_names_options_that_exist(call: str) -> None:
    name, *arguments = shlex.split(call)
    options = [word for word in arguments if word.startswith("--")]
    known: set[str] = set()
    for command in (name, "run") if name == "submit" else (name,):
        entry = main.get_command(None, command)  # type: ignore[arg-type]
        assert entry is not None, name
        known |= {option for parameter in entry.params for option in parameter.opts}
    assert set(options) <= known


def test_every_variable_has_the_note_of_the_doctor() -> None:
    for name, variable in VARIABLES.items():
        assert f"| `{name}` |" in PAGE
        assert f"| {variable.note} |" in PAGE
