"""The group of commands is light, complete, and quiet when its reader leaves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trialrun import __version__
from trialrun.cli.app import ALIASES, COMMANDS

HEAVY = {"hypothesis", "numpy", "pluggy", "pydantic", "ray", "requests", "rich", "sqlite3", "starlette", "yaml"}


def test_help_and_version_import_click_alone() -> None:
    calls = [["--help"], ["--version"], *([name, "--help"] for name in (*COMMANDS, *ALIASES))]
    code = "\n".join(f"main({args!r}, standalone_mode=False)" for args in calls)
    script = f"import sys\nfrom trialrun.cli import main\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "click" in loaded
    assert not loaded & HEAVY


def test_help_lists_every_command(called) -> None:
    shown = called("--help")
    assert shown.exit_code == 0
    for name, short in COMMANDS.items():
        assert f"  {name} " in shown.stdout
        assert short in shown.stdout
    assert "130 interrupted" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_in_its_help_what_the_list_says(name: str, called) -> None:
    shown = called(name, "--help")
    assert shown.exit_code == 0
    usage, sentence = shown.stdout.split("\n\n")[:2]
    assert usage.startswith(f"Usage: trialrun {name} [OPTIONS]")
    assert " ".join(sentence.split()) == COMMANDS[name]


def test_former_names_are_hidden(called) -> None:
    shown = called("--help").stdout
    for name in ALIASES:
        assert f"  {name} " not in shown
        assert called(name, "--help").exit_code == 0


def test_the_module_is_the_command(spawned) -> None:
    shown = spawned("--version")
    assert (shown.stdout, shown.returncode) == (f"trialrun, version {__version__}\n", 0)


@pytest.mark.parametrize(
    ("args", "command"),
    [
        (["rnu"], "trialrun"),
        (["--rnu"], "trialrun"),
        (["run"], "trialrun run"),
        (["plan", "a", "b"], "trialrun plan"),
        (["record", "--port", "x"], "trialrun record"),
    ],
)
def test_a_wrong_call_is_one_line_and_exits_with_2(args: list[str], command: str, called) -> None:
    shown = called(*args)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    (line,) = shown.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(f" See `{command} --help`.")


def test_a_call_without_a_command_shows_the_help(called) -> None:
    shown = called()
    assert shown.exit_code == 2
    assert shown.output.startswith("Usage: trialrun [OPTIONS] COMMAND")


def test_a_reader_that_leaves_is_no_error(spawned) -> None:
    shown = spawned("schema", stdout=subprocess.PIPE, stderr=subprocess.PIPE, capture_output=False)
    assert shown.returncode == 0
    leaving = f"{sys.executable} -m trialrun schema | {sys.executable} -c 'import os; os.close(0)'"
    done = subprocess.run(["bash", "-c", leaving], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_encoding_that_lacks_a_character_is_no_error(spawned, environment, training) -> None:
    job = training(name="naïve 🙂")
    shown = spawned("plan", job, env={**environment, "PYTHONIOENCODING": "latin-1"}, encoding="latin-1")
    assert shown.returncode == 0
    assert shown.stdout.startswith("naïve \\U0001f642: training")
