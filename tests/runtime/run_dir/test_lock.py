"""Tests of `trialrun.run_dir.lock`."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from trialrun.backend.ledger import Ledger
from trialrun.run_dir.lock import LockHeld, LocksUnsupported, acquire, is_locked, run_lock
from trialrun_hookspecs.errors import UsageError


def refuse_locks(file: int, kind: int) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def test_a_lock_is_held_once_and_released_with_its_file(tmp_path: Path) -> None:
    held = acquire(tmp_path / "lock")
    with pytest.raises(LockHeld) as caught:
        acquire(tmp_path / "lock")
    assert caught.value.owner == "unknown"
    os.close(held)
    os.close(acquire(tmp_path / "lock"))


def test_a_run_holds_its_folder_and_names_its_process(tmp_path: Path) -> None:
    assert is_locked(tmp_path) is None
    with run_lock(tmp_path):
        assert is_locked(tmp_path) is True
        with pytest.raises(UsageError, match=f"is in use by a run.*process {os.getpid()}"), run_lock(tmp_path):
            pytest.fail("locked twice")
    assert is_locked(tmp_path) is False
    with run_lock(tmp_path):
        pass


def test_asking_does_not_lock(tmp_path: Path) -> None:
    with run_lock(tmp_path):
        pass
    assert is_locked(tmp_path) is False
    os.close(acquire(tmp_path / "lock"))


def test_a_file_system_without_locks_is_no_held_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", refuse_locks)
    with pytest.raises(LocksUnsupported):
        acquire(tmp_path / "lock")
    assert is_locked(tmp_path) is None
    with pytest.raises(UsageError, match="must be on a file system with file locks"), run_lock(tmp_path):
        pytest.fail("ran without a lock")
    with Ledger(tmp_path), Ledger(tmp_path):  # better to send twice than not at all
        pass
