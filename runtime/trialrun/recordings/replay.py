"""The replay of a recording: its calls, sent to a backend again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from trialrun.backend.multipart import encode_multipart
from trialrun.backend.transport import Answer, Call, Transport
from trialrun.recorder.store import Row
from trialrun.recorder.uploads import upload_path
from trialrun.recordings.source import Study
from trialrun.run_dir import layout
from trialrun_hookspecs.errors import BackendRefused

__all__ = ["CallObserver", "Replay"]

READS = ("GET", "HEAD")
UNAUTHORIZED = (401, 403)
_JOB = re.compile(r"(jobs|trains)/([0-9]+)(/.*)?")
_UPLOAD = re.compile(r"chunked_upload/([0-9]+)")
_RANGE = re.compile(r"bytes\s+([0-9]+)-([0-9]+)/")


class CallObserver(Protocol):
    """Receives each call and its error text, which is empty when the call was accepted."""

    def __call__(self, call: Call, refused: str) -> None: ...


@dataclass(slots=True, kw_only=True)
class Replay:
    """Sends the calls of a study's recording, in order and with their idempotency keys; a repetition changes nothing.

    Only calls that changed something are sent: no reads, no refused calls and no retries. `jobs` maps job ids of the
    recording to those of the backend; ids of uploads and models are taken from the backend's answers. `speed` 1 keeps
    the pauses of the recording, 10 divides them by ten, 0 leaves them out.
    """

    study: Study
    transport: Transport
    jobs: Mapping[int, int]
    speed: float
    sleep: Callable[[float], object]
    on_call: CallObserver
    sent: int = 0
    refused: int = 0
    _uploads: dict[int, Any] = field(default_factory=dict)
    _models: dict[int, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Send all calls. Raises BackendRefused: the token is not accepted. Raises BackendUnavailable."""
        store = self.study.recording.store
        uploads = iter(store.fetch_all("SELECT * FROM uploads ORDER BY id"))
        models = iter(store.fetch_all("SELECT id FROM models ORDER BY id"))
        before: datetime | None = None
        for row in self._read_requests():
            before = self._keep_pause(before, row)
            start = row["method"] == "PUT" and row["path"] == "chunked_upload"
            begun = next(uploads, None) if start else None
            call = self._build_call(row, begun)
            if call is None:
                continue
            answer = self._send_call(call)
            if begun is not None and answer.ok:
                self._uploads[begun["id"]] = _parse_id(answer)
            if row["method"] == "POST" and row["path"] == "models":
                model = next(models, None)
                if model is not None and answer.ok:
                    self._models[model["id"]] = _parse_id(answer)

    def count_calls(self) -> int:
        """Return how many calls there are to send."""
        return self.study.recording.store.count("requests", _REPLAYABLE)

    def _read_requests(self) -> Iterator[Row]:
        last = 0
        query = f"SELECT * FROM requests WHERE {_REPLAYABLE} AND id > ? ORDER BY id LIMIT 50"  # noqa: S608  # bodies are big
        while rows := self.study.recording.store.fetch_all(query, (last,)):
            last = rows[-1]["id"]
            yield from rows

    def _keep_pause(self, before: datetime | None, row: Row) -> datetime:
        at = datetime.fromisoformat(row["time"])
        if before is not None and self.speed > 0 and at > before:
            self.sleep((at - before).total_seconds() / self.speed)
        return at

    def _send_call(self, call: Call) -> Answer:
        answer = self.transport.send(call)
        if answer.status in UNAUTHORIZED:
            fix = "Set TRIALRUN_ACCESS_TOKEN (or _AUTHORIZATION) to the backend's token."
            raise BackendRefused(
                "must accept the token", where=str(call), got=f"{answer.status} {answer.body_excerpt()}", fix=fix
            )
        self.sent += 1
        self.refused += not answer.ok
        self.on_call(call, "" if answer.ok else f"{answer.status} {answer.body_excerpt()}")
        return answer

    def _build_call(self, row: Row, begun: Row | None) -> Call | None:
        """Return the call to send; None when its content is no longer in the recording."""
        headers = {name.lower(): value for name, value in json.loads(row["headers"]).items()}
        params = tuple((str(name), str(value)) for name, value in json.loads(row["params"]))
        path, key = self._map_path(row["path"]), headers.get("idempotency-key") or _derive_key(row)
        if headers.get("content-type", "").lower().startswith("multipart/"):
            body, kind = self._build_chunk_form(row, begun, headers.get("content-range"))
            if not body:
                return None
            sent = {"Content-Range": headers["content-range"]} if "content-range" in headers else {}
            return Call(
                method=row["method"], path=path, params=params, body=body, content_type=kind, headers=sent, key=key
            )
        return Call(
            method=row["method"],
            path=path,
            params=params,
            body=self._map_body(row),
            content_type=headers.get("content-type", "application/json"),
            key=key,
        )

    def _map_path(self, path: str) -> str:
        if match := _JOB.fullmatch(path):
            path = f"{match[1]}/{self.jobs.get(int(match[2]), int(match[2]))}{match[3] or ''}"
        elif match := _UPLOAD.fullmatch(path):
            path = f"chunked_upload/{self._uploads.get(int(match[1]), match[1])}"
        return f"{path}/"

    def _map_body(self, row: Row) -> bytes:
        """Return the body with the ids of this backend; every other byte is kept."""
        raw: bytes = row["body"]
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError):
            return raw
        changed = self._map_ids(row["path"], value)
        return raw if changed == value else json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def _map_ids(self, path: str, value: Any) -> Any:
        if path == "logs":
            return [self._map_entry(each) for each in value] if isinstance(value, list) else self._map_entry(value)
        if not isinstance(value, dict):
            return value
        if path == "models" and "chunked_upload" in value:
            return {**value, "chunked_upload": self._map_id(self._uploads, value["chunked_upload"])}
        if path.startswith("jobs/") and "result" in value:
            return {**value, "result": self._map_result(value["result"])}
        return value

    def _map_entry(self, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        mapped = {**entry, "job": self._map_id(self.jobs, entry["job"])} if "job" in entry else entry
        return (
            {**mapped, "data": self._map_result(mapped["data"])}
            if mapped.get("event") in ("model", "result")
            else mapped
        )

    def _map_result(self, data: Any) -> Any:
        """Map the ids of a result, or of the data of a log entry about a model."""
        if not isinstance(data, dict):
            return data
        mapped = {**data, "model_id": self._map_id(self._models, data["model_id"])} if "model_id" in data else data
        trials = mapped.get("trial_models")
        if not isinstance(trials, list):
            return mapped
        return {**mapped, "trial_models": [self._map_result(each) for each in trials]}

    def _map_id(self, ids: Mapping[int, Any], value: Any) -> Any:
        return ids.get(value, value) if isinstance(value, int) and not isinstance(value, bool) else value

    def _build_chunk_form(self, row: Row, begun: Row | None, content_range: str | None) -> tuple[bytes, str]:
        """Return the form of a chunk and its content type, rebuilt from the uploaded file."""
        match = _UPLOAD.fullmatch(row["path"])
        if begun is None and match:
            begun = self.study.recording.store.fetch_one("SELECT * FROM uploads WHERE id = ?", (int(match[1]),))
        if begun is None:
            return b"", ""
        file = upload_path(layout.files_beside(self.study.path), begun["path"])
        span = _RANGE.match(content_range or "")
        if span is None and match:  # without a range the first call carried the whole file
            return b"", ""
        first, last = (int(span[1]), int(span[2])) if span else (0, None)
        chunk = _read_piece(file, first, last)
        name = str(begun["name"])
        return encode_multipart({"filename": name}, name, chunk) if chunk else (b"", "")


_REPLAYABLE = "method NOT IN ('GET', 'HEAD') AND status < 400 AND replayed = 0 AND path NOT LIKE 'trialrun/%'"


def _read_piece(file: Path, first: int, last: int | None) -> bytes:
    try:
        with file.open("rb") as opened:
            opened.seek(first)
            return opened.read(-1 if last is None else last - first + 1)
    except OSError:
        return b""


def _derive_key(row: Row) -> str:
    """Return a key for the call of a client that sent none; it depends on the recorded call alone."""
    facts = json.dumps([row["id"], row["time"], row["method"], row["path"]])
    return f"replay-{hashlib.sha256(facts.encode() + row['body']).hexdigest()[:40]}"


def _parse_id(answer: Answer) -> Any:
    try:
        reply = answer.json()
    except BackendRefused:
        return None
    return reply.get("id") if isinstance(reply, dict) else None
