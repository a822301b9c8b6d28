"""Redirection of standard output while a job runs: reserved for one result, or silenced."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["reserve_stdout", "silence_output"]


@contextlib.contextmanager
def reserve_stdout() -> Iterator[None]:
    """Send stdout of this process, of C libraries and of child processes to stderr until the block ends."""
    before = sys.stdout
    before.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = before
        os.dup2(saved, 1)
        os.close(saved)


@contextlib.contextmanager
def silence_output() -> Iterator[None]:
    """Hide the output of Python code until the block ends; the files of runs and trials still get it."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
