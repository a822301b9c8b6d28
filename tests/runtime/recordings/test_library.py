"""Tests of `trialrun.recordings.library`."""

from __future__ import annotations

from pathlib import Path

import requests

from trialrun.recorder import Recorder
from trialrun.recordings.jobs import load_job_list
from trialrun.recordings.library import Library
from trialrun.web.server import LoopbackServer


def recorded(folder: Path, name: str) -> Path:
    with Recorder(folder / "recorder.sqlite") as recorder:
        recorder.create_job(name, {"params": {}})
    return folder / "recorder.sqlite"


def names(library: Library) -> set[str]:
    return {job["name"] for _, _, jobs in library.describe_recordings(load_job_list) for job in jobs}


def test_a_folder_of_results_is_one_library(tmp_path: Path) -> None:
    for name in ("one", "two"):
        recorded(tmp_path / name, name)
    library = Library(tmp_path)
    assert names(library) == {"one", "two"}
    recorded(tmp_path / "three", "three")
    assert names(library) == {"one", "two", "three"}
    library.close()


def test_a_recording_has_the_same_key_from_its_folder_as_before(tmp_path: Path) -> None:
    path = recorded(tmp_path / "one", "one")
    (key,) = Library(tmp_path).find_recordings()
    assert (key,) == tuple(Library(tmp_path).find_recordings())
    library = Library(path)
    assert len(library.find_recordings()) == 1
    library.close()


def test_what_is_no_recording_is_left_out(tmp_path: Path) -> None:
    recorded(tmp_path / "one", "one")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "recorder.sqlite").write_bytes(b"no database")
    library = Library(tmp_path)
    assert names(library) == {"one"}
    library.close()


def test_a_changed_recording_is_listed_anew(tmp_path: Path) -> None:
    path = recorded(tmp_path / "one", "one")
    library = Library(tmp_path)
    assert names(library) == {"one"}
    with Recorder(path) as recorder:
        recorder.create_job("later", {"params": {}})
        assert names(library) == {"one", "later"}
    library.close()


def test_a_key_that_is_none_opens_nothing(tmp_path: Path) -> None:
    assert Library(tmp_path).open_recording("00000000") is None


def test_a_recording_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = recorded(tmp_path / "one", "one")
    with LoopbackServer(Library(tmp_path), token=None) as server:
        known = {"Authorization": f"Token {server.token}"}
        (key,) = Library(tmp_path).find_recordings()
        path.write_bytes(b"damaged")
        for address in (f"api/{key}/jobs/1", f"api/{key}/jobs/1/stream"):
            answer = requests.get(f"{server.url}ui/{address}", headers=known)
            assert (answer.status_code, "cannot be read" in answer.text) == (503, True)
