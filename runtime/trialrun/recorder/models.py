"""Models and checkpoints: register, list, download as archives."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from trialrun.recorder.context import ApiCall, Context
from trialrun.recorder.fixtures import write_zip
from trialrun.recorder.normalise import decode_query_name, parse_id, to_text
from trialrun.recorder.replies import Reply, json_reply, refuse
from trialrun.recorder.store import Row
from trialrun.recorder.uploads import upload_path
from trialrun.run_dir import layout

__all__ = ["add_model", "download_model_archive", "list_models", "show_model"]

FIELDS = ("name", "plugin", "version", "checkpoint", "chunked_upload", "configuration", "description")


def list_models(call: ApiCall) -> Reply:
    asked = call.first_param("name")
    name = to_text(decode_query_name(asked)) if asked else None
    total = call.context.store.count("models", "?1 IS NULL OR name = ?1", (name,))
    part, number, size = call.select_page(total)
    rows = call.context.store.fetch_all(
        "SELECT * FROM models WHERE ?1 IS NULL OR name = ?1 ORDER BY id LIMIT ?2 OFFSET ?3", (name, size, part.start)
    )
    return call.build_page_reply(total, number, size, [_describe_model(call, row) for row in rows])


def show_model(call: ApiCall, model: int) -> Reply:
    row = call.context.store.fetch_one("SELECT * FROM models WHERE id = ?", (model,))
    if row is not None:
        return json_reply(200, _describe_model(call, row))
    checkpoint = call.context.fixtures.checkpoints.get(model)
    if checkpoint is None:
        raise refuse(404, f"model {model}: there is none.")
    fixture = {"id": model, "name": checkpoint.name, "file": _file_url(call, model), "configuration": {}}
    return json_reply(200, {**dict.fromkeys(FIELDS), **fixture})


def add_model(call: ApiCall) -> Reply:
    sent = call.body_object()
    name = to_text(sent.get("name") or "")
    upload = parse_id(sent.get("chunked_upload"))
    if call.context.strict:
        _check_model(call, sent, name, upload)
    model = _next_model_id(call.context)
    call.context.store.add_model(model=model, name=name, upload=upload, fields=sent, time=call.time)
    return json_reply(201, json.loads(show_model(call, model).content))


def download_model_archive(call: ApiCall, model: int) -> Reply:
    """Send the model as a zip archive: the upload itself when it is one, else packed on the first call."""
    packed = _load_model_zip(call.context, model)
    if packed is None and model in call.context.fixtures.checkpoints:
        packed = call.context.fixtures.checkpoint_zip(model, call.context.folder / layout.RECORDER_PACKED)
    if packed is None:
        raise refuse(404, f"model {model}: it has no file.")
    return Reply(status=200, headers={"Content-Type": "application/zip"}, file=packed)


def _check_model(call: ApiCall, sent: dict[str, Any], name: str, upload: int | None) -> None:
    for key in (key for key in sent if key not in FIELDS):
        raise refuse(400, f"{key}: is no field of a model. Send only: {', '.join(FIELDS)}.")
    if not name:
        raise refuse(400, "name: must be a string that is not empty.")
    if call.context.store.fetch_one("SELECT id FROM models WHERE name = ?", (name,)):
        raise refuse(400, f"name: must be new, and there is a model {name[:200]!r}. Choose another.")
    row = call.context.store.fetch_one("SELECT complete FROM uploads WHERE id = ?", (upload,))
    if row is None or not row["complete"]:
        raise refuse(
            400, f"chunked_upload: must be a finished upload, got {to_text(sent.get('chunked_upload'))[:100]}."
        )


def _next_model_id(context: Context) -> int:
    model: int = context.store.fetch_all("SELECT coalesce(max(id), 0) + 1 AS id FROM models")[0]["id"]
    while model in context.fixtures.checkpoints:
        model += 1
    return model


def _describe_model(call: ApiCall, row: Row) -> dict[str, Any]:
    has_file = _find_upload(call.context, row["upload"]) is not None
    facts = {"id": row["id"], "name": row["name"], "created": row["created"]}
    return {
        **dict.fromkeys(FIELDS),
        **json.loads(row["fields"]),
        **facts,
        "file": _file_url(call, row["id"]) if has_file else None,
    }


def _file_url(call: ApiCall, model: int) -> str:
    return call.file_url(f"trialrun/files/models/{model}", f"model-{model}.zip")


def _find_upload(context: Context, upload: int | None) -> Row | None:
    return context.store.fetch_one("SELECT * FROM uploads WHERE id = ?", (upload,)) if upload is not None else None


def _load_model_zip(context: Context, model: int) -> Path | None:
    row = context.store.fetch_one("SELECT upload FROM models WHERE id = ?", (model,))
    upload = _find_upload(context, row["upload"]) if row else None
    if upload is None:
        return None
    file = upload_path(context.folder, upload["path"])
    # by name too: a PyTorch file is a zip archive, and a client must get it as a file inside one
    if file.suffix.lower() == ".zip" and zipfile.is_zipfile(file):
        return file
    packed = context.folder / layout.RECORDER_PACKED / f"model-{model}.zip"
    if not packed.exists():
        write_zip(file, packed)
    return packed
