"""Plots are made from plain data, for the page and for files alike."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from trialrun.web import STATIC

from .conftest import Page
from .live import HOSTILE

DRAWN = {"svg", "title", "rect", "path", "g", "circle", "text"}
PLOTS = sorted(file for file in (STATIC / "plot").glob("*.js") if file.name != "box.js")


@pytest.mark.parametrize("file", PLOTS, ids=lambda file: file.name)
def test_a_plot_s_module_needs_no_page(file: Path) -> None:
    code = re.sub(r"//.*|/\*.*?\*/", "", file.read_text("utf-8"), flags=re.DOTALL)
    assert not re.search(r"\b(document|window|fetch|location|localStorage)\b", code)
    assert all(name.startswith("./") for name in re.findall(r'from "(.*?)"', code))


def test_the_modules_can_be_put_into_one_file() -> None:
    """Their names differ, so that a page without a server can hold them one after another."""
    pattern = r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)"
    names = Counter(name for file in PLOTS for name in re.findall(pattern, file.read_text("utf-8"), re.MULTILINE))
    assert not [name for name, count in names.items() if count > 1]


def drawn(page: Page, script: str, value: Any = None) -> Any:
    """Return the value of a script that can use the modules of the plots."""
    page.open(None)
    return page.module(
        f"""
        const data = {json.dumps(value)};
        const names = ["scale", "drawing", "draw", "history", "curves", "parallel", "timeline"];
        const modules = await Promise.all(names.map((name) => import(`/ui/plot/${{name}}.js`)));
        const plot = Object.assign({{}}, ...modules);
        {script}
        """
    )


@pytest.mark.browser
@pytest.mark.parametrize("kind", HOSTILE)
def test_an_svg_shows_hostile_words_as_text(kind: str, page: Page) -> None:
    word = HOSTILE[kind]
    made = drawn(
        page,
        """
        const size = { width: 600, height: 300 };
        const facts = { trial: data, status: "TERMINATED" };
        const trials = [1, 2, 3].map((n) => ({ ...facts, number: n, value: n, started: n, ended: n + 1 }));
        const line = { trial: data, label: data, steps: [1, 2], times: [1, 2], values: [1, 2] };
        const columns = [{ id: "h", label: data }, { id: "m", label: data }];
        const rows = trials.map(({ value }) => ({ trial: data, cells: [data, value], value, chosen: true }));
        const drawings = [
          plot.historyPlot(trials, { ...size, metric: data, mode: "max", bestTrial: data }),
          plot.curvesPlot([line], { ...size, metric: data }),
          plot.parallelPlot(rows, columns, size),
          plot.timelinePlot(trials, { ...size, now: 9 }),
        ];
        return drawings.map((drawing) => plot.toSvg(drawing, plot.palette(false)));
        """,
        word,
    )
    for svg in made:
        root = ET.fromstring(svg)
        assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
            "svg",
            "title",
            "rect",
            "path",
            "g",
            "circle",
            "text",
        }
        assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    shown = {element.text for element in ET.fromstring(made[0]).iter() if element.tag.endswith("text")}
    assert any((text or "").startswith(word[:40]) for text in shown)


@pytest.mark.browser
@pytest.mark.parametrize(("mode", "best"), [("max", [3, 3, 5, 5, 5]), ("min", [3, 1, 1, 1, 1])])
def test_the_best_so_far_skips_failures(page: Page, mode: str, best: list[int]) -> None:
    values = [(1, 3, "TERMINATED"), (2, 1, "TERMINATED"), (3, 5, "PAUSED"), (4, 9, "ERROR"), (5, 4, "RUNNING")]
    trials = [{"trial": str(n), "number": n, "value": v, "status": s} for n, v, s in reversed(values)]
    expected = best if mode == "max" else [3, 1, 1, 1, 1]
    script = f"return plot.bestSoFar(data, {json.dumps(mode)}).map((point) => point.best)"
    assert drawn(page, script, trials) == expected


@pytest.mark.browser
def test_bars_of_one_lane_do_not_overlap(page: Page) -> None:
    found = drawn(
        page,
        """
        let seed = 3;
        const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
        const starts = Array.from({ length: 300 }, () => random() * 1000);
        const bar = (started, n) => ({ trial: String(n), status: "", started, ended: started + random() * 50 });
        return plot.lanes(starts.map(bar), 2000);
        """,
    )
    for lane in {bar["lane"] for bar in found}:
        bars = sorted((bar["started"], bar["end"]) for bar in found if bar["lane"] == lane)
        assert all(one[1] <= other[0] for one, other in pairwise(bars))


@pytest.mark.browser
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.1, 0.95), (-3, 1e6), (1e-9, 2e-9), (20, 20), (0.9526, 0.9527)])
def test_ticks_are_round_and_inside(page: Page, low: float, high: float) -> None:
    found = drawn(page, "return plot.ticks(data[0], data[1], 5)", [low, high])
    room = (high - low) * 1e-6
    assert all(low - room <= tick <= high + room for tick in found)
    assert low == high or 2 <= len(found) <= 14


@pytest.mark.browser
def test_smoothing_keeps_a_constant_and_the_first_value(page: Page) -> None:
    flat, first = drawn(page, "return [plot.smoothed([2, 2, 2], 0.9), plot.smoothed([5, 1, 1], 0.9)]")
    assert flat == pytest.approx([2, 2, 2])
    assert first[0] == pytest.approx(5)
