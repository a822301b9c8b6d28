"""Errors become lines and exit codes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from trialrun.cli import failures
from trialrun_hookspecs import errors
from trialrun_hookspecs.errors import AllTrialsFailed, JobFailed, Problem, RequestInvalid, TrialrunError, UsageError

TWO = [Problem(where="params.a", rule="must be b", got="c", fix="Do d."), Problem(where="e", rule="f\ng")]


def _subclasses(kind: type[TrialrunError]) -> list[type[TrialrunError]]:
    return [kind, *(below for direct in kind.__subclasses__() for below in _subclasses(direct))]


@pytest.mark.parametrize("kind", [kind for kind in _subclasses(TrialrunError) if kind.__module__ == errors.__name__])
def test_every_error_has_its_exit_code(kind: type[TrialrunError], capsys: pytest.CaptureFixture[str]) -> None:
    code = failures.report_error(kind("no", where="here"))
    interrupted = issubclass(kind, errors.JobInterrupted)
    assert code == (2 if issubclass(kind, UsageError) else 130 if interrupted else 1)
    assert capsys.readouterr().err == "error: here: no\n"


def test_every_problem_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report_error(RequestInvalid(problems=TWO)) == 2
    assert capsys.readouterr() == ("", "error: params.a: must be b, got c. Do d.\nerror: e: f | g\n")


def test_all_problems_of_a_call_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    failures.report_error(RequestInvalid(problems=[Problem(where=str(n), rule="no") for n in range(100)]))
    assert len(capsys.readouterr().err.splitlines()) == 100


def test_a_study_that_failed_a_thousand_times_does_not_flood(capsys: pytest.CaptureFixture[str]) -> None:
    failures.report_error(AllTrialsFailed(problems=[Problem(where=str(n), rule="no") for n in range(1001)]))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 22
    assert lines[-1] == "error: … and 980 more"


def test_a_job_that_failed_says_where_its_results_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failures.set_results_dir(tmp_path)
    failures.report_error(JobFailed("no"))
    assert capsys.readouterr().err.splitlines()[-1] == f"results so far: {tmp_path}"
    failures.report_error(JobFailed("no"))
    assert str(tmp_path) not in capsys.readouterr().err, "it belongs to the job before"


def test_an_interrupted_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report_error(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_of_ours_is_called_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failures.set_results_dir(tmp_path)
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError("ours")
    assert failures.report_error(caught.value) == 3
    kept = tmp_path / "traceback.txt"
    assert capsys.readouterr().err.splitlines() == [
        "error: ZeroDivisionError: ours",
        f"This is a bug in trialrun; please report it with the traceback in {kept}",
    ]
    assert "test_failures.py" in kept.read_text("utf-8")


def test_a_bug_before_there_are_results_is_kept_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report_error(ZeroDivisionError("early")) == 3
    kept = Path(capsys.readouterr().err.split()[-1])
    assert "ZeroDivisionError: early" in kept.read_text("utf-8")
    kept.unlink()


def test_a_full_disk_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert failures.report_error(OSError(errno.ENOSPC, "No space left on device", "job.json")) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: job.json: No space left on device.")
    assert "bug" not in message
    Path(message.split()[-1]).unlink()
