"""Standard output kept for one thing: what else is printed meanwhile goes to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

__all__ = ["reserved_stdout"]


@contextlib.contextmanager
def reserved_stdout() -> Iterator[None]:
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
