"""Tests of fetching: a run's folder comes back from storage complete, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.run_dir.fetch import fetch_run
from trialrun.run_dir.mirror import Mirror
from trialrun.run_dir.storage import parent_url
from trialrun_hookspecs.errors import UsageError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "storage" / "study-1"
    (folder / "trials" / "a").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "trials" / "a" / "state").write_bytes(b"\0" * 3_000_000)
    return folder


@pytest.fixture
def memory() -> Iterator[Any]:
    import fsspec

    files = fsspec.filesystem("memory")
    before = set(files.store)
    yield files
    for name in set(files.store) - before:
        del files.store[name]


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_it_comes_back_as_it_was(copy: Path, tmp_path: Path, form: str) -> None:
    folder = fetch_run(form.format(copy), tmp_path / "here")
    assert folder == tmp_path / "here" / "study-1"
    assert (folder / "trials" / "a" / "state").read_bytes() == (copy / "trials" / "a" / "state").read_bytes()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["study-1"]


def test_what_was_fetched_is_not_copied_there_again(copy: Path, tmp_path: Path) -> None:
    mirror = Mirror(parent_url(f"file://{copy}"), fetch_run(f"file://{copy}", tmp_path / "here"), where="--storage")
    mirror.open(again=True)
    assert mirror.sync() == 0


def test_what_fsspec_knows_will_do(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/bucket/studies/study-1/run.json", b"{}")
    memory.pipe("/bucket/studies/study-1/trials/a", b"1")
    folder = fetch_run("memory://bucket/studies/study-1", tmp_path)
    assert (folder / "trials" / "a").read_bytes() == b"1"


def test_a_name_that_leads_out_of_the_folder_is_refused(memory: Any, tmp_path: Path) -> None:
    memory.pipe("/bucket/study-1/run.json", b"{}")
    memory.store["/bucket/study-1/../../evil"] = memory.store["/bucket/study-1/run.json"]
    with pytest.raises(UsageError, match="must stay inside the run's folder"):
        fetch_run("memory://bucket/study-1", tmp_path / "root" / "here")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_is_there_stays_as_it_is(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "here" / "study-1").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"exists already, got .*/here/study-1\. Resume that one: trialrun resume"):
        fetch_run(str(copy), tmp_path / "here")
    assert list((tmp_path / "here" / "study-1").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("nowhere://x/y", "storage cannot be reached"),
        ("{}/storage", "must be the results folder of a run"),
        ("file://{}/storage/study-2", "must be the results folder of a run"),
        ("s3://key:secret@bucket/study-1", "credentials go into the environment"),
    ],
)
def test_where_there_is_no_run_nothing_is_fetched(copy: Path, tmp_path: Path, url: str, rule: str) -> None:
    with pytest.raises(UsageError, match=rule) as refused:
        fetch_run(url.format(tmp_path), tmp_path / "here")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "here").exists()


def test_a_fetch_that_fails_leaves_nothing(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file, and no folder")
    with pytest.raises(UsageError, match="could not be fetched"):
        fetch_run(str(copy), tmp_path / "here")


@pytest.mark.parametrize(
    ("url", "holder"),
    [
        ("s3://bucket/studies/a-1?region=x", "s3://bucket/studies?region=x"),
        ("s3://bucket/a-1/", "s3://bucket"),
        ("file:///data/a-1", "file:///data"),
        ("memory://bucket/a-1", "memory://bucket"),
        ("/data/studies/a-1/", "/data/studies"),
    ],
)
def test_the_url_above_is_that_of_the_folder_that_holds_it(url: str, holder: str) -> None:
    assert parent_url(url) == holder
