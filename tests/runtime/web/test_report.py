"""A report is one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun.web.report import render_html

from ..recordings.some_study import HOSTILE, report, send, small  # noqa: TID252  # the studies of both folders are the same

NOW = datetime(2026, 2, 3, tzinfo=UTC)


class Parts(HTMLParser):
    """The elements of a file as a browser would see them, and what each script and style holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.content: dict[str, list[str]] = {"script": [], "style": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.content:
            self.content[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.content:
            self.content[self._open][-1] += data


def parts_of(folder: Path, points: int = 60_000) -> Parts:
    with open_study(folder) as study:
        return Parts(render_html(study, NOW, points))


def test_hostile_words_do_not_leave_the_data(tmp_path: Path) -> None:
    names = (HOSTILE, "<!--<script>", "</script x")
    with open_study(small(tmp_path, names=names)) as study:
        made = render_html(study, NOW)
    embedded = made.partition('type="application/json">')[2].partition("<")[0]
    assert [row[0] for row in json.loads(embedded)["trials"]["rows"]] == list(names)
    assert [tag for tag, _ in Parts(made).tags].count("script") == 2


def test_the_policy_names_the_file_s_own_script_and_style(tmp_path: Path) -> None:
    parts = parts_of(small(tmp_path))
    policy = next(found["content"] for tag, found in parts.tags if tag == "meta" and "http-equiv" in found)
    for content in (parts.content["script"][1], parts.content["style"][0]):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in str(policy)
    assert "default-src 'none'" in str(policy)
    assert "unsafe" not in str(policy)


def test_nothing_is_loaded(tmp_path: Path) -> None:
    parts = parts_of(small(tmp_path))
    assert not [name for _, found in parts.tags for name in found if name in ("src", "href", "srcset")]
    script, style = parts.content["script"][1], parts.content["style"][0]
    assert not re.search(r"\b(fetch|EventSource|XMLHttpRequest|importScripts)\s*\(", script)
    assert not re.search(r"@import|url\(", style)


def test_the_curves_of_the_best_and_the_newest_are_kept(tmp_path: Path) -> None:
    data = json.loads(parts_of(small(tmp_path), points=4).content["script"][0])
    assert data["kept"] == 1
    assert [trial for trial, _ in data["curves"]["trial_result:loss"]] == ["a"]
    whole = json.loads(parts_of(tmp_path).content["script"][0])
    assert whole["kept"] == 3


def test_what_json_cannot_say_becomes_nothing(tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        recorder.create_job("odd", {"params": {}})
        send(recorder, report("a", 1, {"x": float("nan"), "y": 1e308}), {"event": "metric", "data": float("inf")})
    data = json.loads(parts_of(tmp_path).content["script"][0], parse_constant=pytest.fail)
    assert data["curves"]["trial_result:y"][0][1]["values"] == [1e308]


@pytest.mark.browser
@pytest.mark.parametrize(("look", "width"), [("light", 1360), ("dark", 1360), ("light", 420)])
def test_it_opens_from_disk(look: str, width: int, tmp_path: Path, chrome: Any) -> None:
    folder = small(tmp_path, names=(HOSTILE, "b", "c"))
    with open_study(folder) as study:
        (tmp_path / "report.html").write_text(render_html(study), "utf-8")
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": look}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    chrome.get((tmp_path / "report.html").as_uri())
    from selenium.webdriver.support.ui import WebDriverWait

    painted = """return [...document.querySelectorAll("canvas")].filter((canvas) => {
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.some((value) => value > 0);
    }).length"""
    chrome.execute_script("document.querySelectorAll('canvas').forEach((each) => each.scrollIntoView())")
    WebDriverWait(chrome, 40).until(lambda _: chrome.execute_script(painted) >= 2)
    rows = "return [...document.querySelectorAll('.gridbox .row:not([hidden]) a')].map((each) => each.textContent)"
    assert chrome.execute_script(rows) == [HOSTILE, "b", "c"]
    chrome.execute_script("document.querySelector('.gridbox .row:not([hidden]) a').click()")
    WebDriverWait(chrome, 40).until(lambda _: chrome.execute_script("return document.querySelector('dialog').open"))
    assert HOSTILE[:20] in chrome.execute_script("return document.querySelector('dialog h1').textContent")
    assert chrome.execute_script("return document.documentElement.scrollWidth") <= width
    if keep := os.environ.get("TRIALRUN_SCREENSHOTS"):
        chrome.execute_script("document.querySelector('dialog').close()")
        chrome.save_screenshot(str(Path(keep) / f"report-{look}-{width}.png"))
    assert not [entry for entry in chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
