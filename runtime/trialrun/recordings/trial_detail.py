"""Details of one trial, or of a job without trials: messages, images, model, failure and output."""

from __future__ import annotations

import base64
import binascii
import json
import re
from pathlib import Path
from typing import Any

from trialrun.recorder.store import Row, Store
from trialrun.recordings.library import OpenRecording
from trialrun.run_dir import layout
from trialrun.run_dir.trial_dirs import read_trial_folders

__all__ = [
    "find_messages",
    "find_model",
    "find_trial_folder",
    "find_trial_messages",
    "list_images",
    "load_image",
    "read_output",
]

TAIL_BYTES = 64 * 1024
PAGE_SIZE = 200
STREAMS = layout.OUTPUT_FILES

_DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,", re.ASCII)
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def find_messages(store: Store, job: int, *, before: int | None, context: str, text: str) -> list[dict[str, Any]]:
    """Return messages older than the entry `before`, newest first, filtered by context and text."""
    rows = store.fetch_all(
        "SELECT id, time, key, data FROM entries WHERE event = 'message' AND job = ?1 AND id < ?2"
        " AND (?3 = '' OR instr(lower(data), lower(?3)) > 0) ORDER BY id DESC LIMIT ?4",
        (
            job,
            before if before is not None else 2**62,
            json.dumps(text)[1:-1],
            PAGE_SIZE * 5 if context else PAGE_SIZE,
        ),
    )
    messages = [_parse_message(row) for row in rows]
    return [message for message in messages if context in ("", message["context"])][:PAGE_SIZE]


def find_trial_messages(store: Store, job: int, trial: str) -> list[dict[str, Any]]:
    """Return the messages of one trial, oldest first: those whose key names it, and the driver's about it."""
    rows = store.fetch_all(
        "SELECT id, time, key, data FROM entries WHERE event = 'message' AND job = ?1 AND"
        " (trial_id = ?2 OR instr(coalesce(key, ''), '-' || ?2 || '-') > 0 OR instr(data, ?3) > 0)"
        " ORDER BY id DESC LIMIT ?4",
        (job, trial, json.dumps(f"trial {trial} ")[1:-1], PAGE_SIZE),
    )
    return [_parse_message(row) for row in reversed(rows)]


def _parse_message(row: Row) -> dict[str, Any]:
    data = json.loads(row["data"])
    data = data if isinstance(data, dict) else {"content": data}
    content = data.get("content")
    return {
        "id": row["id"],
        "time": row["time"],
        "context": str(data.get("context", "info"))[:50],
        "content": content if isinstance(content, str) else json.dumps(content),
    }


def list_images(store: Store, job: int, trial: str | None) -> list[dict[str, Any]]:
    """Return every image without its bytes, in order; `trial` None is the job itself."""
    rows = store.fetch_all(
        "SELECT id, time, data FROM entries WHERE job = ? AND trial_id IS ? AND event = 'visualization' ORDER BY id",
        (job, trial),
    )
    return [{"id": row["id"], "time": row["time"], **_parse_caption(json.loads(row["data"]))} for row in rows]


def _parse_caption(data: Any) -> dict[str, Any]:
    data = dict(data) if isinstance(data, dict) else {}
    facts = {name: data.pop(name, None) for name in ("category", "group", "index")}
    data.pop("trial_id", None)
    return {**facts, "meta": data}


def load_image(store: Store, entry: int) -> tuple[str, bytes] | None:
    """Return media type and bytes of a PNG, JPEG, GIF or WebP, judged by its content; None for anything else."""
    row = store.fetch_one("SELECT file FROM entries WHERE id = ? AND event = 'visualization'", (entry,))
    sent = (row["file"] or "") if row else ""
    uri = _DATA_URI.match(sent)
    try:
        content = base64.b64decode(sent[uri.end() if uri else 0 :], validate=True)
    except (binascii.Error, ValueError):
        return None
    kind = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    return (kind, content) if kind else None


def find_model(store: Store, job: int, trial: str | None) -> dict[str, Any] | None:
    """Return id and name of the model registered for a trial, from its log entry, or None."""
    data = store.newest_data("model", job, trial)
    if data is None or not isinstance(data.get("model_id"), int):
        return None
    return {"id": data["model_id"], "name": str(data.get("name", ""))}


def find_failure(store: Store, job: int, trial: str | None) -> dict[str, str] | None:
    """Return the newest failure of a trial (error, cause, node, traceback, stderr), or None."""
    data = store.newest_data("failure", job, trial)
    return data and {name: str(data.get(name, "")) for name in ("error", "cause", "node", "traceback", "stderr")}


def read_output(recording: OpenRecording, trial: str | None, stream: str) -> dict[str, Any] | None:
    """Return the end of what a trial (None: a training job) printed; None where no such file is kept.

    When a trial writes both streams to one file, that file counts as its stdout.
    """
    root = recording.path.parent.resolve()
    folder, files = root / layout.TRAIN_DIR, dict(zip(STREAMS, STREAMS, strict=True))
    try:
        if trial is not None:
            folders, names = read_trial_folders(root)
            folder, files = folders.find_folder(trial), dict(zip(STREAMS, names or (), strict=False))
        if stream == "stderr" and files.get(stream) == files.get("stdout"):
            return None
        inside = folder.resolve().parent == (root if trial is None else root / layout.TRIALS_DIR)
        return _read_tail(folder / files[stream]) if inside and stream in files else None
    except (OSError, ValueError):  # a name that no file can have, or a file that may not be read
        return None


def find_trial_folder(recording: OpenRecording, trial: str) -> Path | None:
    """Return the trial's folder beside the recording; None where there is none."""
    folder = read_trial_folders(recording.path.parent)[0].find_folder(trial)
    try:
        return folder if folder.is_dir() else None
    except OSError:  # an id that is too long for a file name
        return None


def _read_tail(path: Path) -> dict[str, Any] | None:
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - TAIL_BYTES, 0))
        return {"size": size, "cut": size > TAIL_BYTES, "text": file.read(TAIL_BYTES).decode("utf-8", "replace")}
