"""The job as it is handed over: a file of JSON or YAML, or a dict, made into a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from trialrun.plain_yaml import YAMLError, parse_plain_yaml
from trialrun_hookspecs.errors import JobUnreadable
from trialrun_hookspecs.parsing import parse_request
from trialrun_hookspecs.request import Request

__all__ = ["JOB_FILE_LIMIT", "read_job", "to_request"]

JOB_FILE_LIMIT = 5_000_000
"""The most bytes that a job file may have."""

_SYNTAX_FIX = "Mend it at that place."


def to_request(job: str | Path | Mapping[str, Any] | Request) -> Request:
    """The validated job. Raises JobUnreadable or RequestInvalid."""
    if isinstance(job, Request):
        return job
    return parse_request(job if isinstance(job, Mapping) else read_job(Path(job)))


def read_job(path: Path) -> Any:
    """What a job file holds, not yet validated; JSON by content, else YAML. Raises JobUnreadable."""
    where = str(path)
    content = _read_content(path, where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fix = "A job is a text file of JSON or YAML in UTF-8."
        raise JobUnreadable("is no text", where=where, got=f"byte {error.start}: {error.reason}", fix=fix) from None
    if not text.strip():
        fix = 'Start with {"action": "train", "params": {…}}.'
        raise JobUnreadable("is empty", where=where, got=f"{len(content)} bytes", fix=fix)
    try:
        return _parse_text(text, where)
    except RecursionError:
        fix = "A job has a few levels."
        raise JobUnreadable("is nested too deeply", where=where, got=f"{len(content)} bytes", fix=fix) from None


def _read_content(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(JOB_FILE_LIMIT + 1)  # not its size: a pipe has none
    except FileNotFoundError:
        raise JobUnreadable("there is no such file", where=where, fix="Check the path of the job.") from None
    except IsADirectoryError:
        raise JobUnreadable("must be a file", where=where, got="a folder", fix="Name the job file in it.") from None
    except (OSError, ValueError) as error:
        fix = "A job is a file that you may read."
        raise JobUnreadable("cannot be read", where=where, got=str(error), fix=fix) from None
    if len(content) > JOB_FILE_LIMIT:
        raise JobUnreadable(
            f"must have at most {JOB_FILE_LIMIT:,} bytes", where=where, got="more", fix="Is this a job?"
        )
    return content


def _parse_text(text: str, where: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=lambda pairs: _build_unique_dict(pairs, where),
            parse_constant=lambda word: _refuse_nonfinite(word, where),
            parse_int=lambda digits: _parse_integer(digits, where),
        )
    except json.JSONDecodeError as error:
        if text.lstrip().startswith(("{", "[")) and Path(where).suffix not in (".yaml", ".yml"):
            place = f"{where}:{error.lineno}:{error.colno}"
            raise JobUnreadable("is no JSON", where=place, got=error.msg, fix=_SYNTAX_FIX) from None
    try:
        return parse_plain_yaml(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        got = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise JobUnreadable("is neither JSON nor YAML", where=place, got=got, fix=_SYNTAX_FIX) from None


def _build_unique_dict(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """A key that stands twice would lose its first value in silence."""
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            rule = "a key must stand once in an object"
            raise JobUnreadable(rule, where=where, got=f"{key!r} twice", fix="Remove one of them.")
        made[key] = value
    return made


def _refuse_nonfinite(word: str, where: str) -> NoReturn:
    raise JobUnreadable("numbers must be finite", where=where, got=word, fix="JSON has no NaN and no infinity.")


def _parse_integer(digits: str, where: str) -> int:
    try:
        return int(digits)
    except ValueError:  # thousands of digits
        got = f"{len(digits)} digits"
        raise JobUnreadable("a number is too large", where=where, got=got, fix="Use a smaller number.") from None
