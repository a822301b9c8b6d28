"""README's snippets and the tour run as written, and README's links lead somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
TOUR = (ROOT / "docs" / "tour.md").read_text("utf-8")
STEP = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<language>\w+)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"# exits with (\d)")
BINARIES = str(Path(sys.executable).parent)
ENVIRONMENT = {**os.environ, "PATH": os.pathsep.join([BINARIES, os.environ["PATH"]])}


def _run_commands(text: str, folder: Path) -> list[str]:
    """Run the commands of a console block and compare their output with what the block shows; return their names."""
    names = []
    for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        done = subprocess.run(
            command, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )
        expected = EXPECTED.search(command)
        assert done.returncode == (int(expected[1]) if expected else 0), done.stdout + done.stderr
        assert output.strip() in done.stdout + done.stderr
        names.append(command.split()[1])
    return names


def _file_named_in(before: str) -> str | None:
    """Return the file that the sentence before a block names."""
    names = re.findall(r"`([\w.]+\.(?:py|json|csv))`", before)
    return names[-1] if names else None


@pytest.mark.parametrize("earlier_jobs", [0, 1])
def test_the_tour_runs_as_it_is_written(earlier_jobs: int, tmp_path: Path) -> None:
    """Another job in the same folder, such as that of `make demo`, changes the numbers of the folders that follow."""
    example = ROOT / "examples"
    demo = f"$ trialrun run {example}/pure_training.json --plugin pure --dataset 2={example}/line.csv --executor inline"
    for _ in range(earlier_jobs):
        _run_commands(demo, tmp_path)
    ran = []
    for step in STEP.finditer(TOUR):
        text, language = step["text"], step["language"]
        if language == "console":
            ran += _run_commands(text, tmp_path)
        elif (name := _file_named_in(step["before"])) is not None:
            (tmp_path / name).write_text(text, "utf-8")
        else:
            assert language == "python"
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=ENVIRONMENT, check=True)
            ran.append("python")
    assert ran == ["run", "plan", "run", "python", "plan"]


def test_the_snippets_of_the_readme_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    snippets = re.findall(r"^```console\n(\$ trialrun .*?)^```", README, re.MULTILINE | re.DOTALL)
    assert [name for snippet in snippets for name in _run_commands(snippet, tmp_path)] == ["check", "run", "run"]


def test_every_link_and_picture_of_the_readme_leads_to_a_file() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []
