"""The lock of a results folder: one process at a time, and none after the process that held it has died."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["LockHeld", "LocksUnsupported", "acquire", "is_locked", "run_lock"]


class LockHeld(OSError):
    """Another process holds the lock; `owner` is its id where it wrote that down."""

    owner: str = "unknown"


class LocksUnsupported(OSError):
    """The file system has no locks."""


def acquire(path: Path) -> int:
    """Return a file descriptor that holds the lock until it is closed. Raises LockHeld, LocksUnsupported, OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock_file(file, fcntl.LOCK_EX)
    except OSError:
        os.close(file)
        raise
    return file


def _lock_file(file: int, kind: int) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held = LockHeld(*error.args)
        held.owner = os.pread(file, 20, 0).decode(errors="replace").strip() or held.owner
        raise held from None
    except OSError as error:
        raise LocksUnsupported(*error.args) from None


@contextlib.contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a results folder for one run. Raises UsageError while another process holds it."""
    try:
        file = acquire(folder / layout.LOCK)
    except LockHeld as error:
        fix = "Wait until it has ended, or end it."
        raise UsageError("is in use by a run", where=str(folder), got=f"process {error.owner}", fix=fix) from None
    except LocksUnsupported as error:
        fix = "Name another --results."
        rule = "must be on a file system with file locks"
        raise UsageError(rule, where=str(folder), got=error.strerror or "", fix=fix) from None
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


def is_locked(folder: Path) -> bool | None:
    """Return whether a process works on a run now; None where nothing can tell: no lock file, or no locks."""
    try:
        file = os.open(folder / layout.LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        _lock_file(file, fcntl.LOCK_SH)
    except LockHeld:
        return True
    except LocksUnsupported:
        return None
    finally:
        os.close(file)
    return False
