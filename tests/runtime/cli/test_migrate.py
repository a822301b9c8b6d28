"""`trialrun migrate` writes the new form of a deprecated job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trialrun_hookspecs import parse_request

PARAMS: dict[str, Any] = {
    "name": "old 🙂",
    "dataset": 1,
    "hyperparameter": [{"name": "lr", "type": "uniform", "min": 0.1, "max": 1}],
    "tune_config": {"metric": "loss", "mode": "min"},
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"action": "tune", "params": PARAMS}), encoding="utf-8")
    return path


def test_the_new_form_is_printed_alone(called, old: Path) -> None:
    shown = called("migrate", old)
    assert (shown.exit_code, shown.stderr) == (0, "")
    new = json.loads(shown.stdout)
    assert new["action"] == "train"
    assert new["params"]["is_tune"] is True
    assert new["params"]["hyperparameters"] == PARAMS["hyperparameter"]
    parse_request(new)


def test_the_new_form_is_written_where_asked(called, old: Path, tmp_path: Path) -> None:
    shown = called("migrate", old, "-o", tmp_path / "new.json")
    assert (shown.exit_code, shown.output) == (0, "")
    parse_request(json.loads((tmp_path / "new.json").read_text("utf-8")))


def test_a_job_in_the_new_form_comes_out_as_it_is(called, training) -> None:
    job = training({"a": 1})
    shown = called("migrate", job)
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == json.loads(job.read_text("utf-8"))
    assert shown.stderr == "the job already has the current form\n"


def test_yaml_comes_out_as_json(called, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(
        "action: tune\nparams: {name: x, dataset: 1, hyperparameter: [{name: a, type: choice, options: [1]}],"
        " tune_config: {metric: m, mode: max}}",
        encoding="utf-8",
    )
    assert json.loads(called("migrate", "old.yaml").stdout)["params"]["name"] == "x"


def test_an_outcome_that_is_no_valid_job_is_refused(called, tmp_path: Path) -> None:
    bad = {"action": "tune", "params": {**PARAMS, "dataset": "x", "nmae": 1}}
    (tmp_path / "old.json").write_text(json.dumps(bad), encoding="utf-8")
    shown = called("migrate", "old.json", "-o", "new.json")
    assert shown.exit_code == 2
    assert "params.dataset" in shown.stderr
    assert "Did you mean 'name'?" in shown.stderr
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize(("content", "message"), [("[]", "must be an object"), ("", "is empty"), ("{", "is not JSON")])
def test_what_is_no_job_is_refused(content: str, message: str, called, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(content, encoding="utf-8")
    shown = called("migrate", "old.json")
    assert shown.exit_code == 2
    assert message in shown.stderr


def test_a_place_that_cannot_be_written_to_is_named(called, old: Path, tmp_path: Path) -> None:
    shown = called("migrate", old, "-o", tmp_path)
    assert shown.exit_code == 2
    assert f"--output {tmp_path}: cannot be written" in shown.stderr
