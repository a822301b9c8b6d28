"""The process of a plugin call: working folder, environment, seeds and output streams, restored afterwards."""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from trialrun.run_dir.layout import OUTPUT_FILES

__all__ = [
    "StreamProxy",
    "capture_output",
    "change_directory",
    "get_hidden_stderr",
    "restore_process",
    "seed_all",
    "tee_output",
]


@contextlib.contextmanager
def change_directory(folder: Path) -> Iterator[None]:
    """Make `folder` the current one, and go back afterwards (to the root if the old one no longer exists)."""
    try:
        before = Path.cwd()
    except FileNotFoundError:
        before = Path(os.sep)
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before if before.is_dir() else os.sep)


@contextlib.contextmanager
def restore_process() -> Iterator[None]:
    """Restore environment and `sys.path`: one trial's changes must not reach the next trial of a reused worker."""
    environment, path = dict(os.environ), list(sys.path)
    try:
        yield
    finally:
        for key in set(os.environ) - set(environment):
            del os.environ[key]
        os.environ.update(environment)
        sys.path[:] = path


def seed_all(seed: int) -> None:
    """Seed Python's generator, and those of numpy and torch if they are imported."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@contextlib.contextmanager
def capture_output(folder: Path, names: tuple[str, str] = OUTPUT_FILES) -> Iterator[None]:
    """Send all output of this process and its children to files in `folder`."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(fd) for fd in (1, 2)]
    streams = sys.stdout, sys.stderr
    files = [os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for name in names]
    for fd, target in zip((1, 2), files, strict=True):
        os.dup2(target, fd)
        os.close(target)
    sys.stdout = _open_text_stream(1)
    sys.stderr = _open_text_stream(2)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # closed by the plugin
                stream.flush()
        sys.stdout, sys.stderr = streams
        for fd, old in zip((1, 2), saved, strict=True):
            os.dup2(old, fd)
            os.close(old)


def _open_text_stream(fd: int) -> TextIO:
    return io.TextIOWrapper(open(fd, "wb", buffering=0, closefd=False), write_through=True, errors="backslashreplace")


class StreamProxy(io.TextIOBase):
    """A stream that forwards everything but `write` to another stream."""

    def __init__(self, shown: TextIO) -> None:
        self._shown = shown

    def flush(self) -> None:
        self._shown.flush()

    def isatty(self) -> bool:
        return not self._shown.closed and self._shown.isatty()

    def fileno(self) -> int:
        return self._shown.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a read-only attribute in typeshed's base class
        return self._shown.encoding


class _Tee(StreamProxy):
    """A stream that writes to a file and to the original stream."""

    def __init__(self, file: TextIO, shown: TextIO) -> None:
        super().__init__(shown)
        self._file = file

    def write(self, text: str) -> int:
        self._file.write(text)
        with contextlib.suppress(BrokenPipeError):  # a closed pipe must not make a trial fail
            self._shown.write(text)
        return len(text)

    def flush(self) -> None:
        self._file.flush()
        with contextlib.suppress(BrokenPipeError):
            super().flush()

    @property
    def file_stream(self) -> TextIO:
        return self._file


def get_hidden_stderr() -> TextIO:
    """Return the `stderr` file of the call, for text that is not shown: a traceback that a message sums up."""
    kept: TextIO = getattr(sys.stderr, "file_stream", sys.stderr)
    return kept


@contextlib.contextmanager
def tee_output(folder: Path, names: tuple[str, str] = OUTPUT_FILES) -> Iterator[None]:
    """Copy the output of Python code to files in `folder` and still show it: debuggers keep working."""
    streams = sys.stdout, sys.stderr
    with (
        (folder / names[0]).open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as out,
        (folder / names[1]).open("a", buffering=1, encoding="utf-8", errors="backslashreplace") as err,
    ):
        sys.stdout, sys.stderr = _Tee(out, streams[0]), _Tee(err, streams[1])
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
