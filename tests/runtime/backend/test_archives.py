"""Tests of `trialrun.backend.archives`."""

from __future__ import annotations

import io
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.backend import Limits, unzip, zip_folder
from trialrun_hookspecs.errors import ArchiveUnsafe, ArtifactMissing, BadValue

NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 80
)
Tree = dict[str, "bytes | Tree"]
TREES: st.SearchStrategy[Tree] = st.recursive(
    st.dictionaries(NAMES, st.binary(max_size=50), max_size=4),
    lambda inner: st.dictionaries(NAMES, st.binary(max_size=50) | inner, max_size=4),
    max_leaves=12,
)


def plant(tree: Tree, at: Path) -> Path:
    at.mkdir()
    for name, node in tree.items():
        if isinstance(node, bytes):
            (at / name).write_bytes(node)
        else:
            plant(node, at / name)
    return at


def harvest(at: Path) -> Tree:
    return {node.name: harvest(node) if node.is_dir() else node.read_bytes() for node in at.iterdir()}


@given(TREES)
@example({"C:": {"x": b""}})
@example({"\\a": {"...": b""}})
def test_unzip_gives_back_what_was_zipped(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        archive = zip_folder(plant(tree, folder / "in"), folder / "a.zip")
        assert harvest(unzip(archive, folder / "out")) == tree


def test_members_are_sorted(tmp_path: Path) -> None:
    tree: Tree = dict.fromkeys("hcagbfed", b"")
    archive = zip_folder(plant({**tree, "e-": tree}, tmp_path / "in"), tmp_path / "a.zip")
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    assert names == sorted(names)
    assert len(names) == 17


@given(TREES)
def test_equal_trees_give_equal_archives(tree: Tree) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        one = plant(tree, folder / "one")
        other = plant(dict(reversed(tree.items())), folder / "other")
        for path in [other, *other.rglob("*")]:
            os.utime(path, (1e9, 1e9))
        assert zip_folder(one, folder / "1.zip").read_bytes() == zip_folder(other, folder / "2.zip").read_bytes()


def test_one_file_becomes_the_only_member(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"w")
    archive = zip_folder(tmp_path / "weights.bin", tmp_path / "a.zip")
    assert harvest(unzip(archive, tmp_path / "out")) == {"weights.bin": b"w"}


def test_nothing_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="nowhere"):
        zip_folder(tmp_path / "nowhere", tmp_path / "a.zip")


def test_a_link_inside_the_artifact_is_packed_as_its_content(tmp_path: Path) -> None:
    source = plant({"model-1": b"m"}, tmp_path / "in")
    (source / "latest").symlink_to("model-1")
    archive = zip_folder(source, tmp_path / "a.zip")
    assert harvest(unzip(archive, tmp_path / "out")) == {"model-1": b"m", "latest": b"m"}


def link_out(folder: Path) -> None:
    (folder / "odd").symlink_to(folder.parent / "secret")


def link_to_folder(folder: Path) -> None:
    (folder / "odd").symlink_to(folder)


def dangling_link(folder: Path) -> None:
    (folder / "odd").symlink_to(folder / "gone")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "odd")


def not_utf8(folder: Path) -> None:
    (folder / os.fsdecode(b"odd\xff")).write_bytes(b"")


@pytest.mark.parametrize("plant_odd", [link_out, link_to_folder, dangling_link, pipe, not_utf8])
def test_what_no_archive_should_hold_is_named(tmp_path: Path, plant_odd: Callable[[Path], None]) -> None:
    (tmp_path / "secret").write_text("s")
    source = plant({}, tmp_path / "in")
    plant_odd(source)
    with pytest.raises(ArtifactMissing, match="odd"):
        zip_folder(source, tmp_path / "a.zip")


