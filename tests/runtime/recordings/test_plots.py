"""Plots as files: valid, complete, and with nothing of a plugin's in command."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun.recordings.plots import PLOTS, render_plot
from trialrun.recordings.plots.drawing import linear_scale, logarithmic_scale
from trialrun.recordings.plots.drawn import (
    MAX_COLORS,
    Chart,
    Dot,
    build_charts,
    choose_color,
    draw_chart,
    draw_history,
)
from trialrun.recordings.plots.files import build_palette, render_svg
from trialrun_hookspecs.errors import UsageError

from .some_study import HOSTILE, report, row, send, small

SIZE = (600, 300)
DRAWN = {"svg", "title", "rect", "path", "g", "circle", "text"}
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


def drawn(folder: Path, name: str, kind: str, **options: Any) -> bytes:
    with open_study(folder) as study:
        return render_plot(study, name, kind, **{"metric": None, "dark": False, "size": SIZE, **options})


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", PLOTS)
def test_an_svg_holds_marks_and_words_only(name: str, dark: bool, tmp_path: Path) -> None:
    folder = small(tmp_path, names=(HOSTILE, "<b>\x01", "c"))
    root = ET.fromstring(drawn(folder, name, "svg", dark=dark))
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= DRAWN
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on") or "href" in key]


@pytest.mark.parametrize("name", PLOTS)
def test_a_png_is_twice_as_sharp(name: str, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(drawn(small(tmp_path), name, "png"))) as found:
        assert (found.format, found.size) == ("PNG", (1200, 600))
        assert len(found.convert("RGB").getcolors(1 << 20)) > 3


@pytest.mark.parametrize("name", PLOTS)
def test_a_study_without_trials_is_drawn_too(name: str, tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        recorder.create_job("bare", {"params": {}})
    ET.fromstring(drawn(tmp_path, name, "svg"))


def test_importance_names_the_hyperparameter_that_matters(tmp_path: Path) -> None:
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        config = {"tune_config": {"metric": "loss", "mode": "min"}}
        recorder.create_job("x", {"params": config})
        for number in range(30):
            values = {"heavy": number, "light": number * 7 % 30}
            send(recorder, row(f"t{number}", "TERMINATED", values, {"loss": number * 2.0}))
    root = ET.fromstring(drawn(tmp_path, "importance", "svg"))
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert words.index("heavy") < words.index("light")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("pie", {}, "history, curves, parallel, importance, timeline"),
        ("history", {"kind": "gif"}, "svg or png"),
        ("history", {"size": (10, 10)}, "200"),
        ("curves", {"metric": "lost"}, "loss"),
        ("history", {"metric": "loss"}, "--plot history"),
    ],
)
def test_what_there_is_not_is_refused(name: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        drawn(small(tmp_path), name, **{"kind": "svg", **options})


def test_another_metric_can_be_drawn(tmp_path: Path) -> None:
    small(tmp_path)
    with Recorder(tmp_path / "recorder.sqlite") as recorder:
        send(recorder, report("a", 1, {"f1": 0.5}), report("a", 2, {"f1": 0.75}))
    root = ET.fromstring(drawn(tmp_path, "curves", "svg", metric="f1"))
    assert "f1: 1 lines" in (root[0].text or "")


@given(st.lists(FLOATS, min_size=1, max_size=20), st.sampled_from(["min", "max"]))
def test_any_finite_objective_can_be_drawn(values: list[float], mode: str) -> None:
    drawing = draw_history([Dot(number, value) for number, value in enumerate(values, 1)], SIZE, "m", mode)
    root = ET.fromstring(render_svg(drawing, build_palette(dark=False)))
    heights = [float(circle.attrib["cy"]) for circle in root.iter() if circle.tag.endswith("circle")]
    assert len(heights) == len(values)
    assert all(0 <= height <= SIZE[1] for height in heights)


@given(FLOATS, FLOATS)
def test_ticks_lie_in_the_domain(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    room = (high / 2 - low / 2) * 1e-6 + abs(low) * 0.06 + 0.6 * (high == low)
    assert all(low - room <= tick <= high + room for tick in linear_scale(low, high, 0, 100).ticks(5))


@given(st.floats(1e-200, 1e200), st.floats(1.5, 1e90))
def test_a_logarithmic_scale_keeps_the_order(low: float, factor: float) -> None:
    scale = logarithmic_scale(low, low * factor, 0, 100)
    assert scale.to_pixel(low) < scale.to_pixel(low * math.sqrt(factor)) < scale.to_pixel(low * factor)


CHART_COLORS = build_palette(dark=False) | dict.fromkeys(("c0", "other"), "#000000")
NUMBERS = st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=2)
METRICS = st.fixed_dictionaries(
    {"category": st.sampled_from(["a", "b"]), "key": st.text(max_size=2), "value": NUMBERS},
    optional={
        "trial_id": st.none() | st.text(max_size=3),
        "metrics": st.none() | st.dictionaries(st.just("epoch"), NUMBERS),
    },
)


@given(st.lists(METRICS, max_size=30))
def test_any_metrics_are_drawn_inside_their_chart(metrics: list[dict[str, Any]]) -> None:
    for chart in build_charts(metrics):
        drawing = draw_chart(chart)
        ET.fromstring(render_svg(drawing, CHART_COLORS))
        for shape in drawing.shapes:
            for x, y in shape.points:
                assert 0 <= x <= drawing.width
                assert 0 <= y <= drawing.height


def test_a_chart_has_a_line_per_trial_and_there_is_one_per_metric() -> None:
    metrics = [
        {"category": "train", "key": key, "value": epoch, "trial_id": trial, "metrics": {"epoch": epoch}}
        for key in ("loss", "accuracy")
        for trial in ("a", "b")
        for epoch in (1, 2)
    ]
    charts = build_charts(metrics)
    assert [chart.title for chart in charts] == ["train / loss", "train / accuracy"]
    assert charts[0].lines == {"a": [(1.0, 1.0), (2.0, 2.0)], "b": [(1.0, 1.0), (2.0, 2.0)]}
    assert charts[0].axis == "epoch"


def test_a_long_line_keeps_its_end() -> None:
    chart = Chart(title="t", axis="step", lines={"": [(float(x), float(x)) for x in range(10_000)]})
    (line,) = [shape for shape in draw_chart(chart).shapes if shape.title]
    assert line.title == "training: 0 to 9999"
    assert len(line.points) < 500
    assert line.points[-1] == (max(x for x, _ in line.points), min(y for _, y in line.points))


def test_of_many_trials_the_best_is_coloured() -> None:
    names = [f"t{number}" for number in range(MAX_COLORS + 1)]
    assert [choose_color(name, "t3", names) for name in names].count("best") == 1
    assert len({choose_color(name, "t3", names[:MAX_COLORS]) for name in names[:MAX_COLORS]}) == MAX_COLORS
