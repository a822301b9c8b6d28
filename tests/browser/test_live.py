"""A page that is open while a job runs shows what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.recorder import Recorder

from .conftest import Page
from .live import patch, report, row, small_study

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]


def test_an_empty_job_says_what_will_come(page: Page) -> None:
    page.open()
    page.until("document.querySelector('.gridbox .empty')?.innerText.includes('No trials yet')")


def test_rows_appear_as_they_are_reported(recorder: Recorder, page: Page) -> None:
    page.open()
    page.until("document.querySelector('.gridbox')")
    for number, trial in enumerate("abc"):
        row(recorder, trial, "RUNNING", 0.1, "x", 0.1 * number)
        page.until_rows(list("abc"[: number + 1]))
    row(recorder, "b", "PAUSED", 0.1, "x", 0.77)
    page.until("document.querySelector('.gridbox').innerText.includes('0.77')")
    assert "PAUSED" in page.text(".gridbox")


def test_progress_goes_on(recorder: Recorder, page: Page) -> None:
    page.open()
    record = {
        "overall": 41.2,
        "time_remaining": 95,
        "categories": {"trials": {"current": 4, "total": 10, "progress": 40}},
    }
    patch(recorder, status="RUNNING", progress_record=record)
    page.until("document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow') === '41'")
    page.until("/about 1 min 3\\d s left/.test(document.querySelector('.tile').innerText)")
    assert "4 of 10" in page.text(".phases")
    patch(recorder, status="SUCCEEDED", progress_record={**record, "overall": 100})
    page.until("document.querySelector('.status').dataset.status === 'SUCCEEDED'")


def test_the_best_trial_is_marked_and_moves(recorder: Recorder, page: Page) -> None:
    small_study(recorder)
    page.open()
    best = "document.querySelector('.gridbox .row.best a')?.textContent"
    page.until(f"{best} === 'b'")  # c is better, but it failed
    row(recorder, "e", "RUNNING", 0.5, "x", 0.99)
    page.until(f"{best} === 'e'")


def test_a_page_comes_back_after_the_recorder_was_away(recorder: Recorder, page_of: Callable[[Any], Page]) -> None:
    small_study(recorder)
    first = recorder.server()
    first.start()
    page = page_of(first)
    page.open()
    page.until_rows(list("abcde"))
    page.js("document.querySelector('.top').dataset.same = 'yes'")
    first.stop()
    page.until("document.querySelector('#live').dataset.state === 'lost'")
    row(recorder, "f", "RUNNING", 0.1, "x", 0.2)
    recorder.token = first.token
    with recorder.server(port=first.port):
        page.until_rows(list("abcdef"))
        assert page.js("return document.querySelector('.top').dataset.same") == "yes"
        page.chrome.get_log("browser")  # that a connection was refused is what this test is about
        page.chrome.get("about:blank")


def test_the_table_of_the_page_is_the_table_of_the_recorder(recorder: Recorder, page: Page) -> None:
    """Rows and pages in any order, some twice: the newest version of each row stays."""
    small_study(recorder)
    page.open()
    page.until_rows(list("abcde"))
    found = page.module(
        """
        const { Table } = await import("/ui/model.js");
        const path = location.hash.split("/")[2] + "/jobs/1/trials";
        const { ask } = await import("/ui/api.js");
        const whole = await ask(path);
        let seed = 7;
        const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
        for (let round = 0; round < 300; round += 1) {
          const pieces = [];
          for (let n = 0; n < 12; n += 1) {
            const old = whole.rows.filter(() => random() < 0.4).map((row) => {
              const copy = structuredClone(row);
              const age = Math.floor(random() * 3);
              copy[2] -= age;
              if (age) { copy[3] = "PENDING"; copy[9] = copy[9].map(() => -age); }
              return copy;
            });
            pieces.push({ columns: whole.columns, rows: old });
          }
          pieces.push(whole);
          pieces.sort(() => random() - 0.5);
          const table = new Table();
          pieces.forEach((piece) => table.merge(piece));
          const plain = new Table();
          plain.merge(whole);
          const order = (t) => JSON.stringify(t.all().sort((a, b) => a.number - b.number));
          if (order(table) !== order(plain)) return `round ${round}: ${order(table)} is not ${order(plain)}`;
        }
        return "equal";
        """
    )
    assert found == "equal"


def test_a_real_tuning_job_fills_the_page(page_of: Callable[[Any], Page], tmp_path: Path) -> None:
    from trialrun.engine.backends import build_fixtures, start_recorder

    plugin = tmp_path / "slow.py"
    plugin.write_text(
        "import time\n"
        "def train(run, dataset, hyperparameter, checkpoint): ...\n"
        "def tune(hyperparameter, run, dataset, checkpoint):\n"
        "    for step in range(8):\n"
        "        time.sleep(0.05)\n"
        "        print('step', step)\n"
        "        run.report({'score': hyperparameter['rate'] * step})\n"
        "        run.log_metric('train', 'half', step / 2, step=step)\n",
        "utf-8",
    )
    params = {
        "name": "real",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [{"name": "rate", "type": "uniform", "min": 0, "max": 1}],
        "tune_config": {"metric": "score", "mode": "max", "num_samples": 12, "seed": 1},
    }
    data = {1: str(ROOT / "examples" / "line.csv")}
    results = tmp_path / "results"
    places = build_fixtures(data, {}, {})
    with start_recorder(tmp_path / "results" / "recorder.sqlite", places) as backend:
        assert backend.recorder is not None
        page = page_of(backend.recorder.server())
        with page.server:
            job = threading.Thread(
                target=trialrun.run,
                args=({"action": "train", "params": params},),
                kwargs={"plugin": plugin, "backend": backend, "executor": "inline", "results": results, "job_id": 1},
            )
            page.chrome.get(page.server.page_url)
            job.start()
            page.until("document.querySelector('main table a')")
            page.go(page.js("return document.querySelector('main table a').getAttribute('href')"))
            sizes = "Number(document.querySelector('.gridbox')?.getAttribute('aria-rowcount')) - 1"
            seen = page.until(f"{sizes} > 0 && {sizes} < 12 && {sizes}")
            page.until("document.querySelector('.gridbox [data-status=RUNNING]')")
            page.shot("running")
            page.until(f"{sizes} > {seen}")
            page.until(f"{sizes} === 12")
            page.until("document.querySelector('.status').dataset.status === 'SUCCEEDED'")
            page.until("document.querySelector('#live').innerText === 'finished'")
            job.join(60)
            page.until("document.querySelectorAll('.gridbox .row.best').length === 1")
            page.shot("finished")


def test_reports_show_as_curves(recorder: Recorder, page: Page) -> None:
    small_study(recorder)
    page.open("curves")
    page.until("document.querySelector('.plot canvas')?.getAttribute('aria-label')?.startsWith('accuracy: 5 lines')")
    page.until("document.querySelector('.legend').innerText.includes('a')")
    row(recorder, "f", "RUNNING", 0.1, "x", 0.2)
    report(recorder, "f", 0.1, 0.2)
    page.until("document.querySelector('.plot canvas').getAttribute('aria-label').startsWith('accuracy: 6 lines')")
