"""Tests of `trialrun.recorder.fixtures`."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun.recorder import Fixtures, parse_fixture, split_fixture
from trialrun.recorder.fixtures import DatasetRow, write_zip
from trialrun_hookspecs.errors import FixtureInvalid


def added(source: Any) -> list[DatasetRow]:
    fixtures = Fixtures()
    fixtures.add_dataset(1, source)
    return list(fixtures.datasets[1])


def test_folder_gives_a_row_per_file_with_its_data(tmp_path: Path) -> None:
    for category in ("train", "test"):
        (tmp_path / category).mkdir()
        (tmp_path / category / "a.png").write_bytes(b"a")
        (tmp_path / category / "a.json").write_text('{"label": 3}')
    (tmp_path / "test" / "b.png").write_bytes(b"b")
    (tmp_path / "test" / "c.json").write_text('{"label": 4}')
    (tmp_path / "test" / ".DS_Store").write_bytes(b"")
    (tmp_path / "README.txt").write_text("not a category")
    image = {"file": tmp_path / "test" / "a.png"}
    assert added(tmp_path) == [
        DatasetRow(category="test", data={"label": 3}, files=image),
        DatasetRow(category="test", data={}, files={"file": tmp_path / "test" / "b.png"}),
        DatasetRow(category="test", data={"label": 4}),
        DatasetRow(category="train", data={"label": 3}, files={"file": tmp_path / "train" / "a.png"}),
    ]


def test_csv_gives_a_row_per_line_with_numbers(tmp_path: Path) -> None:
    (tmp_path / "img.png").write_bytes(b"a")
    (tmp_path / "d.csv").write_text("category,file,x,y,name\ntest,img.png,1,2.5,007\n,,-3,1e2,nan\n", "utf-8-sig")
    assert added(tmp_path / "d.csv") == [
        DatasetRow(category="test", data={"x": 1, "y": 2.5, "name": "007"}, files={"file": tmp_path / "img.png"}),
        DatasetRow(category="train", data={"x": -3, "y": 100.0, "name": "nan"}),
    ]


def test_cell_may_name_several_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "d.csv").write_text("files,x\na; b,1\n")
    assert added(tmp_path / "d.csv")[0].files == {"file": tmp_path / "a", "file_2": tmp_path / "b"}


def test_rows_come_from_an_iterable_or_a_function(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    rows = [{"category": "train", "data": [1], "files": {"a": b"x", "b": str(tmp_path / "f")}}]
    expected = [DatasetRow(category="train", data=[1], files={"a": b"x", "b": tmp_path / "f"})]
    assert added(rows) == added(lambda: iter(rows)) == added(iter(rows)) == expected


@pytest.mark.parametrize(
    "rows",
    [
        [],
        {"category": "train"},
        7,
        [7],
        [{}],
        [{"category": ""}],
        [{"category": "a", "files": [1]}],
        [{"category": "a", "files": {"f": 1}}],
        [{"category": "a", "files": {"f": "/no/such/file"}}],
        [{"category": "a", "data": {1, 2}}],
        lambda: None,
    ],
)
def test_rows_that_cannot_be_served_are_refused(rows: Any) -> None:
    with pytest.raises(FixtureInvalid) as refused:
        added(rows)
    (problem,) = refused.value.problems
    assert problem.where.startswith("dataset 1")
    assert all((problem.rule, problem.got, problem.fix))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", b""),
        ("d.csv", b"a,b\n"),
        ("d.csv", b"a,b\n1\n"),
        ("d.csv", b"a,b\n1,2,3\n"),
        ("d.csv", b"file,b\nnot-there.png,2\n"),
        ("d.csv", b"a,b\n\xff\xfe,2\n"),
        ("d.txt", b"text"),
        ("train/a.json", b"{not json"),
        ("loose.png", b"a file outside of any category"),
    ],
)
def test_files_that_cannot_be_served_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    made = tmp_path / "data" / name
    made.parent.mkdir(parents=True)
    made.write_bytes(content)
    with pytest.raises(FixtureInvalid) as refused:
        added(made if name.startswith("d.") else tmp_path / "data")
    assert all((problem.where and problem.rule and problem.got and problem.fix) for problem in refused.value.problems)


@pytest.mark.parametrize("text", ["", "123", "=x", "x=y", "-1=x", "1.5=x", "123=", "123= ", "١=x", f"{10**30}=x"])
def test_text_that_is_no_fixture_is_refused(text: str) -> None:
    with pytest.raises(FixtureInvalid) as refused:
        parse_fixture(text)
    (problem,) = refused.value.problems
    assert all((problem.where, problem.rule, problem.got, problem.fix))
    assert refused.value.exit_code == 2


@given(text=st.text())
@example(text="9" * 5000 + "=x")
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        fixture_id, rest = split_fixture(text)
    except FixtureInvalid:
        return
    assert 0 <= fixture_id < 2**63
    assert rest


def test_fixture_is_an_id_with_a_path(tmp_path: Path) -> None:
    (tmp_path / "a=b").write_text("x")
    assert parse_fixture(f"123={tmp_path / 'a=b'}") == (123, tmp_path / "a=b")


@pytest.mark.parametrize("kind", ["absent", "empty folder", "empty file"])
def test_path_without_content_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "empty file":
        path.touch()
    with pytest.raises(FixtureInvalid, match=str(path)):
        parse_fixture(f"7={path}")
    with pytest.raises(FixtureInvalid, match=str(path)):
        Fixtures().add_checkpoint(7, path)


def test_checkpoint_that_only_claims_to_be_a_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_text("text")
    with pytest.raises(FixtureInvalid, match="zip"):
        Fixtures().add_checkpoint(7, tmp_path / "x.zip")


def test_checkpoint_is_packed_once(tmp_path: Path) -> None:
    (tmp_path / "c" / "deep").mkdir(parents=True)
    (tmp_path / "c" / "deep" / "w.json").write_text(json.dumps([1]))
    fixtures = Fixtures()
    fixtures.add_checkpoint(7, tmp_path / "c")
    packed = fixtures.checkpoint_zip(7, tmp_path / "cache")
    assert zipfile.ZipFile(packed).namelist() == ["deep/w.json"]
    assert fixtures.checkpoint_zip(7, tmp_path / "cache") == packed
    fixtures.add_checkpoint(8, packed)
    assert fixtures.checkpoint_zip(8, tmp_path / "cache") == packed


def test_same_content_makes_the_same_archive(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for member in ("b", "a") if name == "one" else ("a", "b"):
            (tmp_path / name / member).write_text(member)
        write_zip(tmp_path / name, tmp_path / f"{name}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
