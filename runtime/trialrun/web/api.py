"""The read-only API of the web UI: what a page asks of recordings, answered as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import FileResponse, Response

from trialrun.recorder.normalise import BIGGEST_ID, safe_file_name
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.store import Row
from trialrun.recorder.uploads import upload_path
from trialrun.recordings import jobs, requests, trial_detail
from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.library import Library, OpenRecording
from trialrun.recordings.plot_data import study_importance
from trialrun.recordings.source import Study
from trialrun.recordings.trial_index import OPERATORS, Condition, TrialIndex

__all__ = ["ROUTES", "PageRequest", "build_response"]

LARGEST_PAGE = 5_000
MOST_LINES = 60
MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One call of a page: the library that it asks, and its query parameters."""

    library: Library
    params: Sequence[tuple[str, str]]

    def all_params(self, name: str) -> list[str]:
        return [value for key, value in self.params if key == name]

    def first_param(self, name: str, default: str = "") -> str:
        return next(iter(self.all_params(name)), default)

    def int_param(self, name: str, default: int, most: int = BIGGEST_ID) -> int:
        sent = self.first_param(name)
        if not sent:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", sent):
            raise refuse(400, f"{name}: must be a number of at most 18 digits, got {sent[:100]!r}.")
        return min(int(sent), most)

    def optional_int(self, name: str) -> int | None:
        return self.int_param(name, 0) if self.first_param(name) else None

    @property
    def trial_id(self) -> str | None:
        """The trial that is asked for; None is the job itself."""
        return next(iter(self.all_params("trial")), None)

    def open_recording(self, key: str) -> OpenRecording:
        recording = self.library.open_recording(key)
        if recording is None:
            raise refuse(404, f"recording {key}: there is none.")
        return recording


def list_jobs(request: PageRequest) -> Any:
    recordings = [
        {"recording": key, "folder": path.parent.name, "jobs": summaries, "path": str(path)}
        for key, path, summaries in request.library.describe_recordings(jobs.load_job_list)
    ]
    return {"recordings": recordings, "root": str(request.library.root)}


def show_job(request: PageRequest, key: str, job: int) -> Any:
    recording = request.open_recording(key)
    details = jobs.load_job_details(recording.store, job)
    if details is None:
        raise refuse(404, f"job {job}: there is none.")
    return {**details, "recording": key, "path": str(recording.path)}


def list_trials(request: PageRequest, key: str, job: int) -> Any:
    """Return a page of rows; `sort` is a column, `where` a JSON list of conditions such as `["m:loss", "<", 0.5]`."""
    recording = request.open_recording(key)
    offset, limit = request.int_param("offset", 0), request.int_param("limit", 200, LARGEST_PAGE)
    if not any(request.first_param(name) for name in ("sort", "order", "status", "where")):
        total = recording.store.count("trials", "job = ?", (job,))
        index = TrialIndex.load_page(recording.store, job, offset, limit)
        rows = index.all_trials()
    else:
        index = recording.get_trial_index(job)
        index.refresh()
        total, rows = index.select_page(
            sort=request.first_param("sort", "number"),
            descending=request.first_param("order") == "desc",
            statuses=request.all_params("status"),
            where=_parse_conditions(request.first_param("where")),
            offset=offset,
            limit=limit,
        )
    return {**index.build_table(rows), "total": total}


def _parse_conditions(sent: str) -> list[Condition]:
    try:
        return [_parse_condition(*each) for each in (json.loads(sent) if sent else [])]
    except (ValueError, TypeError, RecursionError):
        raise refuse(400, f"where: must be a JSON list of [column, operator, value], got {sent[:100]!r}.") from None


def _parse_condition(column: str, operator: str, value: Any) -> Condition:
    if not isinstance(column, str) or operator not in OPERATORS:
        raise ValueError
    return Condition(column=column, operator=operator, value=value)


def show_curves(request: PageRequest, key: str, job: int) -> Any:
    """Return one metric of some trials, or without `trial` of the job itself, with about `points` points each."""
    recording = request.open_recording(key)
    event, _, name = request.first_param("series").partition(":")
    most = request.int_param("points", 400, MOST_POINTS)
    trials: list[str | None] = [*request.all_params("trial")] or [None]
    lines = []
    for trial in trials[:MOST_LINES]:
        line = recording.curves.load_line(job, trial, event, name)
        places = downsample_indices(line.values, most)
        parts = {part: [getattr(line, part)[place] for place in places] for part in ("steps", "times", "values")}
        lines.append({"trial": trial, "count": len(line.values), **parts})
    return {"series": request.first_param("series"), "lines": lines}


def show_importance(request: PageRequest, key: str, job: int) -> Any:
    recording = request.open_recording(key)
    study = Study(path=recording.path, recording=recording, job=job)
    return study_importance(study, study.list_trials(), request.first_param("metric") or None)


