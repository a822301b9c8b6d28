"""Standard output kept for one thing, or nothing shown at all, while a job runs."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["reserve_stdout", "silence_output"]


@contextlib.contextmanager
def reserve_stdout() -> Iterator[None]:
    """Until the end of the block, send to stderr what this process, C libraries and child processes print to stdout."""
    shown = sys.stdout
    shown.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = shown
        os.dup2(kept, 1)
        os.close(kept)


@contextlib.contextmanager
def silence_output() -> Iterator[None]:
    """Until the end of the block, what Python code prints is not shown; the files of runs and trials have it."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
