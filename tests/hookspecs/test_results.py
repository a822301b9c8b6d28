"""The result of a job is frozen, and survives JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trialrun.testing.strategies import objects
from trialrun_hookspecs import BestTrial, JobResult, TrialFailure, TrialModel

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
trial = {"trial_id": texts, "trial_logdir": texts, "config": objects, "metrics": objects}
results = st.builds(
    JobResult,
    model_id=st.none() | st.integers(),
    best_trial=st.none() | st.builds(BestTrial, **trial),
    trial_models=st.lists(st.builds(TrialModel, **trial, model_id=st.integers()), max_size=2),
    failures=st.lists(st.builds(TrialFailure, trial_id=texts, status=st.just("ERROR"), error=texts), max_size=2),
    status=st.sampled_from(["SUCCEEDED", "FAILED", "STOPPED"]),
    warnings=st.lists(texts, max_size=2),
)


@given(results)
def test_a_result_survives_json(result: JobResult) -> None:
    written = json.dumps(result.model_dump(mode="json"), allow_nan=False)
    assert JobResult.model_validate(json.loads(written)) == result


def test_a_result_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        JobResult(model_id=1).model_id = 2


@pytest.mark.parametrize("part", [{"status": "DONE"}, {"model_id": "x"}, {"best_trial": {}}])
def test_other_results_are_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobResult.model_validate({"model_id": 1, **part})
