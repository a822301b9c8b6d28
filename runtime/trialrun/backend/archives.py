"""Zip archives of artifacts, packed and unpacked without leaving their folder."""

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
    """What an archive may hold. `ratio` (unpacked to packed bytes) counts only above `ratio_from` unpacked bytes."""

    members: int = 100_000
    total: int = 64 << 30
    ratio: int = 200
    ratio_from: int = 64 << 20


def zip_folder(source: Path, target: Path) -> Path:
    """Pack a folder, or one file as the only member, into `target`, and return that.

    Equal content gives equal bytes: members are sorted and carry no times. Raises ArtifactMissing, naming the path, for
    nothing there, for a link that leads out of the folder or to a folder, and for what is neither file nor folder.
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
            info.file_size = path.stat().st_size  # decides whether the member is written as zip64
            with path.open("rb") as read, archive.open(info, "w") as write:
                shutil.copyfileobj(read, write, CHUNK_BYTES)
    return target


def unzip(archive: Path, into: Path, limits: Limits | None = None) -> Path:
    """Unpack into the folder `into`, which must be absent or empty, and return it; on an error nothing is left there.

    Raises ArchiveUnsafe, naming the member, for one that would leave the folder, a link, an encrypted or a doubled one,
    for more than `limits`, and for what is no whole zip archive.
    """
    if into.exists() and any(into.iterdir()):
        raise BadValue("must be absent or an empty folder", where=str(into), fix="Unpack into a fresh folder.")
    try:
        with create_folder(into) as partial, zipfile.ZipFile(archive) as opened:
            _extract_members(opened, partial, limits or Limits(), archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise ArchiveUnsafe("must be a whole zip archive", where=archive.name, got=str(error)) from error
    return into


def _list_members(source: Path) -> Iterator[tuple[str, Path | None]]:
    """Sorted names with the file of each; folders end with `/` and have none."""
    if not source.is_dir():
        yield _member_name(source.name, source), _check_plain_file(source, source.resolve())
        return
    root = source.resolve()
    found: list[tuple[str, Path | None]] = []
    for at, folders, files in os.walk(source, onerror=_raise_unreadable):
        here = Path(at)
        for folder in folders:
            path = here / folder
            if path.is_symlink():
                raise ArtifactMissing("an artifact must not hold a link to a folder", where=str(path), fix="Copy it.")
            found.append((_member_name(path.relative_to(source).as_posix() + "/", path), None))
        for file in files:
            path = here / file
            found.append((_member_name(path.relative_to(source).as_posix(), path), _check_plain_file(path, root)))
    yield from sorted(found)


def _raise_unreadable(error: OSError) -> None:
    raise ArtifactMissing(
        "an artifact must be readable", where=str(error.filename), got=error.strerror or ""
    ) from error


def _member_name(name: str, path: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ArtifactMissing("a file name must be UTF-8", where=ascii(str(path)), fix="Rename it.") from error
    return "./" + name if ABSOLUTE_PATH.match(name) else name  # a folder that is called `C:` is no drive


def _check_plain_file(path: Path, root: Path) -> Path:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise ArtifactMissing("an artifact must not hold a link that leads out of it", where=str(path), fix="Copy it.")
    if not path.is_file():
        raise ArtifactMissing("an artifact must hold files and folders only", where=str(path))
    return path


def _extract_members(opened: zipfile.ZipFile, into: Path, limits: Limits, archive: Path) -> None:
    infos = opened.infolist()
    if len(infos) > limits.members:
        raise ArchiveUnsafe(f"must hold at most {limits.members} members", where=archive.name, got=str(len(infos)))
    placed = _plan_members(infos)
    _check_no_overlap(infos)
    budget = _Budget(limits, archive.stat().st_size)
    for parts, info in placed.items():
        target = into.joinpath(*parts)
        try:
            if info.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(info) as read, target.open("xb") as write:
                budget.copy_member(read, write, info)
        except RuntimeError as error:  # zipfile's way to say that it wants a password
            raise _unsafe_error("must be readable", info, str(error)) from error


def _plan_members(infos: Sequence[zipfile.ZipInfo]) -> dict[tuple[str, ...], zipfile.ZipInfo]:
    """Where each member goes, all of them checked before the first is written."""
    placed: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for info in infos:
        parts = _parse_member_path(info)
        if parts in placed and not (info.is_dir() and placed[parts].is_dir()):
            raise _unsafe_error("must not be there twice", info)
        if parts:
            placed[parts] = info
    for parts, info in placed.items():
        for depth in range(1, len(parts)):
            above = placed.get(parts[:depth])
            if above is not None and not above.is_dir():
                raise _unsafe_error("must not lie under a file", info)
    return placed


def _parse_member_path(info: zipfile.ZipInfo) -> tuple[str, ...]:
    name = info.orig_filename  # `filename` has already been cut at a NUL
    kind = stat.S_IFMT(info.external_attr >> 16)
    if "\0" in name:
        raise _unsafe_error("must have a name without NUL", info)
    if ABSOLUTE_PATH.match(name):
        raise _unsafe_error("must have a relative name", info)
    if ".." in re.split(r"[/\\]", name):
        raise _unsafe_error("must stay inside the folder", info)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _unsafe_error("must be a file or a folder, no link or device", info)
    if info.flag_bits & ENCRYPTED_FLAG:
        raise _unsafe_error("must not be encrypted", info)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if any(len(part.encode(errors="surrogatepass")) > 255 for part in parts):
        raise _unsafe_error("must have names of at most 255 bytes", info)
    return parts


def _check_no_overlap(infos: Sequence[zipfile.ZipInfo]) -> None:
    """Members that share packed bytes make the strongest bombs."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise _unsafe_error("must not overlap another member", info)
        end = info.header_offset + info.compress_size


class _Budget:
    """Counts what is really written, whatever the archive declares."""

    def __init__(self, limits: Limits, packed: int) -> None:
        self._limits, self._packed, self._written = limits, max(packed, 1), 0

    def copy_member(self, read: IO[bytes], write: IO[bytes], info: zipfile.ZipInfo) -> None:
        while piece := read.read(CHUNK_BYTES):
            self._written += len(piece)
            if self._written > self._limits.total:
                raise _unsafe_error(f"must not bring the content over {self._limits.total} bytes", info)
            if self._written > max(self._limits.ratio_from, self._limits.ratio * self._packed):
                raise _unsafe_error(f"must not unpack to more than {self._limits.ratio} times the archive", info)
            write.write(piece)


def _unsafe_error(rule: str, info: zipfile.ZipInfo, got: str = "") -> ArchiveUnsafe:
    return ArchiveUnsafe(rule, where=f"member {info.orig_filename!r}", got=got)
