"""A copy of a run's results folder in storage, kept up to date while the run lasts."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any, BinaryIO

from trialrun.run_dir import layout
from trialrun.run_dir.storage import PROBE_LIMIT_S, join_url, open_url, probe, relative_name
from trialrun_hookspecs.errors import UsageError

__all__ = ["Mirror", "mirror_folder"]

_FIRST_SYNC_S = 5.0  # so that a run that dies early has a copy
# Locks are this machine's, and SQLite's files belong to the open database: a snapshot is copied instead.
_NEVER_COPIED = frozenset(
    {
        layout.LOCK,
        f"{layout.LEDGER_DIR}/{layout.LOCK}",
        layout.OWNER,
        *(path.name for path in layout.sqlite_files(Path(layout.RECORDING))),
    }
)
_COPIED_LAST = frozenset({layout.RESULT})  # it says that the copy is complete
_CLOCK_TICK_NS = 10**9  # a file may change again within one tick of its clock

FileState = tuple[int, ...]  # size and time of change
FindNeeded = Callable[[Mapping[str, int]], Set[str]]


class _CopyTakenOver(OSError):
    """Another run has resumed from the copy and owns it now."""


class Mirror:
    """Copies new and changed files below `folder` to `<url>/<folder's name>`, and deletes there what is gone here.

    `url` is a path, or a URL that pyarrow or fsspec knows: s3://, gs://, hdfs://, memory://, … A copy that is
    interrupted at any moment can be resumed from: each event is in the recording or in a spool, and checkpoints that
    are recorded as complete are complete. `needed` maps the sizes of the copy's files to the names that must stay
    there although they are gone here.
    """

    def __init__(self, url: str, folder: Path, *, where: str, needed: FindNeeded = lambda sizes: frozenset()) -> None:
        self._folder = folder
        self._where = where
        self._url = url
        self._needed = needed
        self._token = secrets.token_bytes(8)
        self._sent: dict[str, FileState] = {}
        self._files: Any = None
        self._root = ""

    def open(self, *, again: bool, limit_s: float = PROBE_LIMIT_S) -> None:
        """Connect to the storage and write to it once. `again`: the run resumes, so a copy there is its own.

        Raises UsageError: the storage does not answer within `limit_s` seconds, cannot be written to, holds another
        run, is inside the results folder, or another machine has resumed from the copy.
        """
        probe(self._url, self._where, lambda: self._open_storage(again), limit_s=limit_s)

    def _open_storage(self, again: bool) -> None:
        self._files, root = open_url(self._url)
        self._root = f"{root}/{self._folder.name}"
        if self._is_local and Path(self._root).resolve().is_relative_to(self._folder.resolve()):
            fix = "To resume from a copy: trialrun resume COPY --results DIR, with another DIR."
            raise UsageError("must be outside the results folder", where=self._where, got=self._root, fix=fix)
        if not again and self._exists_remotely(layout.RUN_RECORD):
            fix = "Name another storage_path, or another --results."
            raise UsageError("holds another run already", where=self._where, got=self._root, fix=fix)
        self._check_not_superseded()
        self._files.create_dir(self._root, recursive=True)
        with (self._folder / layout.OWNER).open("ab") as own_tokens:
            own_tokens.write(self._token)  # appended: whenever this process dies, the copy's token is among them
        with self._files.open_output_stream(f"{self._root}/{layout.OWNER}") as owner:
            owner.write(self._token)
        self._load_remote_states()

    def _check_not_superseded(self) -> None:
        """Raise UsageError if another machine has resumed from the copy, which is newer than this folder then."""
        own_tokens, token = self._folder / layout.OWNER, b""
        with (
            contextlib.suppress(FileNotFoundError),
            self._files.open_input_stream(f"{self._root}/{layout.OWNER}") as owner,
        ):
            token = owner.read()
        if own_tokens.exists() and token not in own_tokens.read_bytes():
            copy = join_url(self._url, self._folder.name)
            fix = f"Resume from the copy: trialrun resume '{copy}' --results DIR, with another DIR."
            raise UsageError("another run has resumed from the copy", where=self._where, got=self._root, fix=fix)

    def _load_remote_states(self) -> None:
        """List the copy's files. A file counts as copied where it has the size of the one here and is not older."""
        from pyarrow.fs import FileSelector

        for info in self._files.get_file_info(FileSelector(self._root, recursive=True)):
            name = relative_name(self._root, info.path)
            if info.is_file and name != layout.OWNER:
                path = self._folder / name
                here = _file_state(path) if path.is_file() else (-1, 0)
                self._sent[name] = here if here[0] == info.size and here[1] <= (info.mtime_ns or 0) else (-1,)

    @property
    def _is_local(self) -> bool:
        return bool(self._files.type_name == "local")

    def _exists_remotely(self, name: str) -> bool:
        from pyarrow.fs import FileType

        return bool(self._files.get_file_info(f"{self._root}/{name}").type != FileType.NotFound)

    def sync(self, *, whole: bool = False) -> int:
        """Copy what changed since the last call, and return the number of files. `whole`: the run has ended.

        The order keeps the copy consistent. Claims are read first, then the recording, then the other files. These are
        sent first, then the recording, then the claims; deletions come last. Raises OSError.
        """
        self._check_owner()
        with tempfile.TemporaryDirectory(prefix="trialrun-mirror-") as scratch:
            claims = self._snapshot_claims(Path(scratch))
            recording = self._snapshot_recording(Path(scratch) / layout.RECORDING)
            files = self._list_files(whole=whole)
            copied = 0
            newest_first = sorted(files.items(), key=lambda each: -each[1][1])  # new files may be deleted soon
            for name, state in newest_first:
                if not _is_claim(name) and self._sent.get(name) != state:
                    copied += self._copy_file(name, self._folder / name, state)
            needed = self._needed({name: state[0] for name, state in self._sent.items()})
            for name, (path, state) in {**recording, **claims}.items():
                copied += self._copy_file(name, path, state)
        for name in sorted(self._sent.keys() - files - needed - {layout.RECORDING}):
            del self._sent[name]
            with contextlib.suppress(FileNotFoundError):
                self._files.delete_file(f"{self._root}/{name}")
        return copied

    def _check_owner(self) -> None:
        """Raise if another process owns the copy: two writers would leave a mixture."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._files.open_input_stream(f"{self._root}/{layout.OWNER}") as owner,
        ):
            if owner.read() == self._token:
                return
        raise _CopyTakenOver("another run has resumed from the copy, or the copy was removed")

    def _list_files(self, *, whole: bool) -> dict[str, FileState]:
        """Return the files to copy, the recording excepted, with their states."""
        files: dict[str, FileState] = {}
        left_out = _NEVER_COPIED | {layout.RECORDING} | (frozenset() if whole else _COPIED_LAST)
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                if name not in left_out and layout.PART_SUFFIX not in name and path.is_file():
                    files[name] = _file_state(path)
        return files

    def _snapshot_claims(self, scratch: Path) -> dict[str, tuple[Path, FileState]]:
        """Copy the claims that changed to `scratch`, and return the copies with their states."""
        copies: dict[str, tuple[Path, FileState]] = {}
        for name, state in self._list_files(whole=False).items():
            if _is_claim(name) and self._sent.get(name) != state:
                copy = scratch / str(len(copies))
                copy.write_bytes((self._folder / name).read_bytes())
                copies[name] = copy, state
        return copies

    def _snapshot_recording(self, copy: Path) -> dict[str, tuple[Path, FileState]]:
        """Write a snapshot of the recording, if there is one and it changed, to `copy`."""
        path = self._folder / layout.RECORDING
        if not path.exists():
            return {}
        log = layout.sqlite_files(path)[0]
        state = (*_file_state(path), *(_file_state(log) if log.exists() else (0, 0)))
        if self._sent.get(layout.RECORDING) == state:
            return {}
        try:  # mode=rw: SQLite must fold in the log if the run has closed the recording meanwhile
            with (
                contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as source,
                contextlib.closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        recent = max(state[1], state[3]) > time.time_ns() - _CLOCK_TICK_NS
        return {layout.RECORDING: (copy, (0,) if recent else state)}

    def _copy_file(self, name: str, path: Path, state: FileState) -> bool:
        """Copy the file; return False where it is gone."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return False
        with source:
            size = self._send_file(name, source)
        self._sent[name] = state if size >= state[0] else (size,)
        return True

    def _send_file(self, name: str, source: BinaryIO) -> int:
        """Replace the file in the copy at once, even if this is interrupted, and return its number of bytes."""
        target, size = f"{self._root}/{name}", 0
        self._files.create_dir(target.rpartition("/")[0], recursive=True)
        # An object store shows a new object only when it is complete.
        written = f"{target}{layout.PART_SUFFIX}" if self._is_local else target
        with self._files.open_output_stream(written) as sink:
            while chunk := source.read(2**20):
                sink.write(chunk)
                size += len(chunk)
        if written != target:
            self._files.move(written, target)
        return size


