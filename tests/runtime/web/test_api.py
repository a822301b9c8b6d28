"""The answers of the Web UI's API."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer

from ..recordings.a_study import Asked, data_uri, png, send, table  # noqa: TID252  # the studies of both folders are the same


def test_a_job_is_listed_with_what_it_is_after(server: HttpServer, session: requests.Session) -> None:
    (recording,) = session.get(f"{server.url}ui/api/jobs").json()["recordings"]
    (job,) = recording["jobs"]
    assert (job["name"], job["metric"], job["mode"], recording["folder"]) == ("study", "loss", "min", "study")
    assert job["trials"] == {"TERMINATED": 1, "ERROR": 1, "PAUSED": 1, "RUNNING": 1}


def test_a_job_s_page_has_its_series(asked: Asked) -> None:
    job = asked("jobs/1")
    assert job["series"] == [{"event": "trial_result", "name": "loss"}]
    assert (job["plugin"], job["counts"]["requests"]) == ("demo 1", 10)


def test_phases_come_with_their_progress(study: Recorder, asked: Asked) -> None:
    record = {"overall": 40, "time_remaining": 12.5, "categories": {"trials": {"current": 2, "total": 5}}}
    study.handle("PATCH", "jobs/1", body=json.dumps({"progress_record": record}).encode())
    job = asked("jobs/1")
    assert (job["progress"]["overall"], job["time_remaining"]) == (40, 12.5)
    assert job["progress"]["categories"]["trials"]["current"] == 2


def test_the_error_of_a_failed_job_is_told(study: Recorder, asked: Asked) -> None:
    send(study, "status", {"status": "FAILED", "error": "it broke"})
    assert asked("jobs/1")["error"] == "it broke"


def test_rows_come_sorted(asked: Asked) -> None:
    page = asked("jobs/1/trials", sort="m:loss", order="desc", limit=1, where='[["h:kind", "=", "x"]]')
    assert (page["total"], [row[0] for row in page["rows"]]) == (2, ["a"])
    assert page["columns"]["shown"] == ["loss"]


def test_a_plain_page_is_that_of_the_whole_board(asked: Asked) -> None:
    for offset in range(5):
        plain = asked("jobs/1/trials", offset=offset, limit=2)
        sorted_ = asked("jobs/1/trials", offset=offset, limit=2, sort="number")
        assert (plain["total"], plain["rows"]) == (4, sorted_["rows"])


@pytest.mark.parametrize("where", ["x", "[1]", '[["m:loss", "~", 1]]', '[["m:loss"]]', '{"a": 1}'])
def test_a_wrong_condition_is_refused(asked: Asked, where: str) -> None:
    assert "where" in asked("jobs/1/trials", 400, where=where)["detail"]


@pytest.mark.parametrize(
    "path", ["jobs/2", "jobs/1/trial?trial=zzz", "requests/999", "models/1/file", "images/1", "nothing"]
)
def test_what_is_not_there_is_not_found(asked: Asked, path: str) -> None:
    assert "detail" in asked(path, 404)


@pytest.mark.parametrize("name", ["limit", "offset"])
def test_a_number_must_be_one(asked: Asked, name: str) -> None:
    assert name in asked("jobs/1/trials", 400, **{name: "-1"})["detail"]


def test_curves_come_with_steps(asked: Asked) -> None:
    (line, none) = asked("jobs/1/curves", series="trial_result:loss", trial=["a", "d"])["lines"]
    assert (line["steps"], line["values"], line["count"]) == ([1, 2, 3], [1, 0.5, 1 / 3], 3)
    assert none["values"] == []


def test_importance_says_how_it_was_estimated(asked: Asked) -> None:
    found = asked("jobs/1/importance")
    assert found["method"].startswith("Estimate")
    assert (found["shares"], found["trials"]) == ([], 1)


def test_a_trial_s_page_has_its_images(study: Recorder, asked: Asked) -> None:
    facts = {"category": "validation", "group": "digits", "index": 3, "epoch": 2, "trial_id": "a"}
    send(study, "visualization", facts, file=data_uri(png()))
    (image,) = asked("jobs/1/trial", trial="a")["images"]
    assert (image["group"], image["index"], image["meta"]) == ("digits", 3, {"epoch": 2})
    assert asked(f"images/{image['id']}") == png()


@pytest.mark.parametrize("kind", ["image/png", "image/svg+xml", "text/html"])
def test_what_is_no_image_is_not_shown(study: Recorder, asked: Asked, kind: str) -> None:
    script = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    send(study, "visualization", {"group": "g", "index": 0, "trial_id": "a"}, file=data_uri(script, kind))
    (image,) = asked("jobs/1/trial", trial="a")["images"]
    assert "detail" in asked(f"images/{image['id']}", 404)


def test_a_trial_s_messages_are_its_own(study: Recorder, asked: Asked) -> None:
    send(study, "message", {"content": "of a", "context": "info"}, key="run-a-0-1")
    send(study, "message", {"content": "of b", "context": "info"}, key="run-b-0-1")
    send(study, "message", {"content": "trial a failed: no", "context": "danger"}, key="run-driver-1")
    assert [message["content"] for message in asked("jobs/1/trial", trial="a")["messages"]] == [
        "of a",
        "trial a failed: no",
    ]


def test_messages_are_found_by_text(study: Recorder, asked: Asked) -> None:
    for content, context in (("Größe 1", "info"), ("other", "danger")):
        send(study, "message", {"content": content, "context": context})
    assert [m["content"] for m in asked("jobs/1/messages", text="größe")["messages"]] in (["Größe 1"], [])
    assert [m["content"] for m in asked("jobs/1/messages", text="Größe")["messages"]] == ["Größe 1"]
    assert [m["content"] for m in asked("jobs/1/messages", context="danger")["messages"]] == ["other"]


def test_the_end_of_what_was_printed_is_shown(study: Recorder, asked: Asked) -> None:
    folder = study.path.parent / "trials" / "a"
    folder.mkdir(parents=True)
    (folder / "stdout").write_text("x" * 100_000 + "the end\n", "utf-8")
    tail = asked("jobs/1/output", trial="a", stream="stdout")
    assert (tail["size"], tail["cut"], tail["text"][-8:]) == (100_008, True, "the end\n")
    assert asked("jobs/1/trial", trial="a")["output"] == {"stdout": 100_008, "stderr": None}


def write_job(study: Recorder, **tune_config: Any) -> Path:
    """A job as a run writes it beside its recording; returns its folder of trials."""
    space = [{"name": "rate", "type": "uniform", "min": 0, "max": 1}]
    config = {"num_samples": 1, "metric": "loss", "mode": "min", **tune_config}
    params = {"name": "study", "is_tune": True, "hyperparameters": space, "tune_config": config}
    (study.path.parent / "job.json").write_text(json.dumps({"params": params}), "utf-8")
    return study.path.parent / "trials"


def test_output_is_found_whatever_the_job_calls_the_trial_s_folder(study: Recorder, asked: Asked) -> None:
    folder = write_job(study, trial_name="rate={rate}-{trial_id}") / "rate=0.1-a"
    folder.mkdir(parents=True)
    (folder / "stderr").write_text("oh", "utf-8")
    assert asked("jobs/1/output", trial="a", stream="stderr")["text"] == "oh"
    page = asked("jobs/1/trial", trial="a")
    assert (page["output"], page["folder"]) == ({"stdout": None, "stderr": 2}, str(folder))
    assert "detail" in asked("jobs/1/output", 404, trial="rate", stream="stderr")


@pytest.mark.parametrize(
    ("log_to_file", "sizes"),
    [
        ("output.log", {"stdout": 1, "stderr": None}),
        (["output.log", "more.log"], {"stdout": 1, "stderr": 2}),
        (False, {"stdout": None, "stderr": None}),
    ],
)
def test_output_is_read_from_the_files_that_the_job_names(
    study: Recorder, asked: Asked, log_to_file: Any, sizes: dict[str, int | None]
) -> None:
    folder = write_job(study, log_to_file=log_to_file) / "a"
    folder.mkdir(parents=True)
    for name, text in {"output.log": "x", "more.log": "yy", "stdout": "other"}.items():
        (folder / name).write_text(text, "utf-8")
    assert asked("jobs/1/trial", trial="a")["output"] == sizes
    for stream, size in sizes.items():
        asked("jobs/1/output", 404 if size is None else 200, trial="a", stream=stream)


@pytest.mark.parametrize("trial", ["..", ".", "../trials", "a/../..", "/etc", "", "a\0b", "x" * 5_000])
def test_output_stays_in_its_folder(study: Recorder, asked: Asked, trial: str) -> None:
    (study.path.parent / "trials").mkdir()
    (study.path.parent / "stdout").write_text("secret", "utf-8")
    (study.path.parent / "trials" / "stdout").write_text("secret", "utf-8")
    assert "detail" in asked("jobs/1/output", 404, trial=trial, stream="stdout")


def test_a_trial_whose_name_is_too_long_for_a_folder_has_its_page(study: Recorder, asked: Asked) -> None:
    name = "x" * 5_000
    send(study, "trials_delta", table(**{name: ("RUNNING", [0.1, "x"], [1.0])}))
    page = asked("jobs/1/trial", trial=name)
    assert (page["rows"][0][0], page["folder"], page["output"]["stdout"]) == (name, None, None)


def test_output_follows_no_link(study: Recorder, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", "utf-8")
    (study.path.parent / "trials" / "a").mkdir(parents=True)
    (study.path.parent / "trials" / "a" / "stdout").symlink_to(tmp_path / "secret")
    assert "detail" in asked("jobs/1/output", 404, trial="a", stream="stdout")


def test_a_model_is_downloaded_as_it_was_uploaded(study: Recorder, asked: Asked) -> None:
    content = b"weights" * 100
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.bin"\r\n\r\n' + content + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    upload = study.handle("PUT", "chunked_upload", headers=kind, body=form).json()["id"]
    md5 = json.dumps({"md5": hashlib.md5(content).hexdigest()}).encode()
    study.handle("POST", f"chunked_upload/{upload}", body=md5)
    model = {"name": "m_a", "chunked_upload": upload, "configuration": {"tune_trial": {"trial_id": "a"}}}
    study.handle("POST", "models", body=json.dumps(model).encode())
    (listed,) = asked("models")["models"]
    assert (listed["trial"], listed["file"], listed["size"]) == ("a", True, len(content))
    assert asked(f"models/{listed['id']}/file") == content


def test_traffic_is_narrowed_down(study: Recorder, asked: Asked) -> None:
    study.handle("GET", "jobs/1")
    study.handle("GET", "jobs/7")
    found = asked("requests", route="jobs/#")
    assert [call["path"] for call in found["requests"]] == ["jobs/7", "jobs/1"]
    assert {"route": "logs", "count": 10} in found["routes"]
    assert [call["path"] for call in asked("requests", status="4xx")["requests"]] == ["jobs/7"]
    assert [call["path"] for call in asked("requests", status="404", route="logs")["requests"]] == []


def test_traffic_is_paged(study: Recorder, asked: Asked) -> None:
    for _ in range(120):
        study.handle("GET", "models")
    first = asked("requests")["requests"]
    then = asked("requests", before=first[-1]["id"])["requests"]
    numbers = [call["id"] for call in first + then]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == 130


def test_a_call_is_shown_without_its_tokens(server: HttpServer, session: requests.Session, asked: Asked) -> None:
    body = {"event": "message", "job": 1, "data": {"content": f"my token is {server.token}"}}
    requests.post(f"{server.url}logs/", json=body, headers={"Authorization": f"Token {server.token}"})
    call = asked(f"requests/{asked('requests')['requests'][0]['id']}")
    assert server.token not in json.dumps(call)
    assert call["headers"]["authorization"] == "***"
    assert "my token is ***" in call["body"]


def test_the_page_leaves_no_trace_in_the_recording(study: Recorder, asked: Asked) -> None:
    before = study.requests()
    for path in ("jobs/1", "jobs/1/trials", "requests", "models", "jobs/1/messages"):
        asked(path)
    assert study.requests() == before


def test_numbers_that_json_lacks_are_null(study: Recorder, asked: Asked) -> None:
    rows = '{"base": ["trial_id"], "metrics": ["loss"], "trials": {"n": {"base": ["n"], "metrics": [NaN]}}}'
    body = f'{{"event": "trials_delta", "job": 1, "data": {rows}}}'
    study.handle("POST", "logs", body=body.encode())
    assert asked("jobs/1/trials")["rows"][-1][9] == [None]
