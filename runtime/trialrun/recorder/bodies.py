"""Request bodies: JSON, form, multipart."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from trialrun.recorder.replies import refuse

__all__ = ["Body", "FilePart", "read_body"]

MOST_PARTS = 100

_PARAMETER = re.compile(r';\s*([\w-]+\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))')


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file in a multipart form; `filename` is as sent and must not be trusted."""

    filename: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`value` is the JSON value, or the form's fields as a dict; None for an empty body."""

    value: Any = None
    files: dict[str, FilePart] = field(default_factory=dict)
    multipart: bool = False


def read_body(content_type: str, raw: bytes, *, strict: bool) -> Body:
    """Return the body parsed by `content_type`: JSON when it is empty, or when a form's body looks like JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _parse_multipart(content_type, raw)
    if not raw.strip():
        return Body()
    if kind == "application/x-www-form-urlencoded" and raw.lstrip()[:1] not in (b"{", b"["):
        return Body(value=_parse_form(raw))
    return Body(value=_parse_json(raw, strict=strict))


def _parse_json(raw: bytes, *, strict: bool) -> Any:
    try:
        return json.loads(
            raw, parse_constant=_refuse_constant if strict else None, object_pairs_hook=_keep_first_values
        )
    except RecursionError:
        raise refuse(400, "body: must be JSON, got one nested too deeply. Send a flatter one.") from None
    except ValueError as error:
        raise refuse(400, f"body: must be JSON ({error}).") from None


def _keep_first_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep the first value of a repeated key: a hyperparameter `trial_id` must not overwrite the id of the trial."""
    if len(value := dict(pairs)) == len(pairs):
        return value
    return {**value, **dict(reversed(pairs))}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _parse_form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise refuse(400, f"body: must be a form ({error}).") from None
    return dict(reversed(pairs))


def _parse_multipart(content_type: str, raw: bytes) -> Body:
    boundary = _parse_parameters(content_type).get("boundary", "")
    if not boundary:
        raise refuse(400, "Content-Type: multipart/form-data must name its boundary.")
    pieces = (b"\r\n" + raw).split(b"\r\n--" + boundary.encode("utf-8", "replace"), MOST_PARTS + 2)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise refuse(400, f"body: the multipart form is incomplete or has more than {MOST_PARTS} parts.")
    fields: dict[str, Any] = {}
    files: dict[str, FilePart] = {}
    for piece in pieces[1:-1]:
        head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            raise refuse(400, "body: a part of the multipart form has no header.")
        _add_part(head.decode("utf-8", "replace"), content, fields, files)
    return Body(value=fields, files=files, multipart=True)


def _add_part(head: str, content: bytes, fields: dict[str, Any], files: dict[str, FilePart]) -> None:
    lines = [line for line in head.split("\r\n") if line.lower().startswith("content-disposition:")]
    parameters = _parse_parameters(lines[0]) if lines else {}
    name = parameters.get("name", "")
    if "filename" in parameters:
        files.setdefault(name, FilePart(filename=parameters["filename"], content=content))
    else:
        fields.setdefault(name, content.decode("utf-8", "replace"))


def _parse_parameters(header: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(header):
        value = re.sub(r"\\(.)", r"\1", quoted) or bare
        if name.endswith("*"):  # RFC 5987, as requests sends names that are not ASCII: utf-8''na%C3%AFve
            parameters[name[:-1].lower()] = unquote(value.rpartition("'")[2])
        else:
            parameters.setdefault(name.lower(), value)
    return parameters