def _is_claim(name: str) -> bool:
    """Return whether the file claims that something else is delivered, ended or complete."""
    return (
        name == layout.JOURNAL
        or name.startswith(f"{layout.LEDGER_DIR}/")
        or name.rpartition("/")[2] == layout.CHECKPOINT_RECORDS
    )


def _file_state(path: Path) -> FileState:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def mirror_folder(
    url: str | None,
    folder: Path,
    *,
    period_s: float,
    where: str,
    again: bool = False,
    needed: FindNeeded = lambda sizes: frozenset(),
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[None]:
    """Copy the folder to `url` soon, every `period_s` seconds, and completely at the end; None: do not copy.

    A copy that fails is repeated at the next turn; if the last one fails, `warn` is called. Raises what `Mirror.open`
    raises.
    """
    if url is None:
        yield
        return
    mirror = Mirror(url, folder, where=where, needed=needed)
    mirror.open(again=again)
    over = threading.Event()

    def sync_periodically() -> None:
        pause = min(_FIRST_SYNC_S, period_s)
        while not over.wait(pause):
            pause = period_s
            try:
                mirror.sync()
            except _CopyTakenOver:
                return
            except Exception:  # noqa: BLE001, S112  # each library raises its own; the next turn copies it
                continue

    thread = threading.Thread(target=sync_periodically, daemon=True, name="trialrun-mirror")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        try:
            mirror.sync(whole=True)
        except Exception as error:  # noqa: BLE001  # likewise
            warn(f"{where}: not everything was copied to {url}: {error}. All files are in {folder}.")
