"""Fixtures for the tests of the recorder: one recorder each, in memory or behind a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trialrun.recorder import Fixtures, Recorder
from trialrun.recorder.recorder import HttpServer


@pytest.fixture
def fixtures(tmp_path: Path) -> Fixtures:
    """Dataset 123 has 250 rows, each with one file; checkpoint 789 is a folder with one file."""
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "weights.bin").write_bytes(b"w" * 1000)
    made = Fixtures()
    made.add_dataset(
        123,
        [
            {"category": "train" if i % 5 else "test", "data": {"label": i}, "files": {"image": b"png%d" % i}}
            for i in range(250)
        ],
    )
    made.add_checkpoint(789, checkpoint)
    return made


@pytest.fixture
def recorder(fixtures: Fixtures, tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "recorder.sqlite", fixtures=fixtures) as made:
        yield made


@pytest.fixture
def strict(fixtures: Fixtures, tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "strict.sqlite", fixtures=fixtures, strict=True) as made:
        yield made


@pytest.fixture(scope="session")
def listening() -> Iterator[tuple[HttpServer, HttpServer]]:
    """Two servers for all tests: to start and stop one for each would take most of their time."""
    with Recorder() as unused, unused.server() as one, unused.server() as other:
        yield one, other


@pytest.fixture
def server(recorder: Recorder, listening: tuple[HttpServer, HttpServer]) -> HttpServer:
    listening[0].recorder = recorder
    return listening[0]


@pytest.fixture
def strict_server(strict: Recorder, listening: tuple[HttpServer, HttpServer]) -> HttpServer:
    listening[1].recorder = strict
    return listening[1]
