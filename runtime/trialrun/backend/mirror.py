"""A run's results folder, copied to storage elsewhere while the run goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trialrun_hookspecs.errors import UsageError

__all__ = ["Mirror", "checked", "mirrored"]

REACH_S = 30.0
_PROBE = ".trialrun-probe"
_OWN = "run.json"
_NOT_YET = ("recorder.sqlite", "lock")  # a database that is being written is no database when it is copied


class Mirror:
    """Copies what is new or changed below `folder` to `<url>/<folder's name>`, and takes away what is gone.

    `url` is a path, or what pyarrow or fsspec know: s3://, gs://, hdfs://, memory://, …
    """

    def __init__(self, url: str, folder: Path, *, where: str) -> None:
        self._folder = folder
        self._where = where
        self._url = url
        self._sent: dict[str, tuple[int, int]] = {}
        self._files: Any = None
        self._root = ""

    def open(self, *, again: bool, limit_s: float = REACH_S) -> None:
        """Find the storage, and write to it once. `again`: what lies there is this run's.

        Raises UsageError: it cannot be reached or written to, or holds another run.
        """
        outcome: list[BaseException | None] = []

        def reach() -> None:
            try:
                self._reach(again)
                outcome.append(None)
            except Exception as error:  # noqa: BLE001  # each library has its own
                outcome.append(error)

        thread = threading.Thread(target=reach, daemon=True, name="trialrun-storage")
        thread.start()
        thread.join(limit_s)
        if not outcome:
            raise self._refused(f"no answer within {limit_s:g} s")
        if isinstance(outcome[0], UsageError):
            raise outcome[0]
        if outcome[0] is not None:
            raise self._refused(f"{type(outcome[0]).__name__}: {outcome[0]}") from outcome[0]

    def _reach(self, again: bool) -> None:
        self._files, root = _found(self._url)
        self._root = f"{root.rstrip('/')}/{self._folder.name}"
        if not again and self._there(_OWN):
            fix = "Name another storage_path, or another --results."
            raise UsageError("holds another run already", where=self._where, got=self._root, fix=fix)
        self._files.create_dir(self._root, recursive=True)
        with self._files.open_output_stream(f"{self._root}/{_PROBE}") as probe:
            probe.write(b"trialrun")
        self._files.delete_file(f"{self._root}/{_PROBE}")

    def _there(self, name: str) -> bool:
        from pyarrow.fs import FileType

        return bool(self._files.get_file_info(f"{self._root}/{name}").type != FileType.NotFound)

    def _refused(self, why: str) -> UsageError:
        fix = "Check the address, the credentials in the environment, and that it may be written to."
        return UsageError("storage cannot be reached", where=self._where, got=f"{self._url!r} ({why})", fix=fix)

    def sync(self, *, whole: bool = False) -> int:
        """Copy what changed since the last time, and say how many files that was. `whole`: the recording too.

        Raises OSError.
        """
        there: dict[str, tuple[int, int]] = {}
        for path in sorted(self._folder.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                if path.is_file() and (whole or not path.name.startswith(_NOT_YET)):
                    status = path.stat()
                    there[path.relative_to(self._folder).as_posix()] = (status.st_size, status.st_mtime_ns)
        copied = 0
        for name, state in there.items():
            if self._sent.get(name) != state:
                with contextlib.suppress(FileNotFoundError):
                    self._copy(name)
                    self._sent[name] = state
                    copied += 1
        for name in [name for name in self._sent if name not in there and not name.startswith(_NOT_YET)]:
            del self._sent[name]
            with contextlib.suppress(FileNotFoundError):
                self._files.delete_file(f"{self._root}/{name}")
        return copied

    def _copy(self, name: str) -> None:
        target = f"{self._root}/{name}"
        with (self._folder / name).open("rb") as source:
            self._files.create_dir(target.rpartition("/")[0], recursive=True)
            with self._files.open_output_stream(target) as sink:
                while chunk := source.read(2**20):
                    sink.write(chunk)


def _found(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. A plain path is one of this machine."""
    from pyarrow import ArrowInvalid, fs

    if "://" not in url:
        return fs.LocalFileSystem(), str(Path(url).absolute())
    if url.startswith("s3://"):  # one call for a small file instead of the three of an upload in parts
        url += f"{'&' if '?' in url else '?'}allow_delayed_open=true"
    try:
        system, path = fs.FileSystem.from_uri(url)
    except ArrowInvalid:  # a scheme that it does not know
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        system = fs.PyFileSystem(fs.FSSpecHandler(system))
    return system, path


def checked(url: str, where: str) -> None:
    """Refuse credentials in the address, which goes into the run's record. Raises UsageError."""
    parts = urlsplit(url)
    if "@" in parts.netloc or "secret" in parts.query.lower():
        fix = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what else your storage reads."
        raise UsageError("credentials go into the environment, not the address", where=where, fix=fix)


@contextlib.contextmanager
def mirrored(
    url: str | None,
    folder: Path,
    *,
    period_s: float,
    where: str,
    again: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[None]:
    """Copy the folder to `url` every `period_s` seconds, and wholly at the end; None: nowhere.

    A copy that fails is tried again at the next turn; the last one's failure is said through `warn`.
    Raises UsageError when the storage cannot be reached at the start.
    """
    if url is None:
        yield
        return
    mirror = Mirror(url, folder, where=where)
    mirror.open(again=again)
    over = threading.Event()

    def turns() -> None:
        while not over.wait(period_s):
            with contextlib.suppress(OSError):  # the next turn copies it
                mirror.sync()

    thread = threading.Thread(target=turns, daemon=True, name="trialrun-mirror")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        try:
            mirror.sync(whole=True)
        except OSError as error:
            warn(f"{where}: not everything was copied to {url}: {error}. It is all in {folder}.")
