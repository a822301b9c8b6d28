"""Tests of `trialrun.recorder.mock`."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.mock import mounted


def test_client_needs_no_socket(recorder: Recorder) -> None:
    with mounted(recorder):
        entry = {"event": "message", "data": {"content": "a"}}
        assert requests.post("http://trialrun.test/logs/", json=entry).status_code == 201
        answer = requests.get("http://trialrun.test/models/", params={"name": "a%3Ab"})
        assert (answer.status_code, answer.headers["Content-Type"], answer.json()["count"]) == (
            200,
            "application/json",
            0,
        )
    assert recorder.messages()[0]["content"] == "a"
    assert recorder.requests("models")[0]["params"] == [("name", "a%3Ab")]


@pytest.mark.parametrize("url", ["http://trialrun.test/", "https://api.example.com/v1", "http://h:80/a/b/"])
def test_addresses_lead_back(recorder: Recorder, url: str) -> None:
    base = url.rstrip("/") + "/"
    with mounted(recorder, url):
        page = requests.get(f"{base}sdk/ground_truth_events/?ground_truth_dataset_versions=123").json()
        assert requests.get(page["next"]).json()["results"][0]["data"] == {"label": 100}
        assert requests.get(page["results"][3]["files"]["image"]).content == b"png3"


def test_upload_works_without_a_socket(recorder: Recorder) -> None:
    with mounted(recorder):
        sent = requests.put(
            "http://trialrun.test/chunked_upload/", files={"file": ("a.bin", io.BytesIO(b"abc"))}
        ).json()
        done = requests.post(sent["url"], json={"md5": hashlib.md5(b"abc").hexdigest()}).json()
        assert done["md5_matches"] is True
        made = requests.post("http://trialrun.test/models/", json={"name": "m", "chunked_upload": sent["id"]}).json()
        assert requests.get(made["file"]).content[:2] == b"PK"


def test_bodies_of_every_kind_are_taken(recorder: Recorder) -> None:
    raw = b'{"event": "message", "data": {}}'
    with mounted(recorder):
        for body in (raw, raw.decode(), io.BytesIO(raw), iter([raw[:5], raw[5:]])):
            assert requests.post("http://trialrun.test/logs/", data=body).status_code == 201
    assert len(recorder.messages()) == 4


def test_other_addresses_are_refused(recorder: Recorder) -> None:
    with mounted(recorder), pytest.raises(requests.ConnectionError):
        requests.get("http://elsewhere.test/")


def test_token_is_asked_for(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.sqlite", token="long-enough-token") as recorder, mounted(recorder):
        assert requests.get("http://trialrun.test/models/").status_code == 401
        sent = {"Authorization": "Token long-enough-token"}
        assert requests.get("http://trialrun.test/models/", headers=sent).status_code == 200