def show_trial(request: PageRequest, key: str, job: int) -> Any:
    recording = request.open_recording(key)
    trial, index = request.trial_id, _load_index(recording, job, request.trial_id)
    row = None if trial is None else index.find_trial(trial)
    folder = None if trial is None else trial_detail.find_trial_folder(recording, trial)
    sizes = {stream: trial_detail.read_output(recording, trial, stream) for stream in trial_detail.STREAMS}
    return {
        **index.build_table([row] if row else []),
        "images": trial_detail.list_images(recording.store, job, trial),
        "messages": [] if trial is None else trial_detail.find_trial_messages(recording.store, job, trial),
        "model": trial_detail.find_model(recording.store, job, trial),
        "failure": trial_detail.find_failure(recording.store, job, trial),
        "folder": str(folder) if folder and any(sizes.values()) else None,
        "output": {stream: tail["size"] if tail else None for stream, tail in sizes.items()},
    }


def _load_index(recording: OpenRecording, job: int, trial: str | None) -> TrialIndex:
    """Return the trials of the job; refuse a trial that is not among them."""
    index = recording.get_trial_index(job)
    index.refresh()
    if trial is not None and index.find_trial(trial) is None:
        raise refuse(404, f"trial {trial[:200]}: there is none.")
    return index


def show_output(request: PageRequest, key: str, job: int) -> Any:
    recording = request.open_recording(key)
    _load_index(recording, job, request.trial_id)
    tail = trial_detail.read_output(recording, request.trial_id, request.first_param("stream"))
    if tail is None:
        raise refuse(404, "output: there is none.")
    return tail


def list_messages(request: PageRequest, key: str, job: int) -> Any:
    store = request.open_recording(key).store
    before, context = request.optional_int("before"), request.first_param("context")
    text = request.first_param("text")
    return {"messages": trial_detail.find_messages(store, job, before=before, context=context, text=text)}


def list_requests(request: PageRequest, key: str) -> Any:
    store = request.open_recording(key).store
    before, route = request.optional_int("before"), request.first_param("route")
    calls = requests.find_requests(store, before=before, route=route, status=request.first_param("status"))
    return {"requests": calls, **(requests.count_facets(store) if before is None else {})}


def show_request(request: PageRequest, key: str, number: int) -> Any:
    call = requests.find_request(request.open_recording(key).store, number)
    if call is None:
        raise refuse(404, f"request {number}: there is none.")
    return call


def list_models(request: PageRequest, key: str) -> Any:
    rows = request.open_recording(key).store.fetch_all(
        "SELECT m.id, m.name, m.fields, m.created, u.offset AS size, u.complete, u.md5 FROM models m"
        " LEFT JOIN uploads u ON u.id = m.upload ORDER BY m.id DESC LIMIT ? OFFSET ?",
        (request.int_param("limit", 200, LARGEST_PAGE), request.int_param("offset", 0)),
    )
    return {"models": [_describe_model(row) for row in rows]}


def _describe_model(row: Row) -> dict[str, Any]:
    fields = json.loads(row["fields"])
    fields = fields if isinstance(fields, dict) else {}
    configuration = fields.get("configuration")
    trial = configuration.get("tune_trial") if isinstance(configuration, dict) else None
    facts = {name: row[name] for name in ("id", "name", "created", "size", "md5")}
    named = {name: fields.get(name) for name in ("plugin", "version", "checkpoint", "description")}
    trial_id = trial.get("trial_id") if isinstance(trial, dict) else None
    return {**facts, **named, "trial": trial_id, "file": bool(row["complete"]), "configuration": configuration}


def download_model(request: PageRequest, key: str, number: int) -> Reply:
    recording = request.open_recording(key)
    row = recording.store.fetch_one(
        "SELECT m.name, u.path FROM models m JOIN uploads u ON u.id = m.upload WHERE m.id = ?", (number,)
    )
    file = upload_path(recording.folder, row["path"]) if row and row["path"] else None
    if row is None or file is None or not file.is_file():
        raise refuse(404, f"model {number}: it has no file.")
    name = safe_file_name(f"{row['name']}{file.suffix}")
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f'attachment; filename="{name}"'}
    return Reply(status=200, headers=headers, file=file)


def show_image(request: PageRequest, key: str, entry: int) -> Reply:
    image = trial_detail.load_image(request.open_recording(key).store, entry)
    if image is None:
        raise refuse(404, f"image {entry}: there is none that can be shown.")
    headers = {"Content-Type": image[0], "Cache-Control": "private, max-age=86400"}
    return Reply(status=200, headers=headers, content=image[1])


ROUTES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("/jobs", list_jobs),
    ("/{key}/jobs/{job:int}", show_job),
    ("/{key}/jobs/{job:int}/trials", list_trials),
    ("/{key}/jobs/{job:int}/trial", show_trial),
    ("/{key}/jobs/{job:int}/curves", show_curves),
    ("/{key}/jobs/{job:int}/importance", show_importance),
    ("/{key}/jobs/{job:int}/messages", list_messages),
    ("/{key}/jobs/{job:int}/output", show_output),
    ("/{key}/requests", list_requests),
    ("/{key}/requests/{number:int}", show_request),
    ("/{key}/models", list_models),
    ("/{key}/models/{number:int}/file", download_model),
    ("/{key}/images/{entry:int}", show_image),
)
"""Paths below the prefix of the API, and the functions that answer them with JSON or a Reply."""


def build_response(answer: Any) -> Response:
    """Return the response of a Reply, or of anything else as JSON."""
    reply = answer if isinstance(answer, Reply) else json_reply(200, answer)
    if reply.file is not None:
        return FileResponse(reply.file, reply.status, reply.headers)
    return Response(reply.content, reply.status, reply.headers)
