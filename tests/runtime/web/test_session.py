"""Access to the Web UI."""

from __future__ import annotations

import pytest
import requests

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer


def test_the_printed_address_becomes_a_cookie(server: HttpServer) -> None:
    answer = requests.get(server.page_url, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ui/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path=/ui" in cookie
    assert server.token not in cookie


@pytest.mark.parametrize(
    "path", ["ui/", "ui/api/jobs", "ui/?token=wrong", "ui/?token=", "ui/api/00000000/jobs/1/stream"]
)
def test_without_the_token_nothing_is_shown(server: HttpServer, path: str) -> None:
    answer = requests.get(server.url + path)
    assert answer.status_code == 401
    assert "study" not in answer.text


def test_a_cookie_of_another_recorder_is_none_of_ours(server: HttpServer) -> None:
    with Recorder() as other, other.server() as elsewhere, requests.Session() as session:
        session.get(elsewhere.page_url)
        assert session.get(f"{elsewhere.url}ui/api/jobs").status_code == 200
        assert session.get(f"{server.url}ui/api/jobs").status_code == 401


def test_two_recorders_on_one_machine_share_a_browser(server: HttpServer, session: requests.Session) -> None:
    with Recorder() as other, other.server() as elsewhere:
        session.get(elsewhere.page_url)
        assert session.get(f"{server.url}ui/api/jobs").status_code == 200


def test_scripts_bring_the_token_as_to_the_api(server: HttpServer) -> None:
    good = requests.get(f"{server.url}ui/api/jobs", headers={"Authorization": f"Token {server.token}"})
    bad = requests.get(f"{server.url}ui/api/jobs", headers={"Authorization": "Token wrong"})
    assert (good.status_code, bad.status_code) == (200, 401)


@pytest.mark.parametrize("path", ["ui/", "ui/app.js", "ui/api/jobs", "ui/api/00000000/jobs/1/stream"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "127.0.0.1"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
def test_a_foreign_page_gets_nothing(
    session: requests.Session, server: HttpServer, path: str, headers: dict[str, str]
) -> None:
    assert session.get(server.url + path, headers=headers).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_loads_no_data(session: requests.Session, server: HttpServer, site: str) -> None:
    assert session.get(f"{server.url}ui/api/jobs", headers={"Sec-Fetch-Site": site}).status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_page_only_reads(session: requests.Session, server: HttpServer, method: str) -> None:
    assert session.request(method, f"{server.url}ui/api/jobs").status_code == 405


@pytest.mark.parametrize("path", ["ui/", "ui/app.js", "ui/api/jobs", "ui/api/nothing", "ui/nothing"])
def test_every_answer_is_locked_down(session: requests.Session, server: HttpServer, path: str) -> None:
    headers = session.get(server.url + path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["../app.py", "..%2fapp.py", "static/../../store.py", "view/%2e%2e/%2e%2e/app.py", "x.py", "app.js/"]
)
def test_files_stay_in_their_folder(session: requests.Session, server: HttpServer, path: str) -> None:
    request = requests.Request("GET", server.url).prepare()
    request.url = f"{server.url}ui/{path}"
    assert session.send(request).status_code in (401, 404)


def test_a_file_that_did_not_change_is_not_sent_again(server: HttpServer) -> None:
    tag = requests.get(f"{server.url}ui/app.js").headers["ETag"]
    assert requests.get(f"{server.url}ui/app.js", headers={"If-None-Match": tag}).status_code == 304
