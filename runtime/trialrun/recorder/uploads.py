"""Chunked uploads: files that arrive in several calls."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from trialrun.recorder.bodies import FilePart
from trialrun.recorder.context import ApiCall
from trialrun.recorder.normalise import safe_file_name, to_text
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.store import Row, Store
from trialrun.run_dir import layout

__all__ = ["continue_upload", "finish_upload", "show_upload", "start_upload", "upload_path"]

LARGEST_CHUNK = 50 * 1024 * 1024
LARGEST_UPLOAD = 64 * 1024**3

_RANGE = re.compile(r"bytes\s+([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)")


def start_upload(call: ApiCall) -> Reply:
    part = _require_part(call)
    start, total = _parse_range(call, part, 0)
    if start != 0:
        raise refuse(400, f"Content-Range: an upload starts at byte 0, got {start}.", offset=0)
    fields = call.body.value if isinstance(call.body.value, dict) else {}
    name = to_text(fields.get("filename") or part.filename or "file")
    upload = call.context.store.add_upload(name=name, path="", total=total, time=call.time)
    path = f"{upload}-{safe_file_name(name)}"
    call.context.store.change_upload(upload, path=path)
    (call.context.folder / layout.RECORDER_UPLOADS).mkdir(parents=True, exist_ok=True)
    upload_path(call.context.folder, path).write_bytes(part.content)
    call.context.store.change_upload(upload, offset=len(part.content))
    return json_reply(201, _describe_upload(call, _require_upload(call.context.store, upload)))


def continue_upload(call: ApiCall, upload: int) -> Reply:
    """Store the next chunk. A lenient recorder accepts a repeated chunk; a gap is always refused."""
    row = _require_upload(call.context.store, upload)
    if row["complete"]:
        raise refuse(400, "upload: it is complete. Start a new one.", offset=row["offset"])
    part = _require_part(call)
    offset: int = row["offset"]
    start, total = _parse_range(call, part, offset)
    if start > offset or (call.context.strict and start != offset):
        raise refuse(400, f"Content-Range: must continue at byte {offset}, got {start}.", offset=offset)
    with upload_path(call.context.folder, row["path"]).open("r+b") as file:
        file.seek(start)  # not appended: the rest of a broken call is overwritten
        file.write(part.content)
        file.truncate(max(offset, start + len(part.content)))
    offset = max(offset, start + len(part.content))
    call.context.store.change_upload(upload, offset=offset, total=max(total, row["total"]))
    return json_reply(200, _describe_upload(call, _require_upload(call.context.store, upload)))


def finish_upload(call: ApiCall, upload: int) -> Reply:
    """Complete an upload. A strict recorder refuses a wrong checksum; a lenient one records it in `md5_matches`."""
    row = _require_upload(call.context.store, upload)
    sent = call.body_object().get("md5")
    with upload_path(call.context.folder, row["path"]).open("rb") as file:
        md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    matches = isinstance(sent, str) and sent.strip().lower() == md5
    if call.context.strict and not matches:
        raise refuse(
            400,
            f"md5: must be the checksum of the received bytes ({md5}), got {to_text(sent)[:64]}. Send the file again.",
        )
    if call.context.strict and row["offset"] < row["total"]:
        raise refuse(400, f"upload: {row['offset']} of {row['total']} bytes have arrived.", offset=row["offset"])
    call.context.store.change_upload(upload, complete=True, md5=md5, md5_matches=matches)
    return json_reply(200, _describe_upload(call, _require_upload(call.context.store, upload)))


def show_upload(call: ApiCall, upload: int) -> Reply:
    return json_reply(200, _describe_upload(call, _require_upload(call.context.store, upload)))


def upload_path(folder: Path, path: str) -> Path:
    return folder / layout.RECORDER_UPLOADS / path


def _require_upload(store: Store, upload: int) -> Row:
    row = store.fetch_one("SELECT * FROM uploads WHERE id = ?", (upload,))
    if row is None:
        raise refuse(404, f"upload {upload}: there is none.")
    return row


def _describe_upload(call: ApiCall, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "url": call.url(f"chunked_upload/{row['id']}/"),
        "filename": row["name"],
        "offset": row["offset"],
        "total": row["total"],
        "status": 2 if row["complete"] else 1,
        "md5": row["md5"],
        "md5_matches": None if row["md5_matches"] is None else bool(row["md5_matches"]),
        "created_at": row["created"],
    }


def _require_part(call: ApiCall) -> FilePart:
    part = call.body.files.get("file") or next(iter(call.body.files.values()), None)
    if part is None or (call.context.strict and "file" not in call.body.files):
        raise refuse(400, "file: must be sent as multipart/form-data.")
    if call.context.strict and len(part.content) > LARGEST_CHUNK:
        raise refuse(413, f"file: a chunk holds at most {LARGEST_CHUNK} bytes, got {len(part.content)}.")
    return part


def _parse_range(call: ApiCall, part: FilePart, offset: int) -> tuple[int, int]:
    """Return the first byte and the total; without a Content-Range the chunk starts at `offset`."""
    size = len(part.content)
    sent = call.headers.get("content-range")
    if sent is None:
        return offset, offset + size
    match = _RANGE.fullmatch(sent.strip())
    if match is None:
        raise refuse(400, f"Content-Range: must be 'bytes first-last/total', got {sent[:100]!r}.")
    start, last = int(match[1]), int(match[2])
    total = start + size if match[3] == "*" else int(match[3])
    if total > LARGEST_UPLOAD:
        raise refuse(413, f"Content-Range: an upload holds at most {LARGEST_UPLOAD} bytes, got {total}.")
    if call.context.strict and (last - start + 1 != size or start + size > total):
        raise refuse(
            400, f"Content-Range: must be the range of the {size} bytes sent, got {sent[:100]!r}.", offset=offset
        )
    return start, max(total, start + size)
