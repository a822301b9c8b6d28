"""The README's tour: its files are written and its commands run, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOUR = (ROOT / "README.md").read_text("utf-8").partition("## A tour")[2].partition("## More")[0]
STEP = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"# exits with (\d)")


def _named(before: str) -> str | None:
    """The file that the sentence before a block names."""
    found = re.findall(r"`([\w.]+\.(?:py|json|csv))`", before)
    return found[-1] if found else None


def test_the_tour_runs_as_it_is_written(tmp_path: Path) -> None:
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([binaries, os.environ["PATH"]])}
    ran = []
    for step in STEP.finditer(TOUR):
        text, language = step["text"], step["language"]
        if language == "console":
            for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = shown.partition("\n")
                done = subprocess.run(
                    command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
                )
                expected = EXPECTED.search(command)
                assert done.returncode == (int(expected[1]) if expected else 0), done.stdout + done.stderr
                assert output.strip() in done.stdout + done.stderr
                ran.append(command.split()[1])
        elif (name := _named(step["before"])) is not None:
            (tmp_path / name).write_text(text, "utf-8")
        else:
            assert language == "python"
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=environment, check=True)
            ran.append("python")
    assert ran == ["run", "plan", "run", "python", "plan", "python"]


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text("utf-8")))
def test_every_link_of_the_readme_leads_to_a_file(target: str) -> None:
    assert (ROOT / target).exists()
