"""`trialrun plugins` lists what is installed, broken ones with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution whose one plugin raises on import and whose other one prints."""
    made = tmp_path / "site"
    (made / "unlucky-1.0.dist-info").mkdir(parents=True)
    (made / "unlucky-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: unlucky\nVersion: 1.0\n")
    (made / "unlucky-1.0.dist-info" / "entry_points.txt").write_text(
        "[trialrun]\nunlucky = unlucky_plugin\nnoisy = noisy_plugin\n"
    )
    (made / "unlucky_plugin.py").write_text("raise RuntimeError('no\\nlicence')")
    (made / "noisy_plugin.py").write_text("print('hello')\ndef train(run, dataset, hyperparameter, checkpoint): ...")
    monkeypatch.syspath_prepend(str(made))


def test_installed_plugins_are_listed_with_their_hooks(called) -> None:
    shown = called("plugins")
    assert shown.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines()}
    assert "train, tune  (trialrun_reference.pure, from trialrun)" in lines["pure"]
    assert "datasets" in lines["digits"]
    assert len({line.index(" ", len(name)) for name, line in lines.items()}) >= 1


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_listed_with_the_reason(called) -> None:
    shown = called("plugins")
    assert shown.exit_code == 0
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("unlucky")]
    assert "broken: " in line
    assert "RuntimeError: no" in line
    assert any(line.startswith("pure") for line in shown.stdout.splitlines())


@pytest.mark.usefixtures("broken")
def test_json_is_alone_on_stdout(called) -> None:
    shown = called("plugins", "--json")
    found = {plugin["name"]: plugin for plugin in json.loads(shown.stdout)}
    assert found["pure"]["hooks"] == ["train", "tune"]
    assert found["pure"]["problems"] == []
    assert found["unlucky"]["hooks"] == []
    assert "RuntimeError" in found["unlucky"]["problems"][0]
    assert found["unlucky"]["distribution"] == "unlucky"
