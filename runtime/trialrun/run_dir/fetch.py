"""A run's results folder, fetched from the storage that it was copied to."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from trialrun.run_dir import layout
from trialrun.run_dir.atomic import create_folder
from trialrun.run_dir.storage import (
    PROBE_LIMIT_S,
    open_url,
    probe,
    refuse_credentials,
    relative_name,
)
from trialrun_hookspecs.errors import UsageError

__all__ = ["fetch_run"]

_MAX_WORKERS = 8


def fetch_run(url: str, root: Path, *, where: str = "resume", limit_s: float = PROBE_LIMIT_S) -> Path:
    """Download the folder of the run at `url` into `root`, all of it or nothing, and return its path.

    The storage must answer within `limit_s` seconds. Raises UsageError: it does not, there is no run at `url`, a file
    name in it leads out of the folder, or `root` has a folder of this name already.
    """
    refuse_credentials(url, where)
    files, path = probe(url, where, lambda: _open_run(url, where), limit_s=limit_s)
    target = (root / path.rpartition("/")[2]).absolute()
    if target.exists():
        fix = f"Resume that one: trialrun resume {target}. Or name another --results."
        raise UsageError("a folder of this name exists already", where="--results", got=str(target), fix=fix)
    try:
        with create_folder(target) as partial:
            _download_files(files, path, partial, where)
    except OSError as error:
        fix = "Make sure that --results has room, and try again."
        raise UsageError("could not be fetched", where=where, got=f"{url!r} ({error})", fix=fix) from error
    return target


def _open_run(url: str, where: str) -> tuple[Any, str]:
    """Return the file system, and the path of the run in it."""
    files, path = open_url(url)
    if not files.get_file_info(f"{path}/{layout.RUN_RECORD}").is_file:
        fix = "Name the run's own folder, such as s3://bucket/studies/my_job-1."
        raise UsageError(
            "must be the results folder of a run", where=where, got=f"no {layout.RUN_RECORD} in {url!r}", fix=fix
        )
    return files, path


def _download_files(files: Any, path: str, folder: Path, where: str) -> None:
    from pyarrow.fs import FileSelector

    infos = [info for info in files.get_file_info(FileSelector(path, recursive=True)) if info.is_file]
    infos = [
        info
        for info in infos
        if relative_name(path, info.path) != layout.OWNER and not info.path.endswith(layout.PART_SUFFIX)
    ]
    names = [_check_name(relative_name(path, info.path), where) for info in infos]

    def download_file(name: str, info: Any) -> None:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.open_input_stream(info.path) as source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, 2**20)
        if info.mtime_ns:  # a mirror compares times
            os.utime(target, ns=(info.mtime_ns, info.mtime_ns))

    with ThreadPoolExecutor(_MAX_WORKERS, thread_name_prefix="trialrun-fetch") as pool:
        list(pool.map(download_file, names, infos))


def _check_name(name: str, where: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        fix = "Remove it from the storage."
        raise UsageError("a file must stay inside the run's folder", where=where, got=repr(name), fix=fix)
    return name