def archive_of(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, content in members:
            archive.writestr(info, content)
    return path


def kind(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


HOSTILE: dict[str, list[tuple[zipfile.ZipInfo | str, bytes]]] = {
    "parent": [("../evil", b"")],
    "inner parent": [("a/../../evil", b"")],
    "windows parent": [("..\\evil", b"")],
    "mixed parent": [("a\\../evil", b"")],
    "absolute": [("/evil", b"")],
    "windows absolute": [("\\evil", b"")],
    "drive": [("C:/evil", b"")],
    "windows drive": [("c:\\evil", b"")],
    "link": [(kind("evil", stat.S_IFLNK | 0o777), b"/etc/passwd")],
    "link then through it": [(kind("evil", stat.S_IFLNK | 0o777), b"/tmp"), ("evil/x", b"")],
    "device": [(kind("evil", stat.S_IFCHR | 0o666), b"")],
    "pipe": [(kind("evil", stat.S_IFIFO | 0o666), b"")],
    "same place twice": [("good/evil", b"1"), ("good/./evil", b"2")],
    "file as folder": [("a/evil", b"1"), ("a/evil/b", b"2")],
    "file as folder, other order": [("a/evil/b", b"2"), ("a/evil", b"1")],
    "long name": [("evil" * 100, b"")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_member_is_named_before_anything_is_written(
    tmp_path: Path, members: list[tuple[zipfile.ZipInfo | str, bytes]]
) -> None:
    archive = archive_of(tmp_path / "a.zip", ("fine", b"x"), *members)
    with pytest.raises(ArchiveUnsafe, match=r"member .*evil"):
        unzip(archive, tmp_path / "place" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "place"]


@given(
    st.lists(st.tuples(st.text(st.sampled_from("ab./\\:C ") | st.characters(exclude_categories=["Cs"])), st.binary()))
)
def test_no_archive_writes_outside_its_folder(members: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        inside = folder / "inside"
        with zipfile.ZipFile(folder / "a.zip", "w") as archive:
            for name in dict(members):
                if name and name not in archive.namelist():
                    archive.writestr(zipfile.ZipInfo(name), dict(members)[name])
        try:
            unzip(folder / "a.zip", inside / "out")
        except ArchiveUnsafe:
            assert not (inside / "out").exists()
        assert {path.name for path in folder.iterdir()} <= {"a.zip", "inside"}
        assert {path.name for path in inside.iterdir()} <= {"out"}


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("secret.bin", b"x"))
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.rfind(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveUnsafe, match=r"secret\.bin.*encrypted"):
        unzip(archive, tmp_path / "out")


def test_a_name_with_nul_is_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("evilXname", b"x"))
    archive.write_bytes(archive.read_bytes().replace(b"evilXname", b"evil\0name"))
    with pytest.raises(ArchiveUnsafe, match="NUL"):
        unzip(archive, tmp_path / "out")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", *((str(n), b"") for n in range(11)))
    with pytest.raises(ArchiveUnsafe, match="at most 10 members, got 11"):
        unzip(archive, tmp_path / "out", Limits(members=10))


def test_content_over_the_total_is_refused_at_its_member(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("small", b"x" * 900), ("straw", b"x" * 101))
    with pytest.raises(ArchiveUnsafe, match="'straw'"):
        unzip(archive, tmp_path / "out", Limits(total=1000))
    assert harvest(unzip(archive, tmp_path / "out", Limits(total=1001))).keys() == {"small", "straw"}


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("bomb", bytes(5_000_000)))
    with pytest.raises(ArchiveUnsafe, match=r"'bomb'.*200 times"):
        unzip(archive, tmp_path / "out", Limits(ratio_from=1000))
    assert not (tmp_path / "out").exists()


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Return an archive whose directory has two entries for the same packed content."""
    archive = archive_of(tmp_path / "a.zip", ("one", b"x" * 100), ("two", b"x" * 100))
    content = bytearray(archive.read_bytes())
    second = content.rfind(b"PK\1\2")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    archive.write_bytes(content)
    with pytest.raises(ArchiveUnsafe, match="overlap"):
        unzip(archive, tmp_path / "out")


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 300))
def test_a_damaged_archive_is_an_archive_error_or_none(noise: bytes, start: int, length: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/member.bin", b"content" * 9)
    content = bytearray(buffer.getvalue())
    content[start : start + length] = noise
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "a.zip").write_bytes(content)
        try:
            unzip(Path(scratch) / "a.zip", Path(scratch) / "out")
        except ArchiveUnsafe:
            assert not (Path(scratch) / "out").exists()


def test_a_folder_in_use_is_not_unpacked_into(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a.zip", ("x", b"new"))
    plant({"x": b"old"}, tmp_path / "out")
    with pytest.raises(BadValue, match="empty"):
        unzip(archive, tmp_path / "out")
    assert harvest(tmp_path / "out") == {"x": b"old"}
