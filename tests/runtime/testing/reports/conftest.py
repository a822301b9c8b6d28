"""A report with every verdict in it, by a plugin that means ill."""

from __future__ import annotations

from typing import Any

import pytest

from trialrun.testing import Outcome, Report, Verdict

EVIL = "</script><script>alert('x')</script>\x1b[31m\x00 & \"quoted\" ]]>"


def outcome(name: str, verdict: Verdict, **more: Any) -> Outcome:
    given = {"title": "does as it says", "level": "core", "family": "contract", "seconds": 0.25, **more}
    return Outcome(id=name, verdict=verdict, **given)


@pytest.fixture
def report() -> dict[str, Any]:
    """The report as JSON, the source of all others."""
    made = Report(
        plugin="./my_plugin",
        plugin_hash="0123456789abcdef",
        profile="core",
        seed=7,
        environment={"python": "3.11.7", "ray": "2.60.0"},
        declared=("tunes",),
        observed=("tunes",),
        outcomes=(
            outcome("TR101", Verdict.PASS),
            outcome("TR102", Verdict.ERROR, message="KeyError: 'x'"),
            outcome(
                "TR205",
                Verdict.FAIL,
                family="training",
                message=f"it said {EVIL}",
                why="the platform needs it",
                fix="mend it",
                signature="said something",
                where=("my_plugin/plugin.py", 12),
                repro="repro/TR205.py",
            ),
            outcome("TR206", Verdict.VACUOUS, family="training", message="nothing was seen"),
            outcome("TR304", Verdict.NA, family="tuning", message="no GPU"),
            outcome(
                "TR305", Verdict.WAIVED, family="tuning", message="known", evidence={"waiver": "waived until 2999"}
            ),
            outcome("TR501", Verdict.NOT_RUN, family="faults", level="extended", selected=False),
        ),
        seconds=1.5,
        notes=("a note",),
    ).to_json()
    metrics = [
        {
            "category": "training",
            "key": "loss",
            "value": 1 / (epoch + number),
            "trial_id": trial,
            "metrics": {"epoch": epoch},
        }
        for number, trial in enumerate(("a_00000", EVIL))
        for epoch in range(1, 4)
    ]
    table = {
        "base": ["trial_id", "status"],
        "hyperparameters": ["lr"],
        "metrics": ["loss"],
        "best_trial": "a_00000",
        "trials": {
            trial: {"base": [trial, "TERMINATED"], "hyperparameters": [0.1], "metrics": [loss]}
            for trial, loss in (("a_00000", 0.25), (EVIL, None))
        },
    }
    return {**made, "recording": {"table": table, "metrics": metrics}}
