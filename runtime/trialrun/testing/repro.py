"""Repro scripts: a failure as a script, which is run and must fail before it is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trialrun.testing.target import Target
from trialrun.testing.verdicts import Outcome

__all__ = ["FAILS", "PASSES", "UNKNOWN", "attach_repro", "render_script"]

PASSES, FAILS, UNKNOWN = 0, 1, 125  # 125 tells `git bisect run` to skip

_LONGEST_S = 180.0


def attach_repro(outcome: Outcome, spec: str, settings: Target, folder: Path, *, seed: int) -> Outcome:
    """Write and run a script of the failure. Return the outcome with its path, or with a note."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.id}_{_plugin_slug(spec)}.py"
    path.write_text(render_script(outcome, spec, settings, seed=seed), encoding="utf-8")
    try:
        ran = subprocess.run(  # noqa: S603  # written above
            [sys.executable, str(path)], capture_output=True, timeout=_LONGEST_S, check=False, start_new_session=True
        )
        code: int | None = ran.returncode
    except subprocess.TimeoutExpired:
        code = None
    if code == FAILS:
        return replace(outcome, repro=str(path))
    path.unlink()
    return replace(outcome, evidence={**outcome.evidence, "repro": f"the script did not fail (exit code {code})"})


def render_script(outcome: Outcome, spec: str, settings: Target, *, seed: int) -> str:
    """Return the script. Its argument is a plugin; the default is the plugin that failed."""
    options = {**_script_options(settings), "seed": seed}
    rows = "\n".join(f"    {key}={value!r}," for key, value in options.items())
    message = _escape_docstring(outcome.message)
    return f'''"""{outcome.id}: {outcome.title}.

{message}

    python {outcome.id}_….py [PLUGIN]     exit 0: passes, 1: fails, 125: unknown
    git bisect run python {outcome.id}_….py
"""

import sys

try:
    from trialrun.testing import check_plugin
except ImportError as error:
    print(f"trialrun cannot be imported: {{error}}")
    sys.exit({UNKNOWN})

PLUGIN = {spec!r}
OPTIONS = dict(
    select=[{outcome.id!r}],
    config=False,
{rows}
)


def main() -> int:
    report = check_plugin(sys.argv[1] if len(sys.argv) > 1 else PLUGIN, **OPTIONS)
    outcome = next(outcome for outcome in report.outcomes if outcome.id == {outcome.id!r})
    print(f"{{outcome.id}} {{outcome.verdict}}: {{outcome.message or outcome.title}}")
    return {{"pass": {PASSES}, "n/a": {PASSES}, "fail": {FAILS}}}.get(str(outcome.verdict), {UNKNOWN})


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
        sys.exit({UNKNOWN})
'''


def _script_options(settings: Target) -> dict[str, Any]:
    found: Mapping[str, Any] = {
        "hyperparameter": settings.hyperparameter,
        "hyperparameters": settings.space,
        "metric": settings.metric,
        "mode": settings.mode,
        "dataset": settings.dataset,
        "capabilities": None if settings.capabilities is None else sorted(settings.capabilities),
    }
    return {key: json.loads(json.dumps(value, default=str)) for key, value in found.items() if value is not None}


def _escape_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _plugin_slug(spec: str) -> str:
    parts: Sequence[str] = Path(spec).stem.split(":")
    return "".join(letter if letter.isalnum() else "_" for letter in parts[0])[:40] or "plugin"
