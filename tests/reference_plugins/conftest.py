"""The digits as a plugin is handed them, and runs in folders of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun_reference.digits import generate_digit_rows

from .fake_run import FakeRun, unpack_rows


@pytest.fixture(scope="session")
def digits_dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return unpack_rows(generate_digit_rows(), tmp_path_factory.mktemp("digits"))


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., FakeRun]:
    """A run per call, in a folder of its own."""
    count = iter(range(1000))
    return lambda **facts: FakeRun(folder=tmp_path / f"run{next(count)}", **facts)
