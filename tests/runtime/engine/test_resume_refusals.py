"""A run resumes from its folder after a move, and from a copy in storage."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.engine.flush import flush
from trialrun.executors.trial import find_artifact
from trialrun.run_dir.journal import read_journal
from trialrun.run_dir.lock import run_lock
from trialrun.run_dir.record import read_record
from trialrun_hookspecs import UsageError

from .test_resume import GRID, PLUGIN, ROWS, choice, content, in_a_process, recorded, training, tuning, undisturbed


def paused(*args: Any, **config: Any) -> dict[str, Any]:
    job = tuning(*args, **{"sync_period_s": 0.05, "x": GRID, "num_samples": 1, **config})
    job["params"]["hyperparameters"].append(choice("pause", 0.2))
    return job


@contextmanager
def dies_when_copied(flag: Path, journal: Callable[[], str]) -> Iterator[None]:
    """Let the run go on until the copy of its journal has the first trial's model; only then does it die."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            if '"model"' in journal():
                flag.touch()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CUT_OFF_WAITS_FOR", str(flag))
            yield
    finally:
        over.set()
        thread.join()


def begun(folder: Path) -> list[str]:
    with recorded(folder) as recorder:
        return [m["content"] for m in recorder.messages() if m["content"].startswith("begins at")]


def models(folder: Path) -> list[int]:
    with recorded(folder) as recorder:
        return [model["id"] for model in recorder.models()]


def check_flush(copy: Path) -> None:
    """All that was reported before the copy is in its recording after a flush, each entry once."""
    assert flush(copy).left == 0
    assert flush(copy).sent == 0
    spools = [path.read_text().splitlines() for path in copy.glob("spool/*.jsonl")]
    spooled = [json.loads(line) for lines in spools for line in lines if line.endswith("}")]
    with recorded(copy) as recorder:
        keys = Counter(event["key"] for event in recorder.events("metric"))
    assert keys == Counter(event["key"] for event in spooled if event["kind"] == "metric")
    assert keys


def goes_on(copy: Path, url: str, into: Path, *, reference: Path) -> Path:
    """Resume the copy of a study that died in its second trial, and look at what came of it."""
    assert not trialrun.load(copy).metrics.empty, "the copied recording is one"
    (copy / "lock").write_text("1\n")  # of the machine that is gone
    check_flush(shutil.copytree(copy, into / "flushed"))
    past, kept = read_journal(copy), models(copy)
    assert len(past.outcomes) == len(kept) == 1, "its first trial is over"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUT_OFF_NO_MORE", "1")
        result = trialrun.resume(url, into=into)
    folder = Path(result.results_dir)
    assert folder == into / "cut-1"
    assert len(result.trial_models) == 3
    assert content(folder) == undisturbed(reference, x=GRID, num_samples=1)
    assert models(folder)[:1] == kept
    assert sum(text == "begins at step 0" for text in begun(folder)) == 3
    return folder


def test_a_study_whose_machine_is_gone_goes_on_from_its_copy(tmp_path: Path) -> None:
    storage = f"file://{tmp_path / 'storage'}"
    copy = tmp_path / "storage" / "cut-1"
    journal = copy / "study.jsonl"
    with dies_when_copied(tmp_path / "copied", lambda: journal.read_text() if journal.exists() else ""):
        done = in_a_process(tmp_path, paused("driver 1 5"), "--executor", "inline", "--storage", storage)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.rmtree(tmp_path / "results")
    folder = goes_on(copy, f"{storage}/cut-1", tmp_path / "other", reference=tmp_path / "reference")
    assert content(copy) == content(folder), "it is copied there again"
    assert (copy / "result.json").exists()
    assert read_record(folder).run_config.storage == storage


