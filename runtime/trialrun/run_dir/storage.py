"""Access to storage by its URL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from trialrun_hookspecs.errors import UsageError

__all__ = [
    "PROBE_LIMIT_S",
    "join_url",
    "make_absolute",
    "open_url",
    "parent_url",
    "probe",
    "refuse_credentials",
    "relative_name",
    "unreachable_error",
]

PROBE_LIMIT_S = 30.0
T = TypeVar("T")


def open_url(url: str) -> tuple[Any, str]:
    """Return the pyarrow file system of a URL, and the path in it. A plain path is on this machine."""
    from pyarrow import ArrowInvalid, fs

    if "://" not in url:
        return fs.LocalFileSystem(), make_absolute(url)
    if url.startswith("s3://"):  # a small file takes one call instead of the three of a multipart upload
        url += f"{'&' if '?' in url else '?'}allow_delayed_open=true"
    try:
        system, path = fs.FileSystem.from_uri(url)
    except ArrowInvalid:  # pyarrow does not know the scheme
        import fsspec

        system, path = fsspec.core.url_to_fs(url)
        system = fs.PyFileSystem(fs.FSSpecHandler(system))
    return system, path.rstrip("/")


def make_absolute(url: str) -> str:
    """Return the URL, or the path in a form that means the same from any folder."""
    return url if "://" in url else str(Path(url).absolute())


def parent_url(url: str) -> str:
    """Return the URL of the folder that contains this one."""
    if "://" not in url:
        return str(Path(url).absolute().parent)
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/").rpartition("/")[0]))


def join_url(url: str, name: str) -> str:
    """Return the URL of `name` in the folder; the inverse of `parent_url`."""
    if "://" not in url:
        return str(Path(url).absolute() / name)
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def relative_name(root: str, path: str) -> str:
    """Return the name, relative to `root`, of a file that the storage lists as `path`."""
    return path.strip("/").removeprefix(f"{root.strip('/')}/")


def refuse_credentials(url: str, where: str) -> None:
    """Raise UsageError if the URL holds credentials: it is written to the run's record."""
    parts = urlsplit(url)
    if "@" in parts.netloc or "secret" in parts.query.lower():
        fix = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the variables that your storage reads."
        raise UsageError("credentials go into the environment, not the address", where=where, fix=fix)


def probe(url: str, where: str, act: Callable[[], T], *, limit_s: float = PROBE_LIMIT_S) -> T:
    """Return the result of `act`, the first call to this storage. Raises UsageError: it fails or exceeds `limit_s`."""
    outcome: list[T] = []
    errors: list[Exception] = []

    def run_act() -> None:
        try:
            outcome.append(act())
        except Exception as error:  # noqa: BLE001  # each library raises its own
            errors.append(error)

    thread = threading.Thread(target=run_act, daemon=True, name="trialrun-storage")
    thread.start()
    thread.join(limit_s)
    if errors and isinstance(errors[0], UsageError):
        raise errors[0]
    if errors:
        raise unreachable_error(url, where, errors[0]) from errors[0]
    if not outcome:
        raise unreachable_error(url, where, f"no answer within {limit_s:g} s")
    return outcome[0]


def unreachable_error(url: str, where: str, why: Exception | str) -> UsageError:
    """Return the error for storage that cannot be reached."""
    why = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
    fix = "Check the address, the credentials in the environment, and that it may be written to."
    return UsageError("storage cannot be reached", where=where, got=f"{url!r} ({why})", fix=fix)
