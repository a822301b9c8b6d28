"""Read a job from a file of JSON or YAML, or from a dict, into a request."""

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
"""The maximal size of a job file, in bytes."""

_SYNTAX_FIX = "Correct the file at that place."


def to_request(job: str | Path | Mapping[str, Any] | Request) -> Request:
    """Return the validated job. Raises JobUnreadable or RequestInvalid."""
    if isinstance(job, Request):
        return job
    return parse_request(job if isinstance(job, Mapping) else read_job(Path(job)))


def read_job(path: Path) -> Any:
    """Return the content of a job file, JSON or else YAML, before validation. Raises JobUnreadable."""
    where = str(path)
    content = _read_content(path, where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fix = "A job is a text file of JSON or YAML in UTF-8."
        raise JobUnreadable("is not text", where=where, got=f"byte {error.start}: {error.reason}", fix=fix) from None
    if not text.strip():
        fix = 'Start with {"action": "train", "params": {…}}.'
        raise JobUnreadable("is empty", where=where, got=f"{len(content)} bytes", fix=fix)
    try:
        return _parse_text(text, where)
    except RecursionError:
        fix = "Use fewer levels."
        raise JobUnreadable("is nested too deeply", where=where, got=f"{len(content)} bytes", fix=fix) from None


def _read_content(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(JOB_FILE_LIMIT + 1)  # not by its size: a pipe has none
    except FileNotFoundError:
        raise JobUnreadable("there is no such file", where=where, fix="Check the path of the job.") from None
    except IsADirectoryError:
        raise JobUnreadable("must be a file", where=where, got="a folder", fix="Name the job file in it.") from None
    except (OSError, ValueError) as error:
        fix = "Check the path and the file's permissions."
        raise JobUnreadable("cannot be read", where=where, got=str(error), fix=fix) from None
    if len(content) > JOB_FILE_LIMIT:
        raise JobUnreadable(
            f"must have at most {JOB_FILE_LIMIT:,} bytes", where=where, got="more", fix="Check that it is a job file."
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
            raise JobUnreadable("is not JSON", where=place, got=error.msg, fix=_SYNTAX_FIX) from None
    try:
        return parse_plain_yaml(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        got = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise JobUnreadable("is neither JSON nor YAML", where=place, got=got, fix=_SYNTAX_FIX) from None


def _build_unique_dict(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Return the object, after refusing a repeated key, whose first value would be lost silently."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            rule = "a key must occur once in an object"
            raise JobUnreadable(rule, where=where, got=f"{key!r} twice", fix="Remove one of them.")
        values[key] = value
    return values


def _refuse_nonfinite(word: str, where: str) -> NoReturn:
    raise JobUnreadable("numbers must be finite", where=where, got=word, fix="JSON has no NaN and no infinity.")


def _parse_integer(digits: str, where: str) -> int:
    try:
        return int(digits)
    except ValueError:  # thousands of digits
        got = f"{len(digits)} digits"
        raise JobUnreadable("a number is too large", where=where, got=got, fix="Use a smaller number.") from None
