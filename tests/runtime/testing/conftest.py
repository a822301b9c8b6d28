"""Fixtures for the tests of the harness: one sandbox, and plugins written on the spot."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.testing.observation import Observation
from trialrun.testing.sandbox import Scenario
from trialrun.testing.sandbox_pool import SandboxPool

Write = Callable[..., Path]
RunPlugin = Callable[..., Observation]


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[SandboxPool]:
    with SandboxPool() as shared:
        yield shared


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a plugin; its file's path."""

    def written(text: str, name: str = "plugin_on_the_spot.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return written


@pytest.fixture
def run_plugin(sandboxes: SandboxPool, write: Write) -> Iterator[RunPlugin]:
    """Play a scenario with a plugin that is given as text, or by name."""
    observations: list[Observation] = []

    def played(text: str, kind: Any = "train", **fields: Any) -> Observation:
        plugin = str(write(text)) if "\n" in text else text
        fields.setdefault("dataset", [{"category": "train", "data": {"x": [1.0], "y": 2.0}}])
        if kind == "tune":
            fields.setdefault("space", [{"name": "rate", "type": "uniform", "min": 1, "max": 2}])
            fields.setdefault("tune_config", {"metric": "loss", "mode": "min", "num_samples": 2})
        observation = sandboxes.run(Scenario(kind=kind, plugin=plugin, **fields))
        observations.append(observation)
        return observation

    yield played
    for observation in observations:
        if "recorder" in vars(observation):
            observation.recorder.close()
