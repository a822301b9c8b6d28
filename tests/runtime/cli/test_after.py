"""The commands that read a recording: show and its former names, export, report, replay, diff."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trialrun.cli.study_text import sort_row_indices
from trialrun.recorder import Recorder

from ..recordings.some_study import HOSTILE, small  # noqa: TID252  # the studies of both folders are the same
from .conftest import Called
from .test_live import Terminal

COMMANDS: dict[str, Callable[[Path], tuple[object, ...]]] = {
    "show": lambda path: ("show", path),
    "show --json": lambda path: ("show", path, "--json"),
    "show --follow": lambda path: ("show", path, "--follow"),
    "status": lambda path: ("status", path),
    "top": lambda path: ("top", path),
    "export": lambda path: ("export", path),
    "report": lambda path: ("report", path),
    "replay": lambda path: ("replay", path, "--to", "http://127.0.0.1:9/"),
    "diff": lambda path: ("diff", path, path),
}


def ids_of(shown: str) -> list[str]:
    """The trials of the table, from top to bottom."""
    return [line.split()[0] for line in shown.splitlines() if "TERMINATED" in line or "ERROR" in line]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_recording_is_a_wrong_call(name: str, called: Called, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        result = called(*COMMANDS[name](path))
        assert result.exit_code == 2
        assert "recording" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_another_kind_of_file_is_a_wrong_call(name: str, called: Called, tmp_path: Path) -> None:
    (tmp_path / "other.sqlite").write_text("not a recording")
    result = called(*COMMANDS[name](tmp_path / "other.sqlite"))
    assert result.exit_code == 2
    assert "another kind of file" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_recording_is_a_wrong_call(name: str, called: Called, tmp_path: Path) -> None:
    Recorder(tmp_path / "recorder.sqlite").close()
    result = called(*COMMANDS[name](tmp_path))
    assert result.exit_code == 2
    assert "empty" in result.stderr


def test_show_says_how_far_a_run_is(called: Called, tmp_path: Path) -> None:
    result = called("show", small(tmp_path / "r", status="RUNNING"))
    assert result.exit_code == 0
    for words in ("a study: running", "50 %", "trials     3: 1 error, 2 terminated", "left       about", "updated    "):
        assert words in result.stdout


STATE_KEYS = (
    "name", "job_id", "status", "progress", "left_s", "phases", "trials", "metric", "best", "started", "heard",
    "running", "error", "over", "cut_off",
)  # fmt: skip


def test_show_is_json_for_scripts(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    (folder / "result.json").write_text(json.dumps({"model_id": 7, "job_id": 1, "warnings": ["mind this"]}))
    shown = called("show", folder, "--json").stdout
    assert shown.count("\n") == 1
    run = json.loads(shown)
    assert tuple(run) == (*STATE_KEYS, "model_id", "ended_by", "warnings", "rows", "failures")
    assert (run["status"], run["over"], run["progress"]) == ("SUCCEEDED", True, 0.5)
    assert run["trials"] == {"TERMINATED": 2, "ERROR": 1}
    assert run["best"] == {"trial_id": "a", "metrics": {"loss": 1 / 3}, "config": {"rate": 0.1, "kind": "x"}}
    assert (run["model_id"], run["ended_by"], run["warnings"]) == (7, None, ["mind this"])
    assert [row["trial_id"] for row in run["rows"]] == ["a", "b", "c"]
    assert run["rows"][0]["config"] == {"rate": 0.1, "kind": "x"}
    assert [(failure["trial_id"], failure["cause"]) for failure in run["failures"]] == [("c", "raised")]


def test_show_sorts_and_limits_its_json(called: Called, tmp_path: Path) -> None:
    shown = called("show", small(tmp_path / "r"), "--json", "--sort", "rate", "--descending", "--limit", 2)
    run = json.loads(shown.stdout)
    assert [row["trial_id"] for row in run["rows"]] == ["c", "b"]
    assert run["trials"] == {"TERMINATED": 2, "ERROR": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--follow", "--json"), "--json: cannot be combined with --follow"),
        (("--follow", "--sort", "rate", "--traceback"), "--sort, --traceback: cannot be combined with --follow"),
        (("--interval", 1), "--interval: needs --follow"),
    ],
)
def test_options_of_show_that_exclude_each_other(
    options: tuple[object, ...], message: str, called: Called, tmp_path: Path
) -> None:
    result = called("show", small(tmp_path / "r"), *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {message}")


def test_status_is_a_former_name(called: Called, tmp_path: Path) -> None:
    result = called("status", small(tmp_path / "r", status="RUNNING"))
    assert result.exit_code == 0
    assert "best       a  loss 0.3333" in result.stdout
    assert result.stderr == "note: `trialrun status` is now `trialrun show`\n"
    as_json = called("status", tmp_path / "r", "--json", "--job", 1)
    assert tuple(json.loads(as_json.stdout)) == STATE_KEYS
    assert as_json.stderr == result.stderr


def test_top_is_a_former_name(called: Called, tmp_path: Path) -> None:
    result = called("top", small(tmp_path / "r"), "--interval", 0.1, "--job", 1)
    assert result.exit_code == 0
    assert result.stderr == "note: `trialrun top` is now `trialrun show --follow`\n"
    assert "trial a ended: loss 0.3333" in result.stdout


def test_an_interrupted_run_names_the_command_that_resumes_it(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r", status="RUNNING")
    (folder / "lock").touch()
    shown = called("show", folder).stdout
    assert shown.startswith("a study: interrupted\n")
    assert f"`trialrun resume {folder}`" in shown
    lock = os.open(folder / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        assert "running" in called("show", folder).stdout.splitlines()[0]
    finally:
        os.close(lock)


def test_show_prints_result_table_and_failures(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    (folder / "result.json").write_text(json.dumps({"model_id": 7, "job_id": 1, "warnings": ["mind this"]}))
    result = called("show", folder)
    assert result.exit_code == 0
    for words in ("best trial a", "with       rate=0.1  kind=x", "model      7", "mind this", "c (raised): ValueError"):
        assert words in result.stdout
    assert ids_of(result.stdout) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--sort", "loss", "--descending"), ["c", "b", "a"]),
        (("--sort", "rate"), ["a", "b", "c"]),
        (("--sort", "config/kind", "--descending"), ["c", "b", "a"]),
        (("--limit", 2), ["a", "b"]),
        (("--limit", 0), ["a", "b", "c"]),
    ],
)
def test_show_sorts_and_limits(
    options: tuple[object, ...], expected: list[str], called: Called, tmp_path: Path
) -> None:
    result = called("show", small(tmp_path / "r"), *options)
    assert ids_of(result.stdout) == expected
    assert ("1 more" in result.stdout) == (len(expected) == 2)


def test_on_a_terminal_only_columns_that_fit_are_shown(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "trialrun", "show", str(small(tmp_path / "r"))]
    terminal = Terminal(command, tmp_path, environment, 24, 32)
    try:
        table = [line for line in terminal.until(None).splitlines() if "TERMINATED" in line]
        assert len(table) == 2
        assert max(map(len, table)) <= 32
        assert "more columns" in terminal.text
    finally:
        terminal.close()


def test_an_unknown_column_has_a_neighbour(called: Called, tmp_path: Path) -> None:
    result = called("show", small(tmp_path / "r"), "--sort", "los")
    assert result.exit_code == 2
    assert "Did you mean 'loss'?" in result.stderr


def test_hostile_words_do_not_control_the_terminal(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r", names=(f"\x1b[2J{HOSTILE}", "b", "c"))
    for command in (("show", folder, "--traceback"), ("status", folder), ("show", folder, "--follow")):
        message = called(*command)
        assert message.exit_code == 0
        assert "\x1b" not in message.stdout
        assert "\u202e" not in message.stdout


def test_missing_cells_come_last_either_way() -> None:
    cells = [None, 2, float("nan"), "x", 1]
    assert sort_row_indices(cells, descending=False) == [4, 1, 3, 0, 2]
    assert sort_row_indices(cells, descending=True) == [1, 4, 3, 0, 2]


def test_export_names_its_files(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    result = called("export", folder)
    assert result.stdout.split() == [str(folder / "export" / name) for name in ("trials.csv", "metrics.csv")]
    assert called("export", folder).exit_code == 2
    assert called("export", folder, "--overwrite").exit_code == 0
    assert called("export", folder, "--format", "xls").exit_code == 2


def test_report_writes_one_file(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    assert called("report", folder).stdout.strip() == str(folder / "report.html")
    assert "<title>trialrun report</title>" in (folder / "report.html").read_text("utf-8")
    refused = called("report", folder)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr


def test_a_plot_goes_by_the_name_of_its_file(called: Called, tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    assert called("report", folder, "--plot", "history", "--output", tmp_path / "h.png").exit_code == 0
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    assert called("report", folder, "--plot", "timeline").stdout.strip() == str(folder / "timeline.svg")


@pytest.mark.parametrize(
    "options",
    [
        ("--plot", "pie"),
        ("--plot", "history", "--format", "gif"),
        ("--plot", "history", "--size", "big"),
        ("--plot", "curves", "--metric", "lost"),
        ("--format", "svg"),
        ("--output", "no/such/folder.html"),
        ("--output", "."),
        ("--job", "9"),
    ],
)
def test_a_wrong_report_is_refused(options: tuple[str, ...], called: Called, tmp_path: Path) -> None:
    result = called("report", small(tmp_path / "r"), *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_diff_exits_with_what_it_found(called: Called, tmp_path: Path) -> None:
    one, same, other = small(tmp_path / "a"), small(tmp_path / "b"), small(tmp_path / "c", status="FAILED")
    assert (called("diff", one, same).exit_code, called("diff", one, same).stdout) == (0, "the same\n")
    changed = called("diff", one, other)
    assert (changed.exit_code, changed.stdout) == (1, "status\n  A  SUCCEEDED\n  B  FAILED\n1 difference\n")
    assert json.loads(called("diff", one, other, "--json").stdout) == [
        {"where": "status", "a": "SUCCEEDED", "b": "FAILED"}
    ]


def test_replay_sends_to_a_recorder(called: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small(tmp_path / "a")
    with Recorder(tmp_path / "target.sqlite") as target, target.server() as server:
        refused = called("replay", folder, "--to", server.url, "--speed", 0)
        assert refused.exit_code == 1
        assert "TRIALRUN_ACCESS_TOKEN" in refused.stderr
        monkeypatch.setenv("TRIALRUN_ACCESS_TOKEN", server.token)
        result = called("replay", folder, "--to", server.url, "--speed", 0, "--job", "1=5")
        assert (result.exit_code, result.stdout) == (0, "13 accepted, 0 refused, 0 without content\n")
        assert server.token not in result.output
        assert {entry["job"] for entry in target.events()} == {5}
    assert called("diff", folder, tmp_path / "target.sqlite").exit_code == 0


@pytest.mark.parametrize("options", [("--to", "nonsense"), ("--to", "http://127.0.0.1:9/", "--job", "one=two")])
def test_a_wrong_replay_is_refused(options: tuple[str, ...], called: Called, tmp_path: Path) -> None:
    result = called("replay", small(tmp_path / "a"), *options)
    assert result.exit_code == 2
