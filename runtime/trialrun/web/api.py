"""The page's own API: what it asks of recordings, as JSON; nothing in it changes anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trialrun.recorder.normalise import BIGGEST_ID, safe_file_name
from trialrun.recorder.replies import Refused, Reply, json_reply, no
from trialrun.recorder.store import Row
from trialrun.recorder.uploads import upload_file
from trialrun.recordings import jobs, requests, trial_detail
from trialrun.recordings.curves import thinned
from trialrun.recordings.importance import LEAST, METHOD, shares
from trialrun.recordings.library import Library, Reading
from trialrun.recordings.trial_index import BASE, OPERATORS, Board, Condition, Trial, cell_of, described

__all__ = ["Question", "answer"]

LARGEST_PAGE = 5_000
MOST_LINES = 60
MOST_POINTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call: what it asks about and with which parameters."""

    library: Library
    params: Sequence[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.params if key == name]

    def one(self, name: str, default: str = "") -> str:
        return next(iter(self.all(name)), default)

    def number(self, name: str, default: int, most: int = BIGGEST_ID) -> int:
        sent = self.one(name)
        if not sent:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", sent):
            raise no(400, f"{name}: must be a number, got {sent[:100]!r}.")
        return min(int(sent), most)

    def maybe(self, name: str) -> int | None:
        return self.number(name, 0) if self.one(name) else None

    @property
    def trial(self) -> str | None:
        """None: the job itself."""
        return next(iter(self.all("trial")), None)

    def reading(self, key: str) -> Reading:
        reading = self.library.reading(key)
        if reading is None:
            raise no(404, f"recording {key}: there is none.")
        return reading


def list_jobs(question: Question) -> Any:
    found = question.library.listed(jobs.job_list)
    recordings = [
        {"recording": key, "folder": path.parent.name, "jobs": listed, "path": str(path)} for key, path, listed in found
    ]
    return {"recordings": recordings, "root": str(question.library.root)}


def show_job(question: Question, key: str, job: int) -> Any:
    reading = question.reading(key)
    page = jobs.job_page(reading.store, job)
    if page is None:
        raise no(404, f"job {job}: there is none.")
    return {**page, "recording": key, "path": str(reading.path)}


def list_trials(question: Question, key: str, job: int) -> Any:
    """A page of rows; `sort` is a column, `where` a JSON list of conditions such as `["m:loss", "<", 0.5]`."""
    reading = question.reading(key)
    offset, limit = question.number("offset", 0), question.number("limit", 200, LARGEST_PAGE)
    if not any(question.one(name) for name in ("sort", "order", "status", "where")):
        total, board = Board.excerpt(reading.store, job, offset, limit)
        rows = board.trials()
    else:
        board = reading.board(job)
        board.refresh()
        total, rows = board.page(
            sort=question.one("sort", "number"),
            descending=question.one("order") == "desc",
            statuses=question.all("status"),
            where=_conditions(question.one("where")),
            offset=offset,
            limit=limit,
        )
    return {**table(board, rows), "total": total}


def table(board: Board, rows: Sequence[Trial]) -> dict[str, Any]:
    columns = board.columns
    made = described(rows, columns["hyperparameters"], columns["metrics"])
    return {"columns": {"base": list(BASE), **columns}, "rows": made}


def _conditions(sent: str) -> list[Condition]:
    try:
        asked = json.loads(sent) if sent else []
        return [_condition(*each) for each in asked]
    except (ValueError, TypeError, RecursionError):
        raise no(400, f"where: must be a JSON list of [column, operator, value], got {sent[:100]!r}.") from None


def _condition(column: str, operator: str, value: Any) -> Condition:
    if not isinstance(column, str) or operator not in OPERATORS:
        raise ValueError
    return Condition(column=column, operator=operator, value=value)


def show_curves(question: Question, key: str, job: int) -> Any:
    """One metric of some trials, or without `trial` of the job itself, each with at most `points` points."""
    reading = question.reading(key)
    event, _, name = question.one("series").partition(":")
    most = question.number("points", 400, MOST_POINTS)
    asked: list[str | None] = [*question.all("trial")] or [None]
    lines = []
    for trial in asked[:MOST_LINES]:
        line = reading.curves.line(job, trial, event, name)
        kept = thinned(line.values, most)
        parts = {part: [getattr(line, part)[index] for index in kept] for part in ("steps", "times", "values")}
        lines.append({"trial": trial, "count": len(line.values), **parts})
    return {"series": question.one("series"), "lines": lines}


