"""The nearest [tool.trialrun] table is read, and one that cannot be read is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.testing.settings import find_pyproject, read_config
from trialrun_hookspecs.errors import UsageError


def test_the_nearest_file_with_our_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.trialrun]\nplugin = "plug.py"\nmetric = "f1"\n', encoding="utf-8")
    (tmp_path / "plug.py").touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    file = find_pyproject(inner)
    found = read_config(file)
    assert file == tmp_path / "pyproject.toml"
    assert found.plugin == str(tmp_path / "plug.py")
    assert found.data == {"metric": "f1"}


@pytest.mark.parametrize(
    "text", ["[tool.trialrun\n", "[tool]\ntrialrun = 3 # tool.trialrun\n", "[tool.trialrun]\nwaivers = 3\n"]
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="must be"):
        read_config(path)
