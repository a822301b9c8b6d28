"""The table of trials: sorted, filtered, brushed, compared, and moved through with keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trialrun.recorder import Recorder

from .conftest import HEADING, Page
from .live import COLUMNS, send, small_study

pytestmark = pytest.mark.browser


@pytest.fixture
def table(recorder: Recorder, page: Page) -> Page:
    small_study(recorder)
    page.open()
    page.until_rows(list("abcde"))
    return page


def sort_by(page: Page, label: str) -> None:
    page.js(
        "[...document.querySelectorAll('.gridbox .ghead button')]"
        ".find((button) => button.querySelector('.label').textContent === arguments[0]).click()",
        label,
    )


def test_a_click_sorts_and_the_next_one_turns_around(table: Page) -> None:
    sort_by(table, "accuracy")
    table.until_rows(list("cbdae"))
    assert table.js("return document.querySelector('[aria-sort=descending] .label').textContent") == "accuracy"
    sort_by(table, "accuracy")
    table.until_rows(list("eadbc"))
    sort_by(table, "kind")
    table.until_rows(list("acebd"))


def test_states_filter(table: Page) -> None:
    table.click("[data-status=PAUSED].chip")
    table.until_rows(["d"])
    table.click("[data-status=ERROR].chip")
    table.until_rows(["c", "d"])
    assert "2 of 5 trials" in table.text("main")
    assert table.js("return document.querySelector('[data-status=ERROR].chip').getAttribute('aria-pressed')") == "true"


def test_states_are_told_apart_without_colour(table: Page) -> None:
    marks = table.js("return [...document.querySelectorAll('.gridbox .status')].map((badge) => badge.innerText)")
    assert len(set(marks)) == 4
    assert any("PAUSED" in mark for mark in marks)


def test_values_filter(table: Page) -> None:
    table.js("document.querySelector('[aria-label=\"Column to filter by\"]').value = 'm:accuracy'")
    table.js("document.querySelector('[aria-label=\"Value to compare with\"]').value = '0.7'")
    table.click("[aria-label='Filter by value'] button")
    table.until_rows(list("bcd"))
    table.click("[aria-label^='remove the filter accuracy']")
    table.until_rows(list("abcde"))


def test_a_filter_that_nothing_fits_says_so(table: Page) -> None:
    table.js(
        "const box = document.querySelector('input[type=search]');"
        "box.value = 'zzz'; box.dispatchEvent(new Event('input'))"
    )
    table.until("document.querySelector('.gridbox .empty')?.innerText.includes('No trial fits')")


def test_columns_are_picked(table: Page) -> None:
    assert "extra" not in table.text(".gridbox .ghead")
    table.click(".popover summary")
    table.until("[...document.querySelectorAll('.popover label')].some((label) => label.innerText.includes('extra'))")
    table.js(
        "[...document.querySelectorAll('.popover label')].find((label) => label.innerText.includes('extra'))"
        ".querySelector('input').click()"
    )
    table.until("document.querySelector('.gridbox .ghead').innerText.includes('extra')")
    table.chrome.refresh()
    table.until("document.querySelector('.gridbox .ghead')?.innerText.includes('extra')")
    table.js("localStorage.clear()")


def axis(page: Page, column: str) -> dict[str, Any]:
    """Return the place of an axis of the parallel coordinates on the screen, as the plot computes it."""
    found: dict[str, Any] = page.module(
        """
        const canvas = document.querySelectorAll(".plot canvas")[1];
        canvas.scrollIntoView({ block: "center" });
        const { parallelPlot } = await import("/ui/plot/parallel.js");
        const columns = ["h:rate", "h:kind", "m:accuracy"].map((id) => ({ id, label: id.slice(2) }));
        const cells = [[0.1, "x", 0.5], [0.2, "y", 0.9], [0.3, "x", 0.95], [0.4, "y", 0.7], [0.5, "x", 0.3]];
        const rows = cells.map((each) => ({ trial: "", cells: each, value: each[2], chosen: true }));
        const box = canvas.getBoundingClientRect();
        const { axes } = parallelPlot(rows, columns, { width: Math.floor(box.width), height: 250 });
        const one = axes.find((each) => each.id === arguments[0]);
        return { x: box.left + one.x, top: box.top + one.top, bottom: box.top + one.bottom };
        """.replace("arguments[0]", json.dumps(column))
    )
    return found


def drag(page: Page, x: float, start: float, end: float) -> None:
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    actions = ActionBuilder(page.chrome, mouse=PointerInput("mouse", "mouse"))
    actions.pointer_action.move_to_location(int(x), int(start)).pointer_down()
    actions.pointer_action.move_to_location(int(x), int((start + end) / 2)).move_to_location(
        int(x), int(end)
    ).pointer_up()
    actions.perform()


def test_a_brush_filters_the_table(table: Page) -> None:
    table.until("document.querySelectorAll('.plot canvas')[1].getAttribute('aria-label')?.startsWith('5 trials')")
    where = axis(table, "h:rate")
    middle = (where["top"] + where["bottom"]) / 2
    drag(table, where["x"], middle - 4, where["bottom"])  # the lower half, and the middle with it
    table.until_rows(list("abc"))
    assert table.js("return document.querySelectorAll('[aria-label^=\"remove the filter rate\"]').length") == 1
    table.shot("brushed")
    where = axis(table, "h:rate")
    drag(table, where["x"], where["top"] + 4, where["top"] + 4)  # a click on the axis takes the brush away
    table.until_rows(list("abcde"))


def test_a_brush_on_words_filters_too(table: Page) -> None:
    table.until("document.querySelectorAll('.plot canvas')[1].getAttribute('aria-label')?.startsWith('5 trials')")
    where = axis(table, "h:kind")
    drag(table, where["x"], where["top"], where["top"] + 30)  # upper half: y
    table.until_rows(list("bd"))


def test_trials_are_compared_side_by_side(table: Page) -> None:
    assert table.js("return document.querySelector('button.primary').disabled")
    for trial in "abd":
        table.click(f"[aria-label='compare {trial}']")
    table.until("document.querySelector('button.primary').innerText === 'Compare 3'")
    table.click("button.primary")
    table.until(f"{HEADING} === 'Compare 3 trials'")
    table.until("document.querySelector('.plot canvas')?.getAttribute('aria-label')?.startsWith('accuracy: 3 lines')")
    assert table.js("return [...document.querySelectorAll('tr.differs > th')].map((th) => th.innerText)") == [
        "rate ≠",
        "kind ≠",
    ]
    assert table.text("td.win") == "0.9 ★"
    table.shot("compare")


def test_keys_are_enough(table: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    box = table.chrome.find_element("css selector", ".gridbox")
    box.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, " ")
    table.until("document.querySelector('[aria-label=\"compare b\"]').checked")
    assert table.js("return document.querySelector('.row.active').id") == "active-row"
    box.send_keys(Keys.END, Keys.ENTER)
    table.until("location.hash.endsWith('/trial/e')")
    table.until(f"{HEADING} === 'e'")


def test_ten_thousand_rows_are_few_elements(recorder: Recorder, page: Page) -> None:
    rows = {
        f"t{n:05d}": {"base": [f"t{n:05d}", "TERMINATED"], "hyperparameters": [n, "x"], "metrics": [n / 1e4, 0]}
        for n in range(10_000)
    }
    send(recorder, "trials", {**COLUMNS, "trials": rows})
    page.open()
    page.until("document.querySelector('.gridbox')?.getAttribute('aria-rowcount') === '10001'")
    assert page.js("return document.querySelectorAll('.gridbox .row').length") < 80
    page.js("const box = document.querySelector('.gridbox'); box.scrollTop = box.scrollHeight")
    page.until("document.querySelector('.gridbox').innerText.includes('t09999')")
    assert page.js("return document.querySelectorAll('.gridbox .row').length") < 80
