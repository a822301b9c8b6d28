"""Curves can be drawn of whatever numbers a plugin reports."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from trialrun.testing.reports.curves import MAX_COLORS, Chart, build_charts, color_class, draw_chart

numbers = st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=2)
rows = st.fixed_dictionaries(
    {"category": st.sampled_from(["a", "b"]), "key": st.text(max_size=2), "value": numbers},
    optional={
        "trial_id": st.none() | st.text(max_size=3),
        "metrics": st.none() | st.dictionaries(st.just("epoch"), numbers),
    },
)


@given(st.lists(rows, max_size=30))
def test_any_metrics_are_drawn_inside_their_frame(metrics: list[dict[str, object]]) -> None:
    for chart in build_charts(metrics):
        root = ET.fromstring(draw_chart(chart))
        for line in root.iter("polyline"):
            for x, y in re.findall(r"(\S+),(\S+)", line.get("points", "")):
                assert 0 <= float(x) <= 400
                assert 0 <= float(y) <= 220


def test_a_line_per_trial_and_a_chart_per_metric() -> None:
    metrics = [
        {"category": "train", "key": key, "value": epoch, "trial_id": trial, "metrics": {"epoch": epoch}}
        for key in ("loss", "accuracy")
        for trial in ("a", "b")
        for epoch in (1, 2)
    ]
    found = build_charts(metrics)
    assert [chart.title for chart in found] == ["train / loss", "train / accuracy"]
    assert found[0].lines == {"a": [(1.0, 1.0), (2.0, 2.0)], "b": [(1.0, 1.0), (2.0, 2.0)]}
    assert found[0].axis == "epoch"


def test_a_long_line_keeps_its_end() -> None:
    chart = Chart(title="t", axis="step", lines={"": [(float(x), float(x)) for x in range(10_000)]})
    points = re.findall(r'points="([^"]+)"', draw_chart(chart))[0].split()
    assert len(points) < 500
    assert points[-1] == "386.0,10.0"


def test_of_many_trials_the_best_is_coloured() -> None:
    names = [f"t{number}" for number in range(MAX_COLORS + 1)]
    assert [color_class(name, "t3", names) for name in names].count("best") == 1
    assert len({color_class(name, "t3", names[:MAX_COLORS]) for name in names[:MAX_COLORS]}) == MAX_COLORS
