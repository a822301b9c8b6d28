"""Files of lines that one process appends and another follows."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from trialrun.run_dir.layout import SPOOL_SUFFIX
from trialrun_hookspecs.errors import BadValue, SpoolFull

__all__ = ["SPOOL_LIMIT", "SpoolReader", "SpoolWriter", "Tail", "TailError"]

MAX_ERRORS = 1000
SPOOL_LIMIT = 1 << 30
"""Default limit of a spool in bytes; each attempt of a trial has a spool."""

_DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SpoolWriter:
    """Appends lines to a file, each by one write: a line survives the death of this process once `write` returns.

    It first ends a torn line that a killed writer left, so that only that line is lost. Threads may share a writer.
    A line that would make the file larger than `limit` bytes is refused.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._limit = path, limit
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        size = os.fstat(self._file).st_size
        self._size = size
        self._torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        self._open = True

    def write(self, line: str) -> None:
        """Append one line, or none of it.

        Raises BadValue: it has a line break, or the spool is closed; SpoolFull: no room; OSError: the disk failed.
        """
        if "\n" in line:
            raise BadValue("a spooled line must have no line break", where="the spool", got=repr(line[:80]))
        content = line.encode(errors="surrogatepass") + b"\n"
        with self._lock:
            if not self._open:
                raise BadValue("a closed spool takes no more lines", where="the spool")
            if self._torn:
                content = b"\n" + content
            if self._limit is not None and self._size + len(content) > self._limit:
                raise _spool_full_error(
                    self._path, f"it holds {self._size} of {self._limit} bytes", "Log less, or raise the limit"
                )
            self._torn = True  # until all of it is written
            try:
                self._append_bytes(content)
            except OSError as error:
                if error.errno not in _DISK_FULL_ERRNOS:
                    raise
                raise _spool_full_error(
                    self._path, f"the disk is full: {error.strerror}", "Free space on it"
                ) from error
            self._torn = False

    def _append_bytes(self, content: bytes) -> None:
        while content:
            written = os.write(self._file, content)
            self._size += written
            content = content[written:]

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _spool_full_error(path: Path, got: str, fix: str) -> SpoolFull:
    rule = "must have room for what is reported"
    return SpoolFull(rule, where=f"the spool {path.name}", got=got, fix=f"{fix} (--spool-limit).")


class SpoolReader:
    """Reads complete lines from byte `offset` on; a line without its end stays for the next call."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self.offset = offset

    def read_lines(self) -> list[str]:
        """Return the lines that were completed since the last call; none where the file does not exist (yet)."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self.offset += len(whole)
        # Not splitlines(): it also splits at characters that JSON strings may hold.
        return [_decode_line(line) for line in whole.split(b"\n") if line]


def _decode_line(line: bytes) -> str:
    try:
        return line.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return line.decode(errors="replace")  # a torn line may end inside a character


@dataclass(frozen=True, slots=True, kw_only=True)
class TailError:
    """A line for which `on_line` raised."""

    path: Path
    line: str
    error: Exception


class Tail:
    """Follows all `*.jsonl` files of a folder in a thread and calls `on_line(path, line)` per line, in order per file.

    New files are found as they appear; the folder itself may appear later. `on_line` is never called in two threads at
    once. Its exceptions are kept in `errors` (the first 1000), and the next line follows. `offsets` maps file names to
    the bytes that were read: a Tail that is given them continues from there. The thread looks every `interval` seconds.
    """

    def __init__(
        self,
        folder: Path,
        on_line: Callable[[Path, str], None],
        interval: float = 0.1,
        *,
        offsets: Mapping[str, int] | None = None,
    ) -> None:
        self._folder, self._on_line, self._interval = folder, on_line, interval
        self._initial = dict(offsets or {})
        self._readers: dict[str, SpoolReader] = {}
        self._scan_lock = threading.RLock()
        self._scanning = False
        self._wake = threading.Event()
        self._stopped = False
        self.errors: list[TailError] = []
        self._thread = threading.Thread(target=self._follow_files, name="trialrun-tail", daemon=True)
        self._thread.start()

    @property
    def offsets(self) -> dict[str, int]:
        with self._scan_lock:
            return self._initial | {name: reader.offset for name, reader in self._readers.items()}

    def wake(self) -> None:
        """Make the thread look now, and return at once."""
        self._wake.set()

    def drain(self) -> None:
        """Deliver, in this thread, every line that exists now."""
        with self._scan_lock:
            if self._scanning:  # called by on_line itself
                return
            self._scanning = True
            try:
                self._scan_files()
            finally:
                self._scanning = False

    def stop(self) -> None:
        """End the thread and deliver what is left; harmless when repeated."""
        self._stopped = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self.drain()

    def _follow_files(self) -> None:
        while not self._stopped:
            with suppress(OSError):  # it may pass; if not, stop() raises it
                self.drain()
            self._wake.wait(self._interval)
            self._wake.clear()

    def _scan_files(self) -> None:
        for name in self._list_grown_files():
            reader = self._get_reader(name)
            for line in reader.read_lines():
                self._deliver_line(reader.path, line)

    def _list_grown_files(self) -> list[str]:
        """Return the sorted names of the files that have unread bytes."""
        try:
            with os.scandir(self._folder) as entries:
                return sorted(e.name for e in entries if e.name.endswith(SPOOL_SUFFIX) and self._has_more(e))
        except FileNotFoundError:
            return []

    def _has_more(self, entry: os.DirEntry[str]) -> bool:
        try:
            return entry.stat().st_size > self._get_reader(entry.name).offset
        except FileNotFoundError:
            return False

    def _get_reader(self, name: str) -> SpoolReader:
        if name not in self._readers:
            self._readers[name] = SpoolReader(self._folder / name, self._initial.get(name, 0))
        return self._readers[name]

    def _deliver_line(self, path: Path, line: str) -> None:
        try:
            self._on_line(path, line)
        except Exception as error:  # noqa: BLE001 - one bad line must not stop the others
            if len(self.errors) < MAX_ERRORS:
                self.errors.append(TailError(path=path, line=line, error=error))
