"""`trialrun run`: exit codes, streams, and one clear error for every bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trialrun import Recorder

ROOT = Path(__file__).resolve().parents[3]
BROKEN = ROOT / "tests" / "broken_plugins"
LINE = ROOT / "examples" / "line.csv"
UNRULY = ["--plugin", BROKEN / "unruly.py", "--dataset", f"1={LINE}", "--executor", "inline"]
PURE = ["--plugin", "pure", "--dataset", f"1={LINE}", "--executor", "inline"]
TRAINED = {"epochs": 2, "learning_rate": 0.1}


def _space(*does: str) -> dict[str, Any]:
    return {"name": "do", "type": "grid_search", "options": list(does)}


def _folder(root: Path) -> Path:
    (folder,) = (root / "trialrun-results").iterdir()
    return folder


def test_a_training_job_ends_with_its_model(called, training, tmp_path: Path) -> None:
    shown = called("run", training(TRAINED, name="m"), *PURE, "--seed", 5)
    assert shown.exit_code == 0
    assert "m: job 1, training, seed 5" in shown.stderr
    assert "recorder  http://127.0.0.1:" in shown.stderr
    assert "  token " in shown.stderr
    folder = _folder(tmp_path)
    assert shown.stdout.splitlines()[2:] == [
        "model      1",
        f"results    {folder}",
        f"recording  {folder / 'recorder.sqlite'}",
    ]


def test_json_is_alone_on_stdout(called, training, tmp_path: Path) -> None:
    shown = called("run", training({"do": "fine"}), *UNRULY, "--json")
    assert shown.exit_code == 0
    result = json.loads(shown.stdout)
    assert result == json.loads((_folder(tmp_path) / "result.json").read_text("utf-8"))
    assert "printed by fine" in shown.stderr
    assert "a job: job 1" in shown.stderr


def test_quiet_shows_nothing(called, training, tmp_path: Path) -> None:
    shown = called("run", training({"do": "fine"}), *UNRULY, "--quiet")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "")
    assert (_folder(tmp_path) / "train" / "stdout").read_text("utf-8") == "printed by fine\n"


def test_quiet_json_is_the_result_alone(called, training) -> None:
    shown = called("run", training({"do": "fine"}), *UNRULY, "--quiet", "--json")
    assert json.loads(shown.stdout)["model_id"] == 1
    assert shown.stderr == ""


def test_quiet_shows_errors(called, training) -> None:
    shown = called("run", training({"do": "raise"}), *UNRULY, "--quiet")
    assert shown.exit_code == 1
    assert [line.split(":")[0] for line in shown.stderr.splitlines()] == ["error", "results so far"]


def test_failed_trials_are_listed_and_the_rest_goes_on(called, tuning, tmp_path: Path) -> None:
    job = tuning(_space("fine", "raise", "string", "nan", "nothing", "exit"))
    shown = called("run", job, *UNRULY)
    assert shown.exit_code == 0
    reasons = (
        "ValueError: no [bold]luck[/bold] | \\x1b[31m",
        "got str '0.5'",
        "got nan",
        "no metrics",
        "SystemExit: 4",
    )
    for reason in reasons:
        assert sum(reason in line for line in shown.stdout.splitlines()) == 1
        assert reason in shown.stderr
    assert "6, 1 succeeded, 5 failed" in shown.stdout
    with Recorder.open(_folder(tmp_path) / "recorder.sqlite") as recorder:
        assert len(recorder.table_rows(1)) == 6


def test_failed_trials_fail_the_command_when_asked(called, tuning) -> None:
    job = tuning(_space("fine", "nan"))
    for more in ([], ["--json"], ["--quiet"]):
        shown = called("run", job, *UNRULY, "--fail-on-trial-error", *more)
        assert shown.exit_code == 1
        assert "got nan" in shown.stderr
    assert called("run", tuning(_space("fine")), *UNRULY, "--fail-on-trial-error").exit_code == 0


@pytest.mark.parametrize("do", ["raise", "string", "nan", "nothing", "exit"])
def test_a_study_in_which_all_fail_is_an_error(do: str, called, tuning, tmp_path: Path) -> None:
    shown = called("run", tuning(_space(do, do)), *UNRULY, "--json")
    assert shown.exit_code == 1
    assert sum(line.startswith("error: ") for line in shown.stderr.splitlines()) == 3
    assert json.loads(shown.stdout)["status"] == "FAILED"
    with Recorder.open(_folder(tmp_path) / "recorder.sqlite") as recorder:
        assert recorder.job(1)["status"] == "FAILED"


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ("raise", "train() raised, got ValueError: no [bold]luck[/bold] | \\x1b[31m"),
        ("exit", "train() raised, got SystemExit: 4"),
        ("string", "artifact: must exist, got 'a word, and no path'"),
        ("nothing", "train() must return the path of its artifact, got None"),
    ],
)
def test_a_training_that_fails_is_one_error(do: str, message: str, called, training, tmp_path: Path) -> None:
    shown = called("run", training({"do": do}), *UNRULY)
    assert shown.exit_code == 1
    (error,) = [line for line in shown.stderr.splitlines() if "error: " in line]
    assert message in error
    with Recorder.open(_folder(tmp_path) / "recorder.sqlite") as recorder:
        assert recorder.messages()[-1]["content"] == "the run is complete"


@pytest.mark.parametrize("mode", ["training", "tuning"])
def test_an_interrupted_job_exits_with_130(mode: str, called, request: pytest.FixtureRequest) -> None:
    write = request.getfixturevalue(mode)
    job = write({"do": "interrupt"}) if mode == "training" else write(_space("interrupt", "fine"))
    shown = called("run", job, *UNRULY)
    assert shown.exit_code == 130
    assert "interrupted" in shown.stderr
    assert "results so far: " in shown.stderr


@pytest.mark.parametrize(
    "name",
    ["a:b,c%3A/d", "two\nlines\r\x1b[2J", "🙂 \N{WOMAN}\u200d\N{MICROSCOPE}", "../../up", "[bold]x[/bold]", "n" * 300],
)
def test_a_name_may_have_any_characters(name: str, called, training, tmp_path: Path) -> None:
    shown = called("run", training({"do": "fine"}, name=name), *UNRULY)
    assert shown.exit_code == 0
    assert all(character.isprintable() or character in "\n\u200d" for character in shown.output)
    with Recorder.open(_folder(tmp_path) / "recorder.sqlite") as recorder:
        assert [model["name"] for model in recorder.models()] == [name]


def _error(shown: Any) -> str:
    assert (shown.exit_code, shown.stdout) == (2, "")
    (line,) = shown.stderr.splitlines()
    assert line.startswith("error: ")
    return str(line)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b'{"action": ', "is not JSON"),
        (b"- [open", "is neither JSON nor YAML"),
        (b"\xff\xfe\x00", "job.json"),
        (b'"text"', "must be an object"),
        (b" " * 50_000_000, "must have at most 5,000,000 bytes"),
    ],
    ids=["absent", "empty", "cut", "yaml", "binary", "text", "50 MB"],
)
def test_a_file_that_is_no_job_is_refused(content: bytes | None, message: str, called, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "job.json").write_bytes(content)
    assert message in _error(called("run", "job.json", *PURE))
    assert not (tmp_path / "trialrun-results").exists()


def test_a_folder_is_no_job(called, tmp_path: Path) -> None:
    assert "got a folder" in _error(called("run", tmp_path, *PURE))


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("nobody_has_this", "there must be a plugin of that name"),
        (BROKEN / "absent.py", "there must be a file or folder"),
        (BROKEN / "syntax_error.py", "SyntaxError"),
        (BROKEN / "raises_on_import.py", "RuntimeError: no licence"),
        (BROKEN / "exits_on_import.py", "SystemExit: 3"),
        (BROKEN / "without_train.py", "Did you mean 'training'?"),
        (BROKEN / "train_in_tune_order.py", "must have the order (run, dataset, hyperparameter, checkpoint)"),
        (BROKEN / "tune_in_train_order.py", "must have the order (hyperparameter, run, dataset, checkpoint)"),
        ("digits", "must have `train("),
    ],
)
def test_an_unusable_plugin_is_refused(plugin: object, message: str, called, training) -> None:
    shown = called("run", training(), "--plugin", plugin, "--dataset", f"1={LINE}")
    assert message in _error(shown)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dataset", "x"], "an id, '=' and a path"),
        (["--dataset", "2=nowhere"], "must be a path, or the name of a dataset"),
        (["--checkpoint", "3=nowhere"], "the path must exist"),
        (["--dataset", f"1={LINE}"], "an id must be given once"),
        (["--seed", "-1"], "--seed: must be at least 0"),
        (["--results", LINE], "--results: must be a folder"),
        (["--results", LINE / "below"], "--results: cannot be created"),
        (["--backend", "ftp://host"], "must be an http or https URL"),
        (["--with", "nobody_has_this"], "there must be a plugin of that name"),
    ],
)
def test_an_invalid_option_is_refused(args: list[object], message: str, called, training) -> None:
    assert message in _error(called("run", training(TRAINED), *PURE, *args))


def test_a_dataset_that_the_backend_does_not_know_fails_the_job(called, training) -> None:
    shown = called("run", training(TRAINED, dataset=7), *PURE)
    assert shown.exit_code == 1
    assert "dataset 7: must exist on the backend" in shown.stderr


def test_a_checkpoint_that_the_backend_does_not_know_fails_the_job(called, training) -> None:
    shown = called("run", training(TRAINED, checkpoint=8), *PURE)
    assert shown.exit_code == 1
    assert "8: must exist on the backend" in shown.stderr


def test_every_error_of_a_call_is_reported_at_once(called, training) -> None:
    job = training(dataset="x", nmae="y")
    wrong = ["--dataset", "y", "--checkpoint", "z", "--resource", "half", "--storage", "s3://key:hunter2@bucket/x"]
    shown = called("run", job, "--plugin", BROKEN / "three_faults.py", *wrong)
    assert shown.exit_code == 2
    message = shown.stderr.splitlines()
    assert len(message) == 9
    assert all(line.startswith("error: ") for line in message)
    assert "--storage: credentials go into the environment" in shown.stderr
    assert "hunter2" not in shown.stderr


def test_the_deprecated_form_runs_with_one_warning(called, tuning, tmp_path: Path) -> None:
    data = json.loads(tuning(_space("fine")).read_text("utf-8"))
    params = {"hyperparameter" if key == "hyperparameters" else key: value for key, value in data["params"].items()}
    del params["is_tune"]
    (tmp_path / "old.json").write_text(json.dumps({"action": "tune", "params": params}), encoding="utf-8")
    shown = called("run", "old.json", *UNRULY)
    assert shown.exit_code == 0
    assert sum("warning: the action" in line for line in shown.stderr.splitlines()) == 1


def test_a_job_may_have_an_id_of_its_own(called, training, tmp_path: Path) -> None:
    job = training({"do": "fine"})
    assert called("run", job, *UNRULY, "--job", 42, "--results", tmp_path / "r").exit_code == 0
    assert (tmp_path / "r" / "a job-42" / "result.json").is_file()
    again = called("run", job, *UNRULY, "--job", 42, "--results", tmp_path / "r")
    assert "this job has results already" in _error(again)


def test_a_reader_that_leaves_does_not_end_the_job(spawned, training, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trialrun", "run", training({"do": "fine"}), *UNRULY]
    with subprocess.Popen(
        [str(part) for part in command], cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stderr is not None
        assert running.stdout is not None
        running.stdout.close()
        running.stderr.close()
        running.wait(timeout=60)
    assert json.loads((_folder(tmp_path) / "result.json").read_text("utf-8"))["model_id"] == 1


@pytest.mark.parametrize("text", ["license", "license=", "=2", "license=-1", "license=many", "a b=1", "license=1e400"])
def test_a_resource_without_an_amount_is_refused(called, training, text: str) -> None:
    shown = called("run", training(TRAINED), *PURE, "--resource", text, "--resource", "fine=1.5")
    assert shown.exit_code == 2
    assert f"--resource: must be NAME=AMOUNT, got {text!r}" in shown.stderr


def test_resources_without_a_ray_of_our_own_are_refused(called, tuning, tmp_path: Path) -> None:
    shown = called("run", tuning(_space("fine")), *UNRULY, "--resource", "license=2")
    assert shown.exit_code == 2
    assert (
        "--resource: is only for a Ray that is started here, got license=2; the inline executor uses no Ray"
        in shown.stderr
    )
    assert not (tmp_path / "trialrun-results").exists()
