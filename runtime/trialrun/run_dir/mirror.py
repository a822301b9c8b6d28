"""A run's results folder, copied to storage elsewhere while the run goes on."""

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

_FIRST_SYNC_S = 5.0  # a run that dies soon is there, too
# Not copied: locks of this machine, and what SQLite keeps beside a database that is open.
_NEVER_COPIED = frozenset(
    {
        layout.LOCK,
        f"{layout.LEDGER_DIR}/{layout.LOCK}",
        layout.OWNER,
        *(path.name for path in layout.sqlite_files(Path(layout.RECORDING))),
    }
)
_COPIED_LAST = frozenset({layout.RESULT})  # it says that all is there
_CLOCK_TICK_NS = 10**9  # a file may change again within one tick of its clock

FileState = tuple[int, ...]  # size and time of change
FindNeeded = Callable[[Mapping[str, int]], Set[str]]


class _CopyTakenOver(OSError):
    """Another run has gone on from the copy, and keeps it now."""


class Mirror:
    """Copies what is new or changed below `folder` to `<url>/<folder's name>`, and takes away what is gone.

    `url` is a path, or what pyarrow or fsspec know: s3://, gs://, hdfs://, memory://, … Whenever a copy is cut off,
    what lies there can be gone on with: each entry is in the recording or in a spool, and what is called complete is.
    `needed` says, of a copy that has files of these sizes, which of them must stay although they are gone here.
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
        """Find the storage, and write to it once. `again`: what lies there is this run's.

        Raises UsageError: it cannot be reached or written to, holds another run, is the results folder itself, or
        another machine has gone on from it since this folder was copied there.
        """
        probe(self._url, self._where, lambda: self._open_storage(again), limit_s=limit_s)

    def _open_storage(self, again: bool) -> None:
        self._files, root = open_url(self._url)
        self._root = f"{root}/{self._folder.name}"
        if self._is_local and Path(self._root).resolve().is_relative_to(self._folder.resolve()):
            fix = "To go on with a copy: trialrun resume COPY --results DIR, with another DIR."
            raise UsageError("must lie outside of the results folder", where=self._where, got=self._root, fix=fix)
        if not again and self._exists_remotely(layout.RUN_RECORD):
            fix = "Name another storage_path, or another --results."
            raise UsageError("holds another run already", where=self._where, got=self._root, fix=fix)
        self._check_not_superseded()
        self._files.create_dir(self._root, recursive=True)
        with (self._folder / layout.OWNER).open(
            "ab"
        ) as mine:  # all that it ever was, so that no moment to die at is a wrong one
            mine.write(self._token)
        with self._files.open_output_stream(f"{self._root}/{layout.OWNER}") as owner:
            owner.write(self._token)
        self._load_remote_states()

    def _check_not_superseded(self) -> None:
        """A copy that another machine has gone on from is newer than this folder."""
        mine, there = self._folder / layout.OWNER, b""
        with (
            contextlib.suppress(FileNotFoundError),
            self._files.open_input_stream(f"{self._root}/{layout.OWNER}") as owner,
        ):
            there = owner.read()
        if mine.exists() and there not in mine.read_bytes():
            copy = join_url(self._url, self._folder.name)
            fix = f"Go on from the copy: trialrun resume '{copy}' --results DIR, with another DIR."
            raise UsageError("another run has gone on from there", where=self._where, got=self._root, fix=fix)

    def _load_remote_states(self) -> None:
        """What lies there already; it is as it is here where it has the size and is not older."""
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
        """Copy what changed since the last time, and say how many files that was. `whole`: the run has ended.

        The order keeps the copy sound. Claims are taken first, then the recording, then the rest as it is by then; the
        rest is sent first, then the recording, then the claims, and at last what is gone is taken away.
        Raises OSError.
        """
        self._check_owner()
        with tempfile.TemporaryDirectory(prefix="trialrun-mirror-") as scratch:
            claims = self._snapshot_claims(Path(scratch))
            recording = self._snapshot_recording(Path(scratch) / layout.RECORDING)
            there = self._list_files(whole=whole)
            copied = 0
            for name, state in sorted(there.items(), key=lambda each: -each[1][1]):  # the new before it is gone
                if not _is_claim(name) and self._sent.get(name) != state:
                    copied += self._copy_file(name, self._folder / name, state)
            needed = self._needed({name: state[0] for name, state in self._sent.items()})
            for name, (path, state) in {**recording, **claims}.items():
                copied += self._copy_file(name, path, state)
        for name in sorted(self._sent.keys() - there - needed - {layout.RECORDING}):
            del self._sent[name]
            with contextlib.suppress(FileNotFoundError):
                self._files.delete_file(f"{self._root}/{name}")
        return copied

    def _check_owner(self) -> None:
        """Two that write to one place would leave a mixture."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._files.open_input_stream(f"{self._root}/{layout.OWNER}") as owner,
        ):
            if owner.read() == self._token:
                return
        raise _CopyTakenOver("another run has gone on from there, or it was removed")

    def _list_files(self, *, whole: bool) -> dict[str, FileState]:
        """What there is to copy but for the recording, with its state now."""
        there: dict[str, FileState] = {}
        left_out = _NEVER_COPIED | {layout.RECORDING} | (frozenset() if whole else _COPIED_LAST)
        for path in sorted(self._folder.rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                if name not in left_out and layout.PART_SUFFIX not in name and path.is_file():
                    there[name] = _file_state(path)
        return there

    def _snapshot_claims(self, scratch: Path) -> dict[str, tuple[Path, FileState]]:
        """The claims that changed, as they are now: copies, and their states."""
        taken: dict[str, tuple[Path, FileState]] = {}
        for name, state in self._list_files(whole=False).items():
            if _is_claim(name) and self._sent.get(name) != state:
                copy = scratch / str(len(taken))
                copy.write_bytes((self._folder / name).read_bytes())
                taken[name] = copy, state
        return taken

    def _snapshot_recording(self, copy: Path) -> dict[str, tuple[Path, FileState]]:
        """A snapshot of the recording, if there is one and it changed."""
        path = self._folder / layout.RECORDING
        if not path.exists():
            return {}
        log = layout.sqlite_files(path)[0]
        state = (*_file_state(path), *(_file_state(log) if log.exists() else (0, 0)))
        if self._sent.get(layout.RECORDING) == state:
            return {}
        try:  # able to write, so that it folds in the log when the run has closed the recording meanwhile
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
        """Whether it was still there to be copied."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return False
        with source:
            size = self._send_file(name, source)
        self._sent[name] = state if size >= state[0] else (size,)
        return True

    def _send_file(self, name: str, source: BinaryIO) -> int:
        """Put it in its place at once: a copy that is cut off leaves what was there. The number of bytes."""
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
    """Whether the file says of other things that they are there: delivered, over, or complete."""
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
    """Copy the folder to `url` soon, every `period_s` seconds, and wholly at the end; None: nowhere.

    A copy that fails is tried again at the next turn; the last one's failure is said through `warn`.
    Raises UsageError when the storage cannot be reached at the start.
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
            except Exception:  # noqa: BLE001, S112  # each library has its own; the next turn copies it
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
            warn(f"{where}: not everything was copied to {url}: {error}. It is all in {folder}.")
