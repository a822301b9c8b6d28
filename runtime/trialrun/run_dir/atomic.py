"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trialrun.run_dir.layout import PART_SUFFIX

__all__ = ["create_folder", "replace_file"]

_NAME_BYTES = 150  # of the final name: a partial name must not exceed the 255 bytes that file systems take


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` for the block to write; it replaces `path` at the end, and is removed on an error.

    Processes and threads may replace the same file at once: each writes its own, and the last one stays. Nothing is
    forced onto the disk: the file survives the death of this process, not a power cut.
    """
    name = path.name.encode()[:_NAME_BYTES].decode(errors="ignore")
    partial = path.with_name(f".{name}.{os.getpid()}-{threading.get_ident()}{PART_SUFFIX}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def create_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` for the block to fill; it becomes `path` at the end, and is removed on an error.

    `path` must be absent or an empty folder; else OSError is raised at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".", suffix=PART_SUFFIX, dir=path.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp makes it private
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
