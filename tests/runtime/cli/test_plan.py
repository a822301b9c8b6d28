"""`trialrun plan` shows what a job would do, and refuses a job that could not run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
BROKEN = ROOT / "tests" / "broken_plugins"
X = {"name": "x", "type": "uniform", "min": 0, "max": 1}
GRID = {"name": "g", "type": "grid_search", "options": [1, 2]}


def test_json_is_one_object(called) -> None:
    shown = called("plan", EXAMPLES / "pure_tuning.yaml", "--json")
    assert (shown.exit_code, shown.stderr) == (0, "")
    plan = json.loads(shown.stdout)
    assert plan["trials"] == 6
    assert {"warnings", "resources", "search_alg", "scheduler", "space"} <= set(plan)


def test_a_plan_without_ray_s_schedulers_needs_no_ray() -> None:
    code = "import sys\nfrom trialrun.cli import main\nmain(sys.argv[1:], standalone_mode=False)\nprint(*sys.modules)"
    command = [sys.executable, "-c", code, "plan", str(EXAMPLES / "pure_tuning.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert not {"ray", "rich"} & set(done.stdout.splitlines()[-1].split())


def test_a_training_job_has_no_trials(called) -> None:
    shown = called("plan", EXAMPLES / "pure_training.json", "--plugin", "pure", "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["trials"] is None


def test_the_example_grid_of_twelve_is_144_trials(called, tuning) -> None:
    wide = {"name": "w", "type": "grid_search", "options": list(range(12))}
    shown = called("plan", tuning(wide, tune_config={"num_samples": 12}))
    assert "grid 12 x 12 samples = 144" in shown.stdout
    assert "Set num_samples to 1" in shown.stdout


def test_the_time_is_estimated_from_what_is_given(called, tuning) -> None:
    job = tuning(X, tune_config={"num_samples": 3})
    shown = called("plan", job, "--executor", "inline", "--trial-seconds", 40)
    assert "about 2 min 0 s: 40 s a trial" in shown.stdout
    assert "unknown" in called("plan", job).stdout


def test_the_time_is_estimated_from_an_earlier_run(called, tuning) -> None:
    job = tuning({"name": "do", "type": "choice", "options": ["fine"]}, tune_config={"num_samples": 2})
    args = [job, "--plugin", BROKEN / "unruly.py", "--dataset", f"1={EXAMPLES / 'line.csv'}", "--executor", "inline"]
    assert called("run", *args).exit_code == 0
    estimate = json.loads(called("plan", job, "--json").stdout)["estimate"]
    assert estimate["source"] == "a job-1"
    assert estimate["trial_seconds"] < 30


def test_everything_that_does_not_fit_is_told_at_once(called, tuning) -> None:
    points = [{"x": 5}, {"y": 1}]
    search = {"name": "hyperoptsearch", "points_to_evaluate": points}
    job = tuning(X, GRID, tune_config={"scheduler": "asha", "search_alg": search})
    shown = called("plan", job, "--executor", "inline")
    assert (shown.exit_code, shown.stdout) == (2, "")
    message = shown.stderr.splitlines()
    assert len(message) == 4
    for part in ("hyperparameters[1].type", "points_to_evaluate[0].x", "points_to_evaluate[1].y", "scheduler"):
        assert sum(part in line for line in message) == 1


def test_a_wrong_job_with_a_wrong_plugin_is_told_of_both(called, tuning) -> None:
    shown = called("plan", tuning(X, dataset="one"), "--plugin", BROKEN / "three_faults.py", "--with", "nowhere")
    assert shown.exit_code == 2
    assert [line.split(":")[1].split(",")[0].strip() for line in shown.stderr.splitlines()] == [
        "params.dataset",
        *[f"plugin '{BROKEN / 'three_faults.py'}'"] * 3,
        "plugin 'nowhere'",
    ]


def test_an_algorithm_of_a_plugin_is_known_with_it(called, tuning) -> None:
    job = tuning(X, tune_config={"search_alg": "halton"})
    assert called("plan", job, "--with", "halton").exit_code == 0
    without = called("plan", job)
    assert without.exit_code == 2
    assert "no such search algorithm, got 'halton'" in without.stderr


@pytest.mark.ray(session=False)
@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("ashaa", "no such scheduler, got 'ashaa'. Did you mean 'asha'?"),
        ({"name": "asha", "options": {"max_time": 3}}, "asha has no such option"),
        ({"name": "fifo", "options": {"max_t": 3}}, "fifo has no such option"),
    ],
)
def test_a_scheduler_is_checked(scheduler: object, message: str, called, tuning) -> None:
    shown = called("plan", tuning(X, tune_config={"scheduler": scheduler}))
    assert shown.exit_code == 2
    assert message in shown.stderr


def test_the_deprecated_form_is_planned_with_a_warning(called, tmp_path: Path) -> None:
    params = {"name": "x", "dataset": 1, "hyperparameter": [X], "tune_config": {"metric": "m", "mode": "max"}}
    (tmp_path / "old.json").write_text(json.dumps({"action": "tune", "params": params}), encoding="utf-8")
    shown = called("plan", "old.json", "--json")
    (warning,) = json.loads(shown.stdout)["warnings"]
    assert "trialrun migrate" in warning
    assert called("plan", "old.json").stdout.splitlines()[-1].startswith("warning: the action")
