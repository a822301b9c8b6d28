"""The report on a terminal says the verdict first, and accounts for every check at the end."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from trialrun.testing.reports.reading import parse_report
from trialrun.testing.reports.terminal import print_report


def _shown(report: Any, *, width: int = 100, **options: Any) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    print_report(report, console, **options)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the one from above
    return text


def test_the_verdict_comes_first_and_the_ledger_last(report: Any) -> None:
    lines = _shown(report).splitlines()
    assert lines[0].strip().startswith("NOT CONFORMANT")
    assert "= 7 checks of contract" in "".join(lines[-3:])


def test_what_failed_comes_before_what_the_harness_did(report: Any) -> None:
    text = _shown(report)
    assert text.index("TR205") < text.index("TR206") < text.index("TR102") < text.index("TR304")


def test_a_failure_says_why_and_what_to_do(report: Any) -> None:
    text = _shown(report)
    for part in (
        "my_plugin/plugin.py:12",
        "the platform needs it",
        "mend it",
        "python repro/TR205.py",
        "explain TR205",
    ):
        assert part in text


def test_what_nobody_asked_for_is_counted_alone(report: Any) -> None:
    text = _shown(report)
    assert "TR501" not in text
    assert "1 not selected" in text
    assert "TR501" in _shown(report, verbose=True)


def test_a_plugin_cannot_steer_the_terminal(report: Any) -> None:
    assert "\x1b" not in _shown(report)
    assert "\x00" not in _shown(report)


def test_a_plugin_cannot_write_markup(report: Any) -> None:
    report["plugin"]["name"] = "[bold]x[/bold]"
    assert "[bold]x[/bold]" in _shown(report)


def test_it_fits_a_narrow_terminal(report: Any) -> None:
    assert max(map(len, _shown(report, width=60).splitlines())) <= 60


def test_without_details_a_failure_is_one_line(report: Any) -> None:
    text = _shown(report, details=False)
    assert "TR205  failed: it said" in text
    assert "mend it" not in text


def test_a_report_of_nothing_is_shown(report: Any) -> None:
    empty = parse_report({**report, "checks": []}).to_json()
    assert "COULD NOT BE TOLD" in _shown(empty)


def test_what_saw_nothing_for_one_reason_is_told_once(report: Any) -> None:
    unseen = next(check for check in report["checks"] if check["id"] == "TR206")
    report["checks"] += [{**unseen, "id": "TR207"}, {**unseen, "id": "TR208", "message": "another reason"}]
    text = _shown(report)
    assert text.count("nothing was seen") == 1
    assert "2 checks vacuous" in text
    assert "TR206 TR207" in [line.strip() for line in text.splitlines()]
    assert "TR208  does as it says" in text


def test_what_does_not_apply_for_one_reason_is_told_once(report: Any) -> None:
    unseen = next(check for check in report["checks"] if check["id"] == "TR206")
    report["checks"] += [
        {**unseen, "id": name, "verdict": "n/a", "message": "it does not tune"} for name in ("TR301", "TR302")
    ]
    assert "TR301 TR302  n/a: it does not tune" in _shown(report)
