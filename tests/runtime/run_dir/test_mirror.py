"""Tests of the mirror: new and changed files arrive in the storage, deleted ones disappear there."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trialrun
from trialrun.recorder import Recorder
from trialrun.run_dir.atomic import replace_file
from trialrun.run_dir.checkpoints import CheckpointRecord, files_of_newest, list_checkpoints, write_checkpoint_record
from trialrun.run_dir.fetch import fetch_run
from trialrun.run_dir.layout import OWNER
from trialrun.run_dir.mirror import Mirror, mirror_folder
from trialrun_hookspecs.errors import RequestInvalid, UsageError

ROWS = [{"category": "train", "data": {"x": [float(x)], "y": 2.0 * x}} for x in range(4)]


def job(**config: Any) -> dict[str, Any]:
    space = [
        {"name": "epochs", "type": "choice", "options": [2]},
        {"name": "learning_rate", "type": "grid_search", "options": [0.1, 0.2]},
    ]
    params = {"name": "stored", "dataset": 1, "is_tune": True, "hyperparameters": space}
    return {"action": "train", "params": {**params, "tune_config": {"metric": "loss", "mode": "min", **config}}}


def run(folder: Path, given: dict[str, Any], **options: Any) -> Any:
    return trialrun.run(given, plugin="pure", datasets={1: ROWS}, executor="inline", results=folder / "here", **options)


def names(folder: Path) -> set[str]:
    """Return the names of the files in it, without locks and owner."""
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return there - {"lock", "sent/lock", OWNER}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "study-1" / "trials").mkdir(parents=True)
    (tmp_path / "study-1" / "run.json").write_text("{}")
    return tmp_path / "study-1"


def shown(recording: Path) -> Any:
    """Return the jobs, events and models of a recording."""
    with Recorder.open(recording) as recorder:
        models = [{**model, "path": None} for model in recorder.models()]
        return recorder.jobs(), recorder.events(), models


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_study_is_there_twice(tmp_path: Path, form: str) -> None:
    result = run(tmp_path, job(storage_path=form.format(tmp_path / "there"), loggers="csv"))
    here, there = Path(result.results_dir), tmp_path / "there" / "stored-1"
    assert names(there) == names(here)
    assert not (there / "lock").exists()
    assert {"result.json", "recorder.sqlite"} <= names(there)
    assert [name for name in names(there) if name.endswith("progress.csv")]
    for name in names(there) - {"recorder.sqlite"}:
        assert (there / name).read_bytes() == (here / name).read_bytes()
    assert shown(there / "recorder.sqlite") == shown(here / "recorder.sqlite")


def test_what_fsspec_knows_will_do(tmp_path: Path) -> None:
    import fsspec

    run(tmp_path, job(), storage="memory://bucket/studies")
    assert fsspec.filesystem("memory").exists("/bucket/studies/stored-1/result.json")


def test_each_turn_copies_what_changed_alone(folder: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "there"), folder, where="--storage")
    mirror.open(again=False)
    assert mirror.sync() == 1
    assert mirror.sync() == 0
    (folder / "trials" / "a").write_text("1")
    (folder / "result.json").write_text("not yet: it says that all is there")
    assert mirror.sync() == 1
    (folder / "trials" / "a").unlink()
    (folder / "run.json").write_text("{ }")
    assert mirror.sync() == 1
    assert names(tmp_path / "there" / "study-1") == {"run.json"}
    mirror.sync(whole=True)
    assert names(tmp_path / "there" / "study-1") == {"run.json", "result.json"}


def test_a_file_that_is_being_written_is_not_copied(folder: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "there"), folder, where="--storage")
    mirror.open(again=False)
    with replace_file(folder / "whole") as partial:
        partial.write_text("half")
        assert mirror.sync() == 1  # run.json
    assert mirror.sync() == 1
    assert names(tmp_path / "there" / "study-1") == {"run.json", "whole"}


def test_what_lies_there_from_before_is_not_copied_again(folder: Path, tmp_path: Path) -> None:
    for name in ("same", "changed", "gone"):
        (folder / name).write_text("1")
    first, second = (Mirror(str(tmp_path / "there"), folder, where="--storage") for _ in range(2))
    first.open(again=False)
    first.sync()
    (folder / "changed").write_text("22")
    (folder / "gone").unlink()
    second.open(again=True)
    assert second.sync() == 1
    assert names(tmp_path / "there" / "study-1") == {"run.json", "same", "changed"}


def test_a_recording_that_is_being_written_is_copied_as_it_is_then(folder: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "there"), folder, where="--storage")
    mirror.open(again=False)
    with Recorder(folder / "recorder.sqlite") as recorder:
        for name in ("one", "two"):
            recorder.create_job(name, {})
            mirror.sync()
            copy = shown(tmp_path / "there" / "study-1" / "recorder.sqlite")
            assert [job["name"] for job in copy[0]][-1] == name
        assert (folder / "recorder.sqlite-wal").stat().st_size > 0
    assert not (folder / "recorder.sqlite-wal").exists()


def test_a_recording_that_did_not_change_is_not_copied(folder: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(tmp_path / "there"), folder, where="--storage")
    mirror.open(again=False)
    with Recorder(folder / "recorder.sqlite") as recorder:
        recorder.create_job("one", {})
        for name in ("recorder.sqlite", "recorder.sqlite-wal"):  # a second ago it may have changed within a tick
            os.utime(folder / name, (1, 1))
        assert [mirror.sync(), mirror.sync()] == [2, 0]
        recorder.create_job("two", {})
        assert mirror.sync() == 1


@pytest.mark.parametrize("inside", ["", "copies"])
def test_the_results_are_not_copied_onto_themselves(folder: Path, inside: str) -> None:
    url = str(folder / inside if inside else folder.parent)
    with (
        pytest.raises(UsageError, match="must be outside the results folder"),
        mirror_folder(url, folder, period_s=60, where="--storage", again=True),
    ):
        pass


class Run:
    """A run's writes to its folder: each step spools an event, records and notes it, and writes a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.step = 0
        (folder / "sent").mkdir()
        (folder / "spool").mkdir()
        (folder / "trials" / "t").mkdir()
        self.database = sqlite3.connect(folder / "recorder.sqlite")
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("CREATE TABLE entries (number INTEGER)")
        self.database.commit()

    def goes_on(self) -> None:
        self._line("spool/t.0.jsonl")
        self.database.execute("INSERT INTO entries VALUES (?)", (self.step,))
        self.database.commit()
        self._line("sent/recorder.jsonl")
        trial = self.folder / "trials" / "t"
        checkpoint = trial / f"checkpoint_{self.step}"
        checkpoint.mkdir()
        for part in ("a", "b"):
            (checkpoint / part).write_text(str(self.step))
        write_checkpoint_record(trial, mark(checkpoint, self.step))
        shutil.rmtree(trial / f"checkpoint_{self.step - 1}", ignore_errors=True)
        self.step += 1

    def _line(self, name: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{self.step}\n")


def mark(checkpoint: Path, step: int) -> CheckpointRecord:
    return CheckpointRecord(path=str(checkpoint), iteration=step, attempt=0, number=step, metrics={}, report={})


class Busy(Mirror):
    """A mirror whose run continues before some files are sent, and that dies before one of them."""

    def __init__(self, url: str, run: Run, steps: Iterator[int], die_at: int) -> None:
        super().__init__(url, run.folder, where="--storage", needed=lambda sizes: files_of_newest(run.folder, sizes))
        self.steps = steps
        self._run, self._left = run, die_at

    def _send_file(self, name: str, source: BinaryIO) -> int:
        for _ in range(next(self.steps, 0)):
            self._run.goes_on()
        self._left -= 1
        if self._left < 0:
            raise OSError("it died")
        return super()._send_file(name, source)


def lines(path: Path) -> set[int]:
    return {int(line) for line in path.read_text().splitlines()} if path.exists() else set()


@given(steps=st.lists(st.integers(0, 2), max_size=40), die_at=st.integers(0, 40))
def test_whenever_a_copy_is_cut_off_it_holds_all_that_it_says(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], die_at: int
) -> None:
    root = tmp_path_factory.mktemp("cut")
    (root / "study-1" / "trials").mkdir(parents=True)
    run, there = Run(root / "study-1"), root / "there" / "study-1"
    mirror = Busy(str(root / "there"), run, iter(steps), die_at)
    mirror.open(again=False)
    newest = -1
    with contextlib.closing(run.database), contextlib.suppress(OSError):
        for _ in range(4):
            run.goes_on()
            try:
                mirror.sync()
            finally:
                newest = holds_what_it_says(there, newest)
        mirror.steps = iter([])
        mirror.sync()
        assert holds_what_it_says(there, newest) == run.step - 1


