"""The page's own API: what it asks of recordings, as JSON; nothing in it changes anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trialrun.numbers import is_number
from trialrun.recorder.normalise import BIGGEST_ID, safe_file_name
from trialrun.recorder.replies import CallRefused, Reply, json_reply, refuse
from trialrun.recorder.store import Row
from trialrun.recorder.uploads import upload_path
from trialrun.recordings import jobs, requests, trial_detail
from trialrun.recordings.curves import downsample_indices
from trialrun.recordings.importance import METHOD, MIN_TRIALS, estimate_importance
from trialrun.recordings.library import Library, OpenRecording
from trialrun.recordings.trial_index import BASE, OPERATORS, Condition, TrialIndex, TrialRow, get_cell, tabulate_trials

__all__ = ["PageRequest", "handle_api_request"]

LARGEST_PAGE = 5_000
MOST_LINES = 60
MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """One call: what it asks about and with which parameters."""

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
            raise refuse(400, f"{name}: must be a number, got {sent[:100]!r}.")
        return min(int(sent), most)

    def optional_int(self, name: str) -> int | None:
        return self.int_param(name, 0) if self.first_param(name) else None

    @property
    def trial_id(self) -> str | None:
        """None: the job itself."""
        return next(iter(self.all_params("trial")), None)

    def open_recording(self, key: str) -> OpenRecording:
        reading = self.library.open_recording(key)
        if reading is None:
            raise refuse(404, f"recording {key}: there is none.")
        return reading


def list_jobs(question: PageRequest) -> Any:
    found = question.library.describe_recordings(jobs.load_job_list)
    recordings = [
        {"recording": key, "folder": path.parent.name, "jobs": listed, "path": str(path)} for key, path, listed in found
    ]
    return {"recordings": recordings, "root": str(question.library.root)}


def show_job(question: PageRequest, key: str, job: int) -> Any:
    reading = question.open_recording(key)
    page = jobs.load_job_details(reading.store, job)
    if page is None:
        raise refuse(404, f"job {job}: there is none.")
    return {**page, "recording": key, "path": str(reading.path)}


def list_trials(question: PageRequest, key: str, job: int) -> Any:
    """A page of rows; `sort` is a column, `where` a JSON list of conditions such as `["m:loss", "<", 0.5]`."""
    reading = question.open_recording(key)
    offset, limit = question.int_param("offset", 0), question.int_param("limit", 200, LARGEST_PAGE)
    if not any(question.first_param(name) for name in ("sort", "order", "status", "where")):
        total, board = TrialIndex.load_excerpt(reading.store, job, offset, limit)
        rows = board.all_trials()
    else:
        board = reading.get_trial_index(job)
        board.refresh()
        total, rows = board.select_page(
            sort=question.first_param("sort", "number"),
            descending=question.first_param("order") == "desc",
            statuses=question.all_params("status"),
            where=_parse_conditions(question.first_param("where")),
            offset=offset,
            limit=limit,
        )
    return {**build_table(board, rows), "total": total}


def build_table(board: TrialIndex, rows: Sequence[TrialRow]) -> dict[str, Any]:
    columns = board.columns
    made = tabulate_trials(rows, columns["hyperparameters"], columns["metrics"])
    return {"columns": {"base": list(BASE), **columns}, "rows": made}


def _parse_conditions(sent: str) -> list[Condition]:
    try:
        asked = json.loads(sent) if sent else []
        return [_parse_condition(*each) for each in asked]
    except (ValueError, TypeError, RecursionError):
        raise refuse(400, f"where: must be a JSON list of [column, operator, value], got {sent[:100]!r}.") from None


def _parse_condition(column: str, operator: str, value: Any) -> Condition:
    if not isinstance(column, str) or operator not in OPERATORS:
        raise ValueError
    return Condition(column=column, operator=operator, value=value)


def show_curves(question: PageRequest, key: str, job: int) -> Any:
    """One metric of some trials, or without `trial` of the job itself, each with at most `points` points."""
    reading = question.open_recording(key)
    event, _, name = question.first_param("series").partition(":")
    most = question.int_param("points", 400, MOST_POINTS)
    asked: list[str | None] = [*question.all_params("trial")] or [None]
    lines = []
    for trial in asked[:MOST_LINES]:
        line = reading.curves.load_line(job, trial, event, name)
        kept = downsample_indices(line.values, most)
        parts = {part: [getattr(line, part)[index] for index in kept] for part in ("steps", "times", "values")}
        lines.append({"trial": trial, "count": len(line.values), **parts})
    return {"series": question.first_param("series"), "lines": lines}


def show_importance(question: PageRequest, key: str, job: int) -> Any:
    reading = question.open_recording(key)
    board = reading.get_trial_index(job)
    board.refresh()
    row = reading.store.fetch_one("SELECT request FROM jobs WHERE id = ?", (job,))
    request = json.loads(row["request"]) if row else {}
    metric = (
        question.first_param("metric")
        or jobs.parse_objective(request.get("params") if isinstance(request, dict) else None)[0]
    )
    points = [
        (trial.hyperparameters, float(cell))
        for trial in board.all_trials()
        if trial.status == "TERMINATED"
        and is_number(cell := get_cell(trial, f"m:{metric}"))
        and cell == cell  # NaN is no result
    ]
    found = estimate_importance(points, board.columns["hyperparameters"])
    return {
        "method": METHOD,
        "metric": metric,
        "trials": len(points),
        "least": MIN_TRIALS,
        "shares": list(found.items()),
    }


def show_trial(question: PageRequest, key: str, job: int) -> Any:
    reading = question.open_recording(key)
    board = reading.get_trial_index(job)
    board.refresh()
    trial, row = question.trial_id, _find_row(board, question.trial_id)
    folder = None if trial is None else trial_detail.find_trial_folder(reading, trial)
    sizes = {stream: trial_detail.read_output(reading, trial, stream) for stream in trial_detail.STREAMS}
    return {
        **build_table(board, [row] if row else []),
        "images": trial_detail.list_images(reading.store, job, trial),
        "messages": [] if trial is None else trial_detail.find_trial_messages(reading.store, job, trial),
        "model": trial_detail.find_model(reading.store, job, trial),
        "failure": trial_detail.find_failure(reading.store, job, trial),
        "folder": str(folder) if folder and any(sizes.values()) else None,
        "output": {stream: tail["size"] if tail else None for stream, tail in sizes.items()},
    }


def _find_row(board: TrialIndex, trial: str | None) -> TrialRow | None:
    row = None if trial is None else board.find_trial(trial)
    if trial is not None and row is None:
        raise refuse(404, f"trial {trial[:200]}: there is none.")
    return row


def show_output(question: PageRequest, key: str, job: int) -> Any:
    reading = question.open_recording(key)
    board = reading.get_trial_index(job)
    board.refresh()
    _find_row(board, question.trial_id)
    tail = trial_detail.read_output(reading, question.trial_id, question.first_param("stream"))
    if tail is None:
        raise refuse(404, "output: there is none.")
    return tail


def list_messages(question: PageRequest, key: str, job: int) -> Any:
    store = question.open_recording(key).store
    found = trial_detail.find_messages(
        store,
        job,
        before=question.optional_int("before"),
        context=question.first_param("context"),
        asked=question.first_param("text"),
    )
    return {"messages": found}


def list_requests(question: PageRequest, key: str) -> Any:
    store = question.open_recording(key).store
    before, route = question.optional_int("before"), question.first_param("route")
    found = requests.find_requests(store, before=before, route=route, status=question.first_param("status"))
    return {"requests": found, **(requests.count_facets(store) if before is None else {})}


def show_request(question: PageRequest, key: str, number: int) -> Any:
    found = requests.find_request(question.open_recording(key).store, number)
    if found is None:
        raise refuse(404, f"request {number}: there is none.")
    return found


def list_models(question: PageRequest, key: str) -> Any:
    rows = question.open_recording(key).store.fetch_all(
        "SELECT m.id, m.name, m.fields, m.created, u.offset AS size, u.complete, u.md5 FROM models m"
        " LEFT JOIN uploads u ON u.id = m.upload ORDER BY m.id DESC LIMIT ? OFFSET ?",
        (question.int_param("limit", 200, LARGEST_PAGE), question.int_param("offset", 0)),
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


def download_model(question: PageRequest, key: str, number: int) -> Reply:
    reading = question.open_recording(key)
    row = reading.store.fetch_one(
        "SELECT m.name, u.path FROM models m JOIN uploads u ON u.id = m.upload WHERE m.id = ?", (number,)
    )
    file = upload_path(reading.folder, row["path"]) if row and row["path"] else None
    if row is None or file is None or not file.is_file():
        raise refuse(404, f"model {number}: it has no file.")
    name = safe_file_name(f"{row['name']}{file.suffix}")
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f'attachment; filename="{name}"'}
    return Reply(status=200, headers=headers, file=file)


def show_image(question: PageRequest, key: str, entry: int) -> Reply:
    found = trial_detail.load_image(question.open_recording(key).store, entry)
    if found is None:
        raise refuse(404, f"image {entry}: there is none that can be shown.")
    return Reply(
        status=200, headers={"Content-Type": found[0], "Cache-Control": "private, max-age=86400"}, content=found[1]
    )


ROUTES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("jobs", list_jobs),
    ("*/jobs/#", show_job),
    ("*/jobs/#/trials", list_trials),
    ("*/jobs/#/trial", show_trial),
    ("*/jobs/#/curves", show_curves),
    ("*/jobs/#/importance", show_importance),
    ("*/jobs/#/messages", list_messages),
    ("*/jobs/#/output", show_output),
    ("*/requests", list_requests),
    ("*/requests/#", show_request),
    ("*/models", list_models),
    ("*/models/#/file", download_model),
    ("*/images/#", show_image),
)
_COMPILED = [
    (re.compile(re.escape(route).replace(r"\*", "([0-9a-f]{8})").replace(r"\#", "([0-9]{1,18})")), handler)
    for route, handler in ROUTES
]


def handle_api_request(library: Library, path: str, params: Sequence[tuple[str, str]]) -> Reply:
    """Never raises for what a browser sends. `path` is what follows the prefix of the API."""
    try:
        for pattern, handler in _COMPILED:
            if found := pattern.fullmatch(path.strip("/")):
                words = [
                    word if len(word) == 8 and index == 0 else int(word) for index, word in enumerate(found.groups())
                ]
                made = handler(PageRequest(library=library, params=params), *words)
                return made if isinstance(made, Reply) else json_reply(200, made)
        raise refuse(404, f"path: there is no {path[:200]!r}.")
    except CallRefused as refused:
        return refused.reply
