"""JavaScript keeps the limits of Python; biome, in `make lint`, holds the rest."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "runtime" / "trialrun" / "web" / "static").rglob("*.js"))
LONGEST_LINE = 120


def test_no_line_of_javascript_is_long() -> None:
    assert SCRIPTS
    for file in SCRIPTS:
        lines = file.read_text("utf-8").splitlines()
        assert [line for line in lines if len(line) > LONGEST_LINE] == [], file


def test_biome_limits_the_length_of_functions() -> None:
    text = (ROOT / "biome.jsonc").read_text("utf-8")
    assert '"noExcessiveLinesPerFunction": { "level": "error", "options": { "maxLines": 60 } }' in text