def holds_what_it_says(there: Path, before: int) -> int:
    """Return the step of the newest checkpoint that a copy can be resumed from."""
    recorded = set()
    if (there / "recorder.sqlite").exists():
        with contextlib.closing(sqlite3.connect(there / "recorder.sqlite")) as database:
            recorded = {number for (number,) in database.execute("SELECT number FROM entries")}
    spooled = lines(there / "spool" / "t.0.jsonl")
    assert lines(there / "sent" / "recorder.jsonl") <= recorded <= spooled
    said = list_checkpoints(there / "trials" / "t") if (there / "trials" / "t").exists() else []
    newest = said[-1].iteration if said else -1
    assert newest >= before, "the checkpoint to resume from is gone"
    for found in said:
        assert all((Path(found.path) / part).read_text() == str(found.iteration) for part in ("a", "b"))
        assert found.number in spooled
    return newest


def test_it_is_copied_while_the_run_goes_on(folder: Path, tmp_path: Path) -> None:
    end = time.monotonic() + 30
    with mirror_folder(str(tmp_path / "there"), folder, period_s=0.01, where="--storage"):
        while not (tmp_path / "there" / "study-1" / "run.json").exists():
            assert time.monotonic() < end
            time.sleep(0.01)


def test_another_runs_folder_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    for again in (False, True):
        with mirror_folder(str(tmp_path / "there"), folder, period_s=60, where="--storage", again=again):
            pass
    with (
        pytest.raises(UsageError, match="holds another run"),
        mirror_folder(str(tmp_path / "there"), folder, period_s=60, where="--storage"),
    ):
        pass


