"""Errors as lines on stderr and an exit code, without a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import traceback
from pathlib import Path

import click

from trialrun.cli.text import clean
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import JobFailed, TrialrunError, UsageError

__all__ = ["BUG", "INTERRUPTED", "report_error", "set_results_dir"]

BUG = 3
INTERRUPTED = 130

_MAX_LINES = 20  # for a failed job: a large study may have a thousand failures

_SYSTEM_ERRNOS = frozenset({errno.EACCES, errno.EDQUOT, errno.EMFILE, errno.ENOSPC, errno.EPERM, errno.EROFS})

_current_results: list[Path] = []


def set_results_dir(results: Path | None) -> None:
    """Set the results folder that error messages name; None: there is none yet."""
    _current_results[:] = [results] if results is not None else []


def report_error(error: BaseException) -> int:
    """Print one line per problem and return the exit code."""
    results, _current_results[:] = list(_current_results), []
    if isinstance(error, KeyboardInterrupt):
        _print_line("interrupted")
        return INTERRUPTED
    if isinstance(error, TrialrunError):
        _print_problems(error)
        if results and not isinstance(error, UsageError):
            _print_line(f"results so far: {results[0]}")
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _SYSTEM_ERRNOS:
        return _report_os_error(error, results)
    return _report_bug(error, results)


def _report_os_error(error: OSError, results: list[Path]) -> int:
    """Print an error of the machine, such as a full disk or a missing permission: it is not a bug."""
    place = f"{error.filename}: " if error.filename else ""
    _print_line(
        f"error: {place}{error.strerror}. The traceback is in {_save_traceback(_format_traceback(error), results)}"
    )
    return TrialrunError.exit_code


def _print_problems(error: TrialrunError) -> None:
    problems = list(error.problems)
    shown = problems[: _MAX_LINES + 1] if isinstance(error, JobFailed) else problems
    for problem in shown:
        _print_line(f"error: {problem}")
    if len(problems) > len(shown):
        _print_line(f"error: … and {len(problems) - len(shown)} more")


def _report_bug(error: BaseException, results: list[Path]) -> int:
    path = _save_traceback(_format_traceback(error), results)
    _print_line(f"error: {type(error).__name__}: {error}")
    _print_line(f"This is a bug in trialrun; please report it with the traceback in {path}")
    return BUG


def _format_traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _save_traceback(text: str, results: list[Path]) -> Path:
    if results:
        with contextlib.suppress(OSError):  # such as a full disk
            path = results[0] / layout.TRACEBACK
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            return path
    handle, name = tempfile.mkstemp(prefix="trialrun-traceback-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _print_line(line: str) -> None:
    click.echo(clean(line), err=True)
