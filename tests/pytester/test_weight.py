"""A foreign run of pytest does not notice the plugin."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def _loaded_after(code: str) -> set[str]:
    show = "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    ask = f"import sys, pytest\nbefore = set(sys.modules)\n{code}\n{show}"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_front_door_imports_nothing_but_pytest() -> None:
    assert _loaded_after("import _trialrun_pytestplugin") - {"json"} == {"_trialrun_pytestplugin"}


def test_a_test_file_can_ask_for_the_checks_without_weight() -> None:
    loaded = _loaded_after("from trialrun.testing import TrainPluginSuite, conformance; conformance('./x')")
    assert not loaded & {"ray", "pydantic", "hypothesis", "rich", "numpy"}


def test_a_foreign_run_imports_nothing_of_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_light():
            assert "_trialrun_pytestplugin" in sys.modules
            loaded = {name.partition(".")[0] for name in sys.modules}
            assert not loaded & {"trialrun", "trialrun_hookspecs", "ray", "pydantic", "rich"}
        """
    )
    result = pytester.runpytest_subprocess("-W", "error")
    result.assert_outcomes(passed=1)
    assert not [line for line in result.outlines if "conformance" in line or line.startswith("trialrun:")]


def test_options_are_documented(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest_subprocess("--help").stdout.str()
    for option in ("--trialrun ", "--trialrun-profile", "--trialrun-select", "--trialrun-report", "trialrun_select"):
        assert option in text
    fixtures = pytester.runpytest_subprocess("--fixtures").stdout.str()
    for name in ("trialrun_recorder", "trialrun_run", "trialrun_train", "trialrun_tune", "trialrun_settings"):
        assert name in fixtures


def test_everything_of_ours_bears_our_name(pytester: pytest.Pytester) -> None:
    text = pytester.runpytest_subprocess("--markers").stdout.str()
    ours = [line for line in text.splitlines() if "trialrun sets this mark" in line]
    assert len(ours) == 3
    assert all(line.startswith("@pytest.mark.trialrun_") for line in ours)
