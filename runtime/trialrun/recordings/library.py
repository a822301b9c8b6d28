"""The library: the recordings below a path, opened for reading on demand."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from trialrun.recorder.store import Store
from trialrun.recordings.curves import Curves
from trialrun.recordings.trial_index import TrialIndex
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import UsageError

__all__ = ["Library", "OpenRecording"]

MAX_RECORDINGS = 1_000


class OpenRecording:
    """One recording, read-only, also while another process writes it. Safe for concurrent threads.

    A recording without an index (made by an older trialrun) is copied and the copy indexed; `close` removes the copy.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = layout.files_beside(path)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self.store = Store(path, readonly=True)
        if not self.store.has_index():
            self.store = self._copy_and_index(self.store)
        self.stream_store = Store(self.store.path, readonly=True)  # short queries of streams never wait for long ones
        self.curves = Curves(self.store)
        self._indexes: dict[int, TrialIndex] = {}
        self._lock = threading.Lock()

    def get_trial_index(self, job: int) -> TrialIndex:
        with self._lock:
            if job not in self._indexes:
                self._indexes[job] = TrialIndex(self.store, job)
            return self._indexes[job]

    def close(self) -> None:
        self.store.close()
        self.stream_store.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _copy_and_index(self, store: Store) -> Store:
        self._copy = tempfile.TemporaryDirectory(prefix="trialrun-")
        target = Path(self._copy.name) / layout.RECORDING
        store.copy_to(target)
        store.close()
        return Store(target)


class Library:
    """`root` is a recording, a results folder, or a folder of results folders; it may not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._open: dict[str, OpenRecording] = {}
        self._described: dict[str, tuple[tuple[float, ...], Any]] = {}
        self._lock = threading.Lock()

    def find_recordings(self) -> dict[str, Path]:
        """Return the paths of the recordings by key, newest first. A key depends on the path alone."""
        paths = (
            [self.root]
            if self.root.is_file()
            else [*self.root.glob(layout.RECORDING), *self.root.glob(f"*/{layout.RECORDING}")]
        )
        paths = sorted(paths, key=_file_stamp, reverse=True)[:MAX_RECORDINGS]
        return {self._recording_key(path): path for path in paths}

    def open_recording(self, key: str) -> OpenRecording | None:
        """Return the recording of that key, or None; it stays open until `close`."""
        with self._lock:
            if key not in self._open:
                path = self.find_recordings().get(key)
                if path is None:
                    return None
                self._open[key] = OpenRecording(path)
            return self._open[key]

    def describe_recordings(self, describe: Callable[[Store], Any]) -> Iterator[tuple[str, Path, Any]]:
        """Yield key, path and description of each readable recording; unchanged ones are not read again."""
        for key, path in self.find_recordings().items():
            stamp = _file_stamp(path)
            known = self._described.get(key)
            if known is None or known[0] != stamp:
                with contextlib.suppress(UsageError):
                    store = Store(path, readonly=True)
                    try:
                        known = self._described[key] = (stamp, describe(store))
                    finally:
                        store.close()
            if known is not None:
                yield key, path, known[1]

    def close(self) -> None:
        with self._lock:
            for recording in self._open.values():
                recording.close()
            self._open.clear()

    def _recording_key(self, path: Path) -> str:
        return hashlib.sha256(str(path.relative_to(self.root.parent)).encode()).hexdigest()[:8]


def _file_stamp(path: Path) -> tuple[float, ...]:
    """Return the time of the last write first: new content is in the write-ahead log before it is in the file."""
    times = []
    for file in (path, layout.sqlite_files(path)[0]):
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return (max(times, default=0.0), *times)
