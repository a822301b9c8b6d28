"""Settings come from four places, the nearest wins, and wrong ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.target import Target, hash_files, resolve_spec
from trialrun_hookspecs.errors import UsageError


def test_the_upper_settings_win_key_by_key() -> None:
    upper = Target.from_mapping("p", {"metric": "accuracy"}, "upper")
    lower = Target.from_mapping("p", {"metric": "loss", "mode": "max"}, "lower")
    merged = upper.fill_from(lower)
    assert (merged.metric, merged.mode) == ("accuracy", "max")


def test_what_nobody_says_has_a_default() -> None:
    settled = Target(spec="p", hyperparameter={"rate": 0.5}).with_defaults(has_tune=True)
    assert settled.space == ({"name": "rate", "type": "choice", "options": [0.5]},)
    assert (settled.metric, settled.mode) == ("loss", "min")
    assert settled.capabilities == frozenset({"tunes", "resumes", "deterministic"})


def test_without_tune_a_plugin_is_not_taken_to_tune() -> None:
    assert "tunes" not in (Target(spec="p").with_defaults(has_tune=False).capabilities or ())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"metrc": "loss"}, "unknown key, got 'metrc'. Did you mean 'metric'"),
        ({"mode": "best"}, "must be 'min' or 'max'"),
        ({"hyperparameter": [1]}, "must be a mapping"),
        ({"capabilities": ["flies"]}, "unknown capability, got 'flies'"),
        ({"capabilities": "tunes"}, "must be a list of words"),
    ],
)
def test_wrong_settings_are_refused(data: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Target.from_mapping("p", data, "where")


def test_settings_that_make_no_job_are_refused() -> None:
    target = Target(spec="p", space=[{"name": "x", "type": "uniform", "min": 2, "max": 1}]).with_defaults(has_tune=True)
    with pytest.raises(UsageError, match="min"):
        target.check_settings()


def test_a_path_means_the_same_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    assert resolve_spec("./plug.py") == str(tmp_path / "plug.py")
    assert resolve_spec("pkg") == str(tmp_path / "pkg")
    assert resolve_spec("pkg.module:obj") == "pkg.module:obj"


def test_the_hash_changes_with_the_content_only(tmp_path: Path) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "a.py").write_text("1", encoding="utf-8")
    before = hash_files(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.pyc").write_text("x", encoding="utf-8")
    assert hash_files(package) == before
    (package / "a.py").write_text("2", encoding="utf-8")
    assert hash_files(package) != before
