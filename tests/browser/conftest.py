"""The page in the browser, and what every test of it must leave behind: a silent console.

TRIALRUN_SCREENSHOTS names a folder to keep screenshots in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trialrun.recorder import Recorder
from trialrun.recorder.recorder import HttpServer

from .live import PARAMS

WIDE = (1360, 960)
HEADING = "[...document.querySelectorAll('main h1')].find((h) => h.checkVisibility())?.textContent"
WAIT_S = 40


class Page:
    """The page in the browser, as a test talks to it."""

    def __init__(self, chrome: Any, server: Any) -> None:
        self.chrome = chrome
        self.server = server
        self.keep = os.environ.get("TRIALRUN_SCREENSHOTS")

    def open(self, address: str | None = "") -> None:
        """The printed address first, as a person would; then a part of the first job, such as `trial/a`, or none."""
        self.chrome.get(self.server.page_url)
        self.until("document.querySelector('main a')")
        if address is not None:
            key = self.js("return document.querySelector('main a').getAttribute('href')")
            self.go(f"{key}/{address}".rstrip("/"))

    def go(self, fragment: str) -> None:
        self.js("location.hash = arguments[0]", fragment)

    def js(self, script: str, *values: Any) -> Any:
        return self.chrome.execute_script(script, *values)

    def module(self, script: str, *values: Any) -> Any:
        """Run `script` with a promise for its answer; it may import the page's modules."""
        asked = f"const done = arguments[arguments.length - 1]; (async () => {{ {script} }})().then(done, done)"
        return self.chrome.execute_async_script(asked, *values)

    def until(self, expression: str, *values: Any) -> Any:
        """Wait until an expression is true; what the page shows then is the answer."""
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(self.chrome, WAIT_S, poll_frequency=0.05)
        try:
            return wait.until(lambda _: self.js(f"return ({expression})", *values))
        except Exception as error:
            raise AssertionError(f"never: {expression}\non the page: {self.text('main')[:2000]}") from error

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def click(self, selector: str) -> None:
        self.until("document.querySelector(arguments[0])", selector)
        self.js("document.querySelector(arguments[0]).click()", selector)

    def rows(self) -> list[str]:
        """The trials in sight, from top to bottom."""
        found: list[str] = self.js(
            "return [...document.querySelectorAll('.gridbox .row:not([hidden])')]"
            ".sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))"
            ".map((row) => row.querySelector('a').textContent)"
        )
        return found

    def until_rows(self, expected: list[str]) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.chrome, WAIT_S, 0.05).until(
            lambda _: self.rows() == expected, f"{self.rows()} is not {expected}"
        )

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def shot(self, name: str) -> None:
        """Keep a screenshot where TRIALRUN_SCREENSHOTS asks for them."""
        self.module("await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 300)))")
        if self.keep:
            folder = Path(self.keep)
            folder.mkdir(parents=True, exist_ok=True)
            self.chrome.save_screenshot(str(folder / f"{name}.png"))


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "study" / "recorder.sqlite") as made:
        made.create_job("a study", {"action": "train", "params": PARAMS}, plugin="demo", version="1.2")
        yield made


@pytest.fixture
def server(recorder: Recorder) -> Iterator[HttpServer]:
    with recorder.server() as made:
        yield made


@pytest.fixture
def page_of(chrome: Any) -> Iterator[Callable[[Any], Page]]:
    """Make a page of any server; at the end the console must be silent, and nothing may have been asked of others."""
    for log in ("browser", "performance"):
        chrome.get_log(log)
    made: list[Page] = []

    def page(server: Any) -> Page:
        made.append(Page(chrome, server))
        made[-1].size(*WIDE)
        made[-1].theme("light")
        return made[-1]

    yield page
    spoken = [entry for entry in chrome.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    asked = {url for entry in chrome.get_log("performance") for url in _requested(entry)}
    chrome.get("about:blank")
    assert not spoken
    own = tuple(page.server.url for page in made)
    assert not [url for url in asked if not url.startswith((*own, "about:"))]


@pytest.fixture
def page(server: HttpServer, page_of: Callable[[Any], Page]) -> Page:
    # in this order the page is left before the server stops: a request under way must not be an error in the console
    return page_of(server)


def _requested(entry: Any) -> Iterator[str]:
    message = json.loads(entry["message"])["message"]
    if message["method"] == "Network.requestWillBeSent":
        yield message["params"]["request"]["url"]
