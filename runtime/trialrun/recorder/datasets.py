"""Datasets: fixtures as ground truth events, in pages."""

from __future__ import annotations

import mimetypes
from typing import Any

from trialrun.recorder.context import ApiCall
from trialrun.recorder.fixtures import DatasetRow
from trialrun.recorder.normalise import parse_id
from trialrun.recorder.replies import Reply, refuse

__all__ = ["download_dataset_file", "list_ground_truth_events"]


def list_ground_truth_events(call: ApiCall) -> Reply:
    sent = [word for value in call.all_params("ground_truth_dataset_versions") for word in value.split(",")]
    if not sent:
        raise refuse(400, "ground_truth_dataset_versions: must name a dataset.")
    datasets = [_require_dataset(call, word) for word in sent]
    rows = [(dataset, index, row) for dataset, events in datasets for index, row in enumerate(events)]
    part, number, size = call.select_page(len(rows))
    fields = {word for value in call.all_params("fields") for word in value.split(",")}
    events = [_describe_event(call, *row) for row in rows[part]]
    return call.build_page_reply(len(rows), number, size, [_select_fields(event, fields) for event in events])


def download_dataset_file(call: ApiCall, dataset: int, row: int, index: int) -> Reply:
    rows = call.context.fixtures.datasets.get(dataset, ())
    files = list(rows[row].files.items()) if row < len(rows) else []
    if index >= len(files):
        raise refuse(404, "file: there is none.")
    name, content = files[index]
    if isinstance(content, bytes):
        return Reply(status=200, headers={"Content-Type": _guess_media_type(name)}, content=content)
    if not content.is_file():
        raise refuse(404, f"file: {content.name} existed when the recorder started and is missing now.")
    return Reply(status=200, headers={"Content-Type": _guess_media_type(content.name)}, file=content)


def _require_dataset(call: ApiCall, word: str) -> tuple[int, tuple[DatasetRow, ...]]:
    dataset = parse_id(word.strip())
    if dataset is None or dataset not in call.context.fixtures.datasets:
        raise refuse(404, f"dataset {word[:40]!r}: there is none. Add it to the recorder with --dataset.")
    return dataset, call.context.fixtures.datasets[dataset]


def _describe_event(call: ApiCall, dataset: int, index: int, row: DatasetRow) -> dict[str, Any]:
    files = {
        name: call.file_url(
            f"trialrun/files/datasets/{dataset}/{index}/{position}",
            name if isinstance(content, bytes) else content.name,
        )
        for position, (name, content) in enumerate(row.files.items())
    }
    return {"id": index + 1, "category": row.category, "files": files, "data": row.data}


def _select_fields(event: dict[str, Any], fields: set[str]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if not fields or name in fields}


def _guess_media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
