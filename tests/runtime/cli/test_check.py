"""`trialrun check` and `explain` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from trialrun.cli import main
from trialrun.cli.check import split_check_ids
from trialrun.testing.registry import all_checks

GOOD = """
from pathlib import Path
def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    run.log_metric("train", "loss", 0.5)
    Path(run.checkpoint_output).write_text("1")
    return run.checkpoint_output
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_part_that_holds_exits_with_0(plugin: Path) -> None:
    result = CliRunner().invoke(main, ["check", "mine.py", "--select", "tr202,TR204", "--report", "json=out/r.json"])
    assert result.exit_code == 0, result.output
    report = json.loads(Path("out/r.json").read_text("utf-8"))
    assert report["ledger"]["passed"] == 2
    assert report["result"]["headline"] == "partial"


def test_a_failure_exits_with_1_and_leaves_its_script(plugin: Path) -> None:
    plugin.write_text(GOOD.replace("return run.checkpoint_output", "return 'nowhere'"), encoding="utf-8")
    result = CliRunner().invoke(main, ["check", "mine.py", "--select", "TR202", "--repro", "scripts"])
    assert result.exit_code == 1
    assert "TR202" in result.output
    assert [path.name for path in Path("scripts").iterdir()] == ["TR202_mine.py"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["absent.py"], "there must be a file or folder"),
        ([], "a plugin must be named"),
        (["mine.py", "--select", "TR9"], "must be the id of a check"),
        (["mine.py", "--report", "pdf=x"], "must be one of"),
        (["mine.py", "--config", "absent.toml"], "must be a file"),
        (["mine.py", "--job", "absent.json"], "absent.json"),
    ],
)
def test_a_wrong_call_exits_with_2(plugin: Path, args: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["check", *args])
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_wrong_waiver_exits_with_2_and_its_line(plugin: Path) -> None:
    text = "[tool.trialrun]\nplugin = 'mine.py'\n[[tool.trialrun.waivers]]\ncheck = 'TR999'\n"
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["check"])
    assert result.exit_code == 2
    assert "pyproject.toml:3, waivers[0].check: must be the id of a check, got 'TR999'" in result.stderr


def test_a_job_gives_hyperparameters_and_objective(plugin: Path) -> None:
    plugin.write_text(GOOD.replace("0.5)", "hyperparameter['rate'])"), encoding="utf-8")
    job = {"action": "train", "params": {"name": "j", "dataset": 1, "hyperparameter": {"rate": 0.25}}}
    Path("job.json").write_text(json.dumps(job), encoding="utf-8")
    assert CliRunner().invoke(main, ["check", "mine.py", "--select", "TR204", "--job", "job.json"]).exit_code == 0
    assert CliRunner().invoke(main, ["check", "mine.py", "--select", "TR204", "--no-repro"]).exit_code == 1


def test_several_words_are_taken_apart() -> None:
    assert split_check_ids(["TR2,tr305", " TR4 ,"]) == ["TR2", "TR305", "TR4"]


def test_every_check_can_be_explained() -> None:
    for name, found in all_checks().items():
        result = CliRunner().invoke(main, ["explain", name.lower()])
        assert result.exit_code == 0
        assert found.title in result.output


def test_the_list_has_every_check() -> None:
    lines = CliRunner().invoke(main, ["explain", "--list"]).output.splitlines()
    assert [line[:5] for line in lines] == list(all_checks())


@pytest.mark.parametrize("args", [["TR999"], []])
def test_explaining_nothing_exits_with_2(args: list[str]) -> None:
    assert CliRunner().invoke(main, ["explain", *args]).exit_code == 2


def test_checking_imports_neither_hypothesis_nor_ray(plugin: Path) -> None:
    code = (
        "import sys; from trialrun.testing import check_plugin\n"
        "report = check_plugin('mine.py', select=['TR204'])\n"
        "heavy = {'hypothesis', 'ray', 'pytest', 'numpy', 'mine'} & set(sys.modules)\n"
        "sys.exit(f'{heavy}' if heavy else report.exit_code)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
