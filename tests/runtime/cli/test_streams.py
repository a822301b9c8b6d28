"""Standard output is reserved for the result, whatever prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from trialrun.cli.streams import silence_output

EVERYBODY = """
import os, subprocess, sys
from trialrun.cli.streams import reserve_stdout
print("before")
with reserve_stdout():
    print("python")
    os.write(1, b"descriptor\\n")
    subprocess.run([sys.executable, "-c", "print('child')"], check=True)
    print("unflushed", end="")
print("after")
"""


def test_stdout_has_only_what_is_printed_outside() -> None:
    done = subprocess.run([sys.executable, "-c", EVERYBODY], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "before\nafter\n"
    assert {"python", "descriptor", "child", "unflushed"} == set(done.stderr.split())


def test_nothing_is_shown_while_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    with silence_output():
        print("quiet")
        print("quiet", file=sys.stderr)
    print("loud")
    assert capsys.readouterr() == ("loud\n", "")
