"""The other parts of the page, hostile words among them, small screens and dark ones."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Recorder
from trialrun.recordings.library import Library
from trialrun.web.server import LoopbackServer

from .conftest import HEADING, Page
from .live import HOSTILE, patch, report, row, send, small_study

pytestmark = pytest.mark.browser


def png(width: int = 8) -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    lines = b"".join(b"\0" + bytes((x * y * 4) % 256 for x in range(width)) for y in range(width))
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(made).decode()


def a_full_study(recorder: Recorder) -> None:
    small_study(recorder)
    for index in range(3):
        facts = {"category": "validation", "group": "digits", "index": index, "trial_id": "b", "epoch": index}
        send(recorder, "visualization", facts, file=png(16 + 8 * index))
    send(recorder, "message", {"content": "half way", "context": "info"}, key="run-b-0-1")
    send(recorder, "message", {"content": "trial c failed: ValueError: no", "context": "danger"}, key="run-driver-9")
    folder = recorder.path.parent / "trials" / "b"
    folder.mkdir(parents=True)
    (folder / "stdout").write_text("line 1\nline 2\n", "utf-8")
    content = b"weights"
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="m.bin"\r\n\r\n' + content + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    upload = recorder.handle("PUT", "chunked_upload", headers=headers, body=form).json()["id"]
    recorder.handle(
        "POST", f"chunked_upload/{upload}", body=json.dumps({"md5": hashlib.md5(content).hexdigest()}).encode()
    )
    model = {
        "name": "study_b",
        "chunked_upload": upload,
        "plugin": "demo",
        "version": "1.2",
        "configuration": {"tune_trial": {"trial_id": "b"}},
    }
    number = recorder.handle("POST", "models", body=json.dumps(model).encode()).json()["id"]
    send(recorder, "model", {"model_id": number, "trial_id": "b", "name": "study_b"})


def test_a_trial_s_page_has_it_all(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    page.open("trial/b")
    page.until("document.querySelectorAll('.shots img').length === 3")
    page.until("[...document.querySelectorAll('.shots img')].every((image) => image.complete && image.naturalWidth)")
    page.until("document.querySelector('pre.log')?.innerText.includes('line 2')")
    text = page.text("main")
    for words in ("best trial", "0.9", "half way", "Download model 1", "digits", "4 reports"):
        assert words in text
    page.until("document.querySelectorAll('.grid3 canvas').length === 2")
    page.shot("trial")


def test_a_failed_trial_says_why(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    page.open("trial/c")
    page.until("document.querySelector('main .stack .notice.bad')?.innerText.includes('ValueError: no')")


def test_a_trial_whose_process_was_killed_says_so(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    told = {
        "error": "its worker process died",
        "cause": "killed",
        "node": "box-7",
        "traceback": "",
        "stderr": "the end",
    }
    send(recorder, "failure", {"trial_id": "c", **told})
    page.open("trial/c")
    page.until(
        "document.querySelector('main .stack .notice.bad')?.innerText.includes('its process was killed on box-7')"
    )
    page.js("document.querySelector('main .stack .notice.bad details').open = true")
    assert "the end" in page.text("main .stack .notice.bad")
    assert "Traceback" not in page.text("main .stack .notice.bad")
    page.shot("failed")


def test_a_trial_that_is_not_there_is_told(page: Page) -> None:
    page.open("trial/zzz")
    page.until("document.querySelector('main .stack .notice.bad')?.innerText.includes('there is none')")
    page.chrome.get_log("browser")  # the browser itself writes a line for every 404


def test_models_can_be_downloaded(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    page.open("models")
    page.until("document.querySelector('main .wide a.button')")
    address = page.js("return document.querySelector('main .wide a.button').getAttribute('href')")
    assert (
        page.module("return (await fetch(arguments0)).text()".replace("arguments0", json.dumps(address))) == "weights"
    )
    page.shot("models")


def test_messages_are_found(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    page.open("messages")
    page.until("document.querySelectorAll('.messages li').length === 2")
    page.js(
        "const box = document.querySelector('main input[type=search]');"
        "box.value = 'half'; box.dispatchEvent(new Event('input'))"
    )
    page.until("document.querySelectorAll('.messages li').length === 1")


def test_requests_are_filtered_and_opened(recorder: Recorder, page: Page) -> None:
    a_full_study(recorder)
    recorder.handle("GET", "jobs/77", headers={"Authorization": "Token a-secret-of-somebody"})
    page.open("requests")
    page.until("document.querySelectorAll('main tbody tr').length > 10")
    page.js(
        "const s = document.querySelectorAll('main select')[1]; s.value = '4xx'; s.dispatchEvent(new Event('change'))"
    )
    page.until("document.querySelectorAll('main tbody tr').length === 1")
    page.click("main tbody button")
    page.until("document.querySelector('main tbody dl')?.innerText.includes('***')")
    assert "a-secret-of-somebody" not in page.chrome.page_source
    page.shot("requests")


def test_importance_and_timeline_are_drawn(recorder: Recorder, page: Page) -> None:
    for number in range(30):
        row(recorder, f"t{number}", "TERMINATED", number / 30, "xy"[number % 2], (number / 30) ** 2)
    page.open("analysis")
    page.until("document.querySelectorAll('.bars dt').length === 2")
    assert page.text(".bars dt") == "rate"
    assert "Estimate" in page.text("main")
    page.until("document.querySelector('.plot canvas').getAttribute('aria-label') === 'When 30 trials ran'")
    page.shot("analysis")


def test_a_training_job_shows_its_curves(tmp_path: Path, page_of: Callable[[Any], Page]) -> None:
    with Recorder(tmp_path / "train" / "recorder.sqlite") as recorder, recorder.server() as server:
        recorder.create_job("training", {"action": "train", "params": {"name": "training", "hyperparameter": {}}})
        page = page_of(server)
        page.open()
        for epoch in range(4):
            send(
                recorder,
                "metric",
                {"category": "train", "key": "loss", "value": 1 / (epoch + 1), "metrics": {"epoch": epoch}},
            )
        page.until("document.querySelector('.grid3 canvas')?.getAttribute('aria-label')?.startsWith('train/loss')")
        page.shot("training")


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_words_are_text(kind: str, tmp_path: Path, page_of: Callable[[Any], Page]) -> None:
    """The name of everything that a plugin or a client can name."""
    word = HOSTILE[kind]
    with Recorder(tmp_path / "r" / "recorder.sqlite") as recorder, recorder.server() as server:
        params = {"name": word, "is_tune": True, "tune_config": {"metric": word, "mode": "max"}}
        recorder.create_job(word, {"params": params}, plugin=word, version=word)
        columns = {"base": ["trial_id", "status"], "hyperparameters": [word], "metrics": [word]}
        for trial, status in ((word, word), ("b", "ERROR")):
            cells = {"base": [trial, status], "hyperparameters": [word], "metrics": [0.5]}
            send(recorder, "trials_delta", {**columns, "trials": {trial: cells}})
            send(recorder, "trial_result", {"trial_id": trial, "iteration": 1, "metrics": {word: 0.5}})
            send(recorder, "metric", {"trial_id": trial, "category": word, "key": word, "value": 1})
            send(
                recorder,
                "visualization",
                {"trial_id": trial, "category": word, "group": word, "index": word, word: word},
                file=png(),
            )
        send(recorder, "message", {"content": word, "context": word}, key=f"run-{word}-1")
        recorder.handle("GET", f"jobs/{word[:200]}", params={word[:200]: word[:200]})
        patch(
            recorder,
            status="FAILED",
            progress_record={"categories": {word: {"current": 1, "total": 2}}},
            result={word: word},
        )
        send(recorder, "status", {"status": "FAILED", "error": word})
        page = page_of(server)
        page.open()
        page.until("document.querySelectorAll('.gridbox .row:not([hidden])').length === 2")
        base = page.js("return location.hash")
        for tab, there in {
            "curves": ".plot canvas[aria-label]",
            "analysis": ".plot canvas[aria-label]",
            "messages": ".messages li",
            "models": ".empty",
            "requests": "tbody tr",
            "about": "pre.log",
        }.items():
            page.go(f"{base}/{tab}")
            page.until("document.querySelector(arguments[0])", there)
        page.js("location.hash = arguments[0] + '/trial/' + encodeURIComponent(arguments[1])", base, word)
        page.until(
            f"document.querySelector('.shots img') && {HEADING} === arguments[0]",
            word,
        )
        page.js("location.hash = arguments[0] + '/compare/' + encodeURIComponent(arguments[1]) + '/b'", base, word)
        page.until("document.querySelector('main tbody tr')")
        page.go("#/")
        page.until("document.querySelector('main tbody a')?.textContent === arguments[0]", word)
        assert page.js("return window.hacked") is None
        assert page.js("return document.querySelectorAll('main img:not([src^=\"/ui/\"]), main script').length") == 0


@pytest.mark.parametrize(("theme", "ground"), [("light", 0.8), ("dark", 0.1)])
def test_the_page_follows_the_system_s_theme(recorder: Recorder, page: Page, theme: str, ground: float) -> None:
    a_full_study(recorder)
    page.theme(theme)
    page.open()
    page.until_rows(list("abcde"))
    color = page.js("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    assert (sum(color) / 765 > 0.8) == (ground == 0.8)
    page.shot(theme)


def test_the_switch_turns_the_theme(recorder: Recorder, page: Page) -> None:
    page.open()
    page.click("#theme")
    assert page.js("return document.documentElement.dataset.theme") == "dark"
    page.chrome.refresh()
    page.until("document.documentElement.dataset.theme === 'dark'")
    page.js("localStorage.clear()")


JUDGED = (Path(__file__).parent / "judged.js").read_text("utf-8")
DRAWN = "[...document.querySelectorAll('canvas')].every((each) => each.ariaLabel || !each.checkVisibility())"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "tab", ["", "curves", "analysis", "messages", "models", "requests", "about", "trial/b", "compare/a/b"]
)
def test_words_can_be_read_and_controls_have_names(recorder: Recorder, page: Page, theme: str, tab: str) -> None:
    a_full_study(recorder)
    page.theme(theme)
    page.open(tab)
    page.until("document.querySelector('main .card, main .gridbox')")
    page.until(DRAWN)
    assert page.js(JUDGED) == []


@pytest.mark.parametrize(
    "tab", ["", "curves", "analysis", "messages", "models", "requests", "about", "trial/b", "compare/a/b"]
)
def test_a_narrow_screen_needs_no_sideways_scrolling(recorder: Recorder, page: Page, tab: str) -> None:
    a_full_study(recorder)
    page.size(360, 800)
    page.open(tab)
    page.until("document.querySelector('main .card, main .gridbox')")
    page.until("document.documentElement.scrollWidth <= 360")
    if not tab:
        page.until_rows(list("abcde"))
        page.shot("narrow")


def test_old_recordings_are_listed_side_by_side(tmp_path: Path, page_of: Callable[[Any], Page]) -> None:
    for name in ("one", "two"):
        with Recorder(tmp_path / name / "recorder.sqlite") as recorder:
            recorder.create_job(name, {"params": {}})
            report(recorder, "t", 0.5)
    with LoopbackServer(Library(tmp_path), token=None) as server:
        page = page_of(server)
        page.open(None)
        page.until("document.querySelectorAll('main tbody tr').length === 2")
        page.shot("jobs")