def show_importance(question: Question, key: str, job: int) -> Any:
    reading = question.reading(key)
    board = reading.board(job)
    board.refresh()
    row = reading.store.row("SELECT request FROM jobs WHERE id = ?", (job,))
    request = json.loads(row["request"]) if row else {}
    metric = question.one("metric") or jobs.objective(request.get("params") if isinstance(request, dict) else None)[0]
    points = [
        (trial.hyperparameters, float(cell))
        for trial in board.trials()
        if trial.status == "TERMINATED"
        and isinstance(cell := cell_of(trial, f"m:{metric}"), int | float)
        and not isinstance(cell, bool)
        and cell == cell  # NaN is no result
    ]
    found = shares(points, board.columns["hyperparameters"])
    return {"method": METHOD, "metric": metric, "trials": len(points), "least": LEAST, "shares": list(found.items())}


def show_trial(question: Question, key: str, job: int) -> Any:
    reading = question.reading(key)
    board = reading.board(job)
    board.refresh()
    trial = question.trial
    row = None if trial is None else board.trial(trial)
    if trial is not None and row is None:
        raise no(404, f"trial {trial[:200]}: there is none.")
    sizes = {stream: trial_detail.output(reading, trial, stream) for stream in trial_detail.STREAMS}
    return {
        **table(board, [row] if row else []),
        "images": trial_detail.images(reading.store, job, trial),
        "messages": [] if trial is None else trial_detail.owned_messages(reading.store, job, trial),
        "model": trial_detail.model_of(reading.store, job, trial),
        "failure": trial_detail.failure_of(reading.store, job, trial),
        "folder": str(reading.path.parent / "trials" / trial) if trial and sizes["stdout"] else None,
        "output": {stream: tail["size"] if tail else None for stream, tail in sizes.items()},
    }


def show_output(question: Question, key: str, _job: int) -> Any:
    tail = trial_detail.output(question.reading(key), question.trial, question.one("stream"))
    if tail is None:
        raise no(404, "output: there is none.")
    return tail


def list_messages(question: Question, key: str, job: int) -> Any:
    store = question.reading(key).store
    found = trial_detail.messages(
        store, job, before=question.maybe("before"), context=question.one("context"), asked=question.one("text")
    )
    return {"messages": found}


def list_requests(question: Question, key: str) -> Any:
    store = question.reading(key).store
    before, route = question.maybe("before"), question.one("route")
    found = requests.calls(store, before=before, route=route, status=question.one("status"))
    return {"requests": found, **(requests.facets(store) if before is None else {})}


def show_request(question: Question, key: str, number: int) -> Any:
    found = requests.call(question.reading(key).store, number)
    if found is None:
        raise no(404, f"request {number}: there is none.")
    return found


def list_models(question: Question, key: str) -> Any:
    rows = question.reading(key).store.rows(
        "SELECT m.id, m.name, m.fields, m.created, u.offset AS size, u.complete, u.md5 FROM models m"
        " LEFT JOIN uploads u ON u.id = m.upload ORDER BY m.id DESC LIMIT ? OFFSET ?",
        (question.number("limit", 200, LARGEST_PAGE), question.number("offset", 0)),
    )
    return {"models": [_model(row) for row in rows]}


def _model(row: Row) -> dict[str, Any]:
    fields = json.loads(row["fields"])
    fields = fields if isinstance(fields, dict) else {}
    configuration = fields.get("configuration")
    trial = configuration.get("tune_trial") if isinstance(configuration, dict) else None
    facts = {name: row[name] for name in ("id", "name", "created", "size", "md5")}
    named = {name: fields.get(name) for name in ("plugin", "version", "checkpoint", "description")}
    trial_id = trial.get("trial_id") if isinstance(trial, dict) else None
    return {**facts, **named, "trial": trial_id, "file": bool(row["complete"]), "configuration": configuration}


def download_model(question: Question, key: str, number: int) -> Reply:
    reading = question.reading(key)
    row = reading.store.row(
        "SELECT m.name, u.path FROM models m JOIN uploads u ON u.id = m.upload WHERE m.id = ?", (number,)
    )
    file = upload_file(reading.folder, row["path"]) if row and row["path"] else None
    if row is None or file is None or not file.is_file():
        raise no(404, f"model {number}: it has no file.")
    name = safe_file_name(f"{row['name']}{file.suffix}")
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": f'attachment; filename="{name}"'}
    return Reply(status=200, headers=headers, file=file)


def show_image(question: Question, key: str, entry: int) -> Reply:
    found = trial_detail.image(question.reading(key).store, entry)
    if found is None:
        raise no(404, f"image {entry}: there is none that can be shown.")
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


def answer(library: Library, path: str, params: Sequence[tuple[str, str]]) -> Reply:
    """Never raises for what a browser sends. `path` is what follows the prefix of the API."""
    try:
        for pattern, handler in _COMPILED:
            if found := pattern.fullmatch(path.strip("/")):
                words = [
                    word if len(word) == 8 and index == 0 else int(word) for index, word in enumerate(found.groups())
                ]
                made = handler(Question(library=library, params=params), *words)
                return made if isinstance(made, Reply) else json_reply(200, made)
        raise no(404, f"path: there is no {path[:200]!r}.")
    except Refused as refused:
        return refused.reply
