"""The pictures of README and docs/: `trialrun check` failing and passing, and the Web UI after a tuning job.

    python docs/screenshots.py            write docs/images/*.png
    python docs/screenshots.py --output DIR

Needs selenium, chromium and chromedriver, and the extra `sklearn` for the job that the Web UI shows. The
script runs the commands and photographs their real output. Run it again when the output of `trialrun check` changes.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = ["main", "render_terminal", "run_check"]

ROOT = Path(__file__).resolve().parent.parent
FAILING = ROOT / "tests" / "broken_plugins" / "tr" / "TR305_no_checkpoint.py"
PASSING = ROOT / "reference_plugins" / "trialrun_reference" / "pure.py"
COLUMNS = 92
UI_SIZE = (1280, 1350)
TERMINAL_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg"><style>
.{unique_id}-matrix {{ font-family: DejaVu Sans Mono, monospace; font-size: {char_height}px;
line-height: {line_height}px }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif }}
{styles}</style><defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g></svg>"""


def run_check(plugin: Path, name: str) -> str:
    """Return what `trialrun check NAME` prints, with its colours, for a copy of `plugin`."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(plugin, Path(folder, name))
        command = [sys.executable, "-m", "trialrun", "check", name, "--no-repro"]
        environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"`trialrun check` of {plugin} exited with {done.returncode}: {done.stderr}")
    return f"$ trialrun check {name}\n{done.stdout}"


def render_terminal(output: str, title: str) -> str:
    """Return an SVG of a terminal that shows `output`."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi(output.rstrip()))
        return console.export_svg(title=title, code_format=TERMINAL_FORMAT)


@contextlib.contextmanager
def open_browser(width: int, height: int) -> Iterator[Any]:
    """Yield a headless chromium with a window of that size."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{flag}")
    options.binary_location = shutil.which("chromium") or ""
    browser = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield browser
    finally:
        browser.quit()


def run_demo(folder: Path) -> None:
    """Run the job of `make demo` without Ray, so that it takes seconds and gives the same picture each time."""
    job = json.loads((ROOT / "examples" / "digits_tuning.json").read_text("utf-8"))
    job["params"]["tune_config"].update(scheduler={"name": "fifo"}, num_samples=18)
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    command = [sys.executable, "-m", "trialrun", "run", "job.json", "--plugin", "sklearn_digits", "--quiet"]
    command += ["--dataset", "1=digits", "--executor", "inline", "--results", "results"]
    subprocess.run(command, cwd=folder, check=True)


def shoot_web_ui(folder: Path, output: Path) -> None:
    """Write a picture of the job's page, as `trialrun ui` shows it."""
    command = [sys.executable, "-u", "-m", "trialrun", "ui", "results"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
        with open_browser(*UI_SIZE) as browser:
            browser.get(url)
            wait_for(browser, "document.querySelector('main a')")
            browser.execute_script("location.hash = document.querySelector('main a').getAttribute('href')")
            wait_for(browser, "document.querySelectorAll('.gridbox .row').length > 5")
            browser.execute_async_script("setTimeout(arguments[0], 1500)")
            browser.save_screenshot(str(output))
    finally:
        server.terminate()
        server.wait()


def wait_for(browser: Any, expression: str) -> None:
    """Return when a JavaScript expression is true; raise TimeoutException after 30 s."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 30).until(lambda driver: driver.execute_script(f"return Boolean({expression})"))


def shoot_page(html: str, width: int, output: Path) -> None:
    """Write a picture of an HTML body, as tall as it is."""
    text = f"<!doctype html><meta charset=utf-8><style>body{{margin:0;padding:12px;background:#fff}}</style>{html}"
    with open_browser(width, 800) as browser:
        browser.get("data:text/html;charset=utf-8;base64," + base64.b64encode(text.encode()).decode())
        height = browser.execute_script("return document.documentElement.scrollHeight")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.save_screenshot(str(output))


def main(argv: Sequence[str] | None = None) -> int:
    """Write check-fails.png, check-passes.png, web-ui.png and overview.png, which shows the three side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "images", metavar="DIR")
    images: Path = parser.parse_args(argv).output
    images.mkdir(parents=True, exist_ok=True)
    fails = render_terminal(run_check(FAILING, "no_checkpoint.py"), "a plugin that reports no checkpoints")
    passes = render_terminal(run_check(PASSING, "pure.py"), "the reference plugin pure")
    shoot_page(fails, 960, images / "check-fails.png")
    shoot_page(passes, 960, images / "check-passes.png")
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder))
        shoot_web_ui(Path(folder), images / "web-ui.png")
    web_ui = base64.b64encode((images / "web-ui.png").read_bytes()).decode()
    columns = (
        '<div style="display:flex;gap:12px;align-items:flex-start">'
        f'<div style="width:800px;display:grid;gap:12px">{fails}{passes}</div>'
        f'<img style="width:1000px;border-radius:8px;border:1px solid #999" src="data:image/png;base64,{web_ui}"></div>'
    )
    shoot_page(columns, 1840, images / "overview.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