def test_a_last_copy_that_fails_is_told(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with mirror_folder(str(tmp_path / "there"), folder, period_s=60, where="--storage", warn=said.append):
        shutil.rmtree(tmp_path / "there" / "study-1")
        (tmp_path / "there" / "study-1").write_text("in the way")
    (text,) = said
    assert str(folder) in text


def test_a_run_that_another_has_gone_on_from_copies_no_more(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with mirror_folder(str(tmp_path / "there"), folder, period_s=60, where="--storage", warn=said.append):
        other = Mirror(str(tmp_path / "there"), folder, where="resume")
        other.open(again=True)
        (folder / "run.json").write_text("mine")
    (text,) = said
    assert "another run has resumed from the copy" in text
    assert names(tmp_path / "there" / "study-1") == set()
    assert other.sync() == 1


def test_a_folder_that_another_machine_has_gone_on_from_is_not_copied_over_it(folder: Path, tmp_path: Path) -> None:
    there = str(tmp_path / "there")
    for again in (False, True):
        with mirror_folder(there, folder, period_s=60, where="--storage", again=again):
            pass
    brought = fetch_run(f"{there}/study-1", tmp_path / "elsewhere")
    with mirror_folder(there, brought, period_s=60, where="--storage", again=True):
        (brought / "run.json").write_text("newer")
    with (
        pytest.raises(
            UsageError, match=r"another run has resumed from the copy.*trialrun resume '\S*/there/study-1' --results"
        ),
        mirror_folder(there, folder, period_s=60, where="--storage", again=True),
    ):
        pass
    assert (tmp_path / "there" / "study-1" / "run.json").read_text() == "newer"
    with mirror_folder(there, brought, period_s=60, where="--storage", again=True):
        pass
    shutil.rmtree(tmp_path / "there")
    with mirror_folder(there, folder, period_s=60, where="--storage", again=True):  # nothing there to be lost
        pass


@pytest.mark.parametrize("url", ["nowhere://x/y", "/proc/nothing/there"])
def test_storage_that_cannot_be_reached_is_told_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="storage cannot be reached"):
        run(tmp_path, job(storage_path=url))


def test_no_credential_gets_into_a_record(tmp_path: Path) -> None:
    url = "s3://key:hunter2@bucket/x"
    with pytest.raises(RequestInvalid, match="credentials go into the environment") as refused:
        run(tmp_path, job(storage_path=url))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(UsageError, match="credentials go into the environment") as refused_too:
        run(tmp_path, job(), storage=url)
    assert "hunter2" not in str(refused_too.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_study_arrives_in_s3(s3: Any, tmp_path: Path) -> None:
    url, contents = s3
    result = run(tmp_path, job(storage_path=url, loggers="json", sync_period_s=0.1))
    here = Path(result.results_dir)
    there = {key: body for key, body in contents().items() if not key.endswith("/")}
    assert result.warnings == []
    assert there.keys() == {f"mine/stored-1/{name}" for name in names(here) | {OWNER}}
    for name in names(here) - {"recorder.sqlite"}:
        assert there[f"mine/stored-1/{name}"] == (here / name).read_bytes()
    assert [key for key in there if key.endswith("/artifact/model.json")]
    with pytest.raises(UsageError, match="storage cannot be reached"):
        run(tmp_path, job(storage_path=url.replace("studies", "no-such-bucket")))
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "testing"
