"""Zip archives of artifacts: packing, and unpacking that cannot leave its folder."""

from __future__ import annotations

import os
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trialrun.run_dir.atomic import create_folder
from trialrun_hookspecs.errors import ArchiveUnsafe, ArtifactMissing, BadValue

__all__ = ["Limits", "unzip", "zip_folder"]

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
COMPRESSION_LEVEL = 1  # weights hardly shrink at any level
CHUNK_BYTES = 1 << 20
ENCRYPTED_FLAG = 0x1
ABSOLUTE_PATH = re.compile(r"[/\\]|[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an archive: its members, its total unpacked bytes, and the `ratio` of unpacked to packed bytes.

    The ratio applies only above `ratio_from` unpacked bytes.
    """

    members: int = 100_000
    total: int = 64 << 30
    ratio: int = 200
    ratio_from: int = 64 << 20


def zip_folder(source: Path, target: Path) -> Path:
    """Pack a folder, or one file as the only member, into the file `target`, and return that.

    Equal content gives equal bytes: members are sorted and carry no times. Raises ArtifactMissing, which names the
    path: it does not exist, is a link to a folder or out of the folder, or is neither a file nor a folder.
    """
    if not source.exists():
        raise ArtifactMissing("an artifact must exist", where=str(source))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name, path in _list_members(source):
            info = zipfile.ZipInfo(name, ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            if path is None:
                info.external_attr = (stat.S_IFDIR | 0o755) << 16
                archive.writestr(info, b"")
                continue
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.file_size = path.stat().st_size  # zipfile chooses zip64 by it
            with path.open("rb") as read, archive.open(info, "w") as write:
                shutil.copyfileobj(read, write, CHUNK_BYTES)
    return target


def unzip(archive: Path, into: Path, limits: Limits | None = None) -> Path:
    """Unpack into the folder `into`, which must be absent or empty, and return it; an error leaves nothing there.

    Raises ArchiveUnsafe, which names the member: its path leads out of the folder, it is a link, encrypted or there
    twice. Also for an archive that exceeds `limits`, and for a file that is not a complete zip archive.
    """
    if into.exists() and any(into.iterdir()):
        raise BadValue("must be absent or an empty folder", where=str(into), fix="Unpack into a new folder.")
    try:
        with create_folder(into) as partial, zipfile.ZipFile(archive) as opened:
            _extract_members(opened, partial, limits or Limits(), archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise ArchiveUnsafe("must be a complete zip archive", where=archive.name, got=str(error)) from error
    return into


def _list_members(source: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield the sorted names of the members with their files; the name of a folder ends with `/`, its file is None."""
    if not source.is_dir():
        yield _member_name(source.name, source), _check_plain_file(source, source.resolve())
        return
    root = source.resolve()
    members: list[tuple[str, Path | None]] = []
    for at, folders, files in os.walk(source, onerror=_raise_unreadable):
        here = Path(at)
        for folder in folders:
            path = here / folder
            if path.is_symlink():
                rule = "an artifact must not contain a link to a folder"
                raise ArtifactMissing(rule, where=str(path), fix="Copy the folder.")
            members.append((_member_name(path.relative_to(source).as_posix() + "/", path), None))
        for file in files:
            path = here / file
            members.append((_member_name(path.relative_to(source).as_posix(), path), _check_plain_file(path, root)))
    yield from sorted(members)


def _raise_unreadable(error: OSError) -> None:
    raise ArtifactMissing(
        "an artifact must be readable", where=str(error.filename), got=error.strerror or ""
    ) from error


def _member_name(name: str, path: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ArtifactMissing("a file name must be UTF-8", where=ascii(str(path)), fix="Rename it.") from error
    return "./" + name if ABSOLUTE_PATH.match(name) else name  # a folder named `C:` is not a drive


def _check_plain_file(path: Path, root: Path) -> Path:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        rule = "an artifact must not contain a link that leads out of it"
        raise ArtifactMissing(rule, where=str(path), fix="Copy the file.")
    if not path.is_file():
        raise ArtifactMissing("an artifact must contain files and folders only", where=str(path))
    return path


def _extract_members(opened: zipfile.ZipFile, into: Path, limits: Limits, archive: Path) -> None:
    infos = opened.infolist()
    if len(infos) > limits.members:
        raise ArchiveUnsafe(f"must have at most {limits.members} members", where=archive.name, got=str(len(infos)))
    planned = _plan_members(infos)
    _check_no_overlap(infos)
    budget = _Budget(limits, archive.stat().st_size)
    for parts, info in planned.items():
        target = into.joinpath(*parts)
        try:
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as read, target.open("xb") as write:
                budget.copy_member(read, write, info)
        except RuntimeError as error:  # zipfile raises it for a member that needs a password
            raise _unsafe_error("must be readable", info, str(error)) from error


def _plan_members(infos: Sequence[zipfile.ZipInfo]) -> dict[tuple[str, ...], zipfile.ZipInfo]:
    """Return the path of each member, relative to the folder; all are checked before the first is written."""
    planned: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for info in infos:
        parts = _parse_member_path(info)
        if parts in planned and not (info.is_dir() and planned[parts].is_dir()):
            raise _unsafe_error("must not occur twice", info)
        if parts:
            planned[parts] = info
    for parts, info in planned.items():
        for depth in range(1, len(parts)):
            above = planned.get(parts[:depth])
            if above is not None and not above.is_dir():
                raise _unsafe_error("must not be below a file", info)
    return planned


def _parse_member_path(info: zipfile.ZipInfo) -> tuple[str, ...]:
    name = info.orig_filename  # zipfile cuts `filename` at a NUL
    kind = stat.S_IFMT(info.external_attr >> 16)
    if "\0" in name:
        raise _unsafe_error("must have a name without NUL", info)
    if ABSOLUTE_PATH.match(name):
        raise _unsafe_error("must have a relative name", info)
    if ".." in re.split(r"[/\\]", name):
        raise _unsafe_error("must stay inside the folder", info)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe_error("must be a file or a folder, not a link or device", info)
    if info.flag_bits & ENCRYPTED_FLAG:
        raise _unsafe_error("must not be encrypted", info)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if any(len(part.encode(errors="surrogatepass")) > 255 for part in parts):
        raise _unsafe_error("must have names of at most 255 bytes", info)
    return parts


def _check_no_overlap(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ArchiveUnsafe if members share packed bytes: the most effective zip bombs do."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise _unsafe_error("must not overlap another member", info)
        end = info.header_offset + info.compress_size


class _Budget:
    """Counts the bytes that are really written, whatever the archive declares."""

    def __init__(self, limits: Limits, packed: int) -> None:
        self._limits, self._packed, self._written = limits, max(packed, 1), 0

    def copy_member(self, read: IO[bytes], write: IO[bytes], info: zipfile.ZipInfo) -> None:
        while piece := read.read(CHUNK_BYTES):
            self._written += len(piece)
            if self._written > self._limits.total:
                raise _unsafe_error(f"must not raise the content above {self._limits.total} bytes", info)
            if self._written > max(self._limits.ratio_from, self._limits.ratio * self._packed):
                raise _unsafe_error(f"must not unpack to more than {self._limits.ratio} times the archive", info)
            write.write(piece)


def _unsafe_error(rule: str, info: zipfile.ZipInfo, got: str = "") -> ArchiveUnsafe:
    return ArchiveUnsafe(rule, where=f"member {info.orig_filename!r}", got=got)