def test_a_study_goes_on_from_its_copy_in_s3(s3: Any, tmp_path: Path) -> None:
    url, contents = s3
    journal = "mine/cut-1/study.jsonl"
    with dies_when_copied(tmp_path / "copied", lambda: contents(journal).get(journal, b"").decode()):
        done = in_a_process(tmp_path, paused("driver 1 5"), "--executor", "inline", "--storage", url)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.rmtree(tmp_path / "results")
    copy = tmp_path / "copy"
    for name, body in contents().items():
        if not name.endswith("/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(body)
    where = url.replace("/mine?", "/mine/cut-1?")
    goes_on(copy / "mine" / "cut-1", where, tmp_path / "other", reference=tmp_path / "reference")
    assert "mine/cut-1/result.json" in contents()


def test_a_study_goes_on_where_it_was_moved_to(tmp_path: Path) -> None:
    in_a_process(tmp_path, tuning("driver 1 5"), "--executor", "inline")
    folder = (tmp_path / "results" / "cut-1").rename(tmp_path / "renamed")
    result = trialrun.resume(folder)
    assert begun(folder) == ["begins at step 0", "begins at step 0", "begins at step 4", "begins at step 0"]
    assert content(folder) == undisturbed(tmp_path / "other")
    elsewhere = folder.rename(tmp_path / "again")
    again = trialrun.resume(elsewhere)
    assert again.results_dir == str(elsewhere)
    assert again.best_trial is not None
    assert Path(again.best_trial.trial_logdir).is_relative_to(elsewhere)
    assert again.model_id == result.model_id


def test_training_goes_on_where_it_was_moved_to(tmp_path: Path) -> None:
    in_a_process(tmp_path, training("driver 0 3"))
    folder = (tmp_path / "results" / "cut-1").rename(tmp_path / "renamed")
    trialrun.resume(folder)
    assert begun(folder) == ["begins at step 0", "begins at step 2"]


def test_models_that_were_not_sent_are_found_where_the_run_was_moved_to(tmp_path: Path) -> None:
    first = trialrun.run(tuning(), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=tmp_path)
    folder = Path(first.results_dir).rename(tmp_path / "renamed")
    for trial in (folder / "trials").iterdir():
        assert find_artifact(trial) == str(trial / "state" / "model")
    (folder / "result.json").unlink()
    journal = folder / "study.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line)["what"] not in ("model", "over")))
    again = trialrun.resume(folder, datasets={1: ROWS})
    assert len(again.trial_models) == 3
    assert [failure.error for failure in again.failures] == []


def test_a_trial_that_a_copied_journal_does_not_tell_of_goes_on(tmp_path: Path) -> None:
    in_a_process(tmp_path, tuning("driver 1 5"), "--executor", "inline")
    folder = tmp_path / "results" / "cut-1"
    journal = folder / "study.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line).get("trial_id", "")[-1:] != "1"))
    assert len(read_journal(folder).configs) == 1
    trialrun.resume(folder)
    assert content(folder) == undisturbed(tmp_path / "other")
    assert begun(folder)[2] == "begins at step 4"


def test_a_run_that_is_under_way_is_no_copy(tmp_path: Path) -> None:
    first = trialrun.run(tuning(), plugin=PLUGIN, datasets={1: ROWS}, executor="inline", results=tmp_path)
    with run_lock(Path(first.results_dir)), pytest.raises(UsageError, match="is in use by a run"):
        trialrun.resume(first.results_dir, into=tmp_path / "other")


def test_what_is_not_where_it_was_must_be_given_again(tmp_path: Path) -> None:
    job = tuning("driver 0 3")
    plugin, rows = tmp_path / "cut_off.py", tmp_path / "line.csv"
    shutil.copy(PLUGIN, plugin)
    in_a_process(tmp_path, job, "--executor", "inline", "--plugin", str(plugin))
    plugin.unlink()
    rows.unlink()
    folder = tmp_path / "results" / "cut-1"
    with pytest.raises(UsageError) as refused:
        trialrun.resume(folder)
    told = [(problem.rule, problem.got, problem.fix) for problem in refused.value.problems]
    assert told == [
        ("the plugin is not where it was", str(plugin), f"Give it again: trialrun resume {folder} --plugin"),
        ("the dataset 1=… is not where it was", str(rows), f"Give it again: trialrun resume {folder} --dataset 1=…"),
    ]
    assert trialrun.resume(folder, plugin=PLUGIN, datasets={1: ROWS}).status == "SUCCEEDED"
