"""Jobs from request to result, in training mode and around it."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.recorder import Recorder
from trialrun_hookspecs import hookimpl
from trialrun_hookspecs.errors import (
    AllTrialsFailed,
    BackendUnavailable,
    FixtureInvalid,
    JobInterrupted,
    NotOnBackend,
    RequestInvalid,
    TrainingFailed,
    UsageError,
)
from trialrun_hookspecs.event import Event

PLUGIN = Path(__file__).parents[2] / "broken_plugins" / "training_faults.py"
ROWS = [{"category": "train", "data": {"x": 1}}]
HOSTILE = ["a:b,c", "100%", "a/b", "../up", "line\nbreak", "🚀 emoji", "n" * 300, "<img src=x onerror=alert(1)>"]


def job(name: str = "model", checkpoint: int | None = None, dataset: int = 1, **hyperparameter: Any) -> dict[str, Any]:
    params = {"name": name, "dataset": dataset, "checkpoint": checkpoint, "hyperparameter": hyperparameter}
    return {"action": "train", "params": params}


def trained(results: Path, request: dict[str, Any] | None = None, **options: Any) -> Any:
    options.setdefault("datasets", {1: ROWS})
    return trialrun.run(request or job(), plugin=options.pop("plugin", PLUGIN), results=results, **options)


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[tuple[Recorder, str, str]]:
    """A recorder that another process started: itself, its URL and its token."""
    from trialrun.recorder import Fixtures

    fixtures = Fixtures()
    fixtures.add_dataset(1, ROWS)
    with Recorder(tmp_path / "there.sqlite", fixtures=fixtures) as recorder, recorder.server() as server:
        yield recorder, server.url, server.token


def recording(folder: Path) -> Recorder:
    return Recorder.open(folder / "recorder.sqlite")


def test_training_gives_a_model_and_leaves_what_the_docs_promise(tmp_path: Path) -> None:
    result = trained(tmp_path, seed=5)
    folder = Path(result.results_dir)
    assert folder == tmp_path / "model-1"
    assert json.loads((folder / "result.json").read_text())["model_id"] == result.model_id
    assert json.loads((folder / "job.json").read_text())["params"] == {
        "name": "model",
        "dataset": 1,
        "is_tune": False,
        "hyperparameter": {},
    }
    assert (folder / "train" / "stdout").read_text() == "said on stdout\n"
    with recording(folder) as recorder:
        assert recorder.job(1)["status"] == "SUCCEEDED"
        assert recorder.job(1)["result"] == {"model_id": result.model_id}
        (model,) = recorder.models()
        assert model["configuration"] == {"hyperparameter": {}}
        with zipfile.ZipFile(model["path"]) as archive:
            assert archive.read("model") == b"trained "
        keys = [(entry["category"], entry["key"], entry["trial_id"]) for entry in recorder.metrics()]
        assert keys == [("train", "loss", None), ("training", "accuracy", None)]
        overall = [entry["data"]["overall"] for entry in recorder.events("progress")]
        assert overall == sorted(overall)
        assert overall[-1] == 1.0
        assert [entry["data"]["content"] for entry in recorder.events("message")][-1] == "the run is complete"


def test_training_resumes_from_a_checkpoint_id(tmp_path: Path) -> None:
    first = trained(tmp_path)
    with recording(Path(first.results_dir)) as recorder:
        archive = recorder.models()[0]["path"]
        again = trained(tmp_path, job("again", checkpoint=789), checkpoints={789: archive})
    with recording(Path(again.results_dir)) as recorder:
        (model,) = recorder.models()
        assert model["checkpoint"] == 789
        with zipfile.ZipFile(model["path"]) as content:
            assert content.read("model") == b"trained trained "


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raises", "boom in training"),
        ("exits", "SystemExit"),
        ("nothing", "must return the path"),
        ("missing", "no/such/file"),
        ("outside", "/etc/hostname"),
        ("number", "must be a path"),
        ("empty", "empty"),
    ],
)
def test_a_training_that_fails_says_why_to_caller_and_backend(tmp_path: Path, fault: str, said: str) -> None:
    with pytest.raises(TrainingFailed, match=said):
        trained(tmp_path, job(fault=fault))
    with recording(tmp_path / "model-1") as recorder:
        assert recorder.job(1)["status"] == "FAILED"
        contents = [entry["data"]["content"] for entry in recorder.events("message")]
        assert said in contents[-2]
        assert contents[-1] == "the run is complete"
        assert len(recorder.metrics()) == 1, "what was logged before the fault is there"
    assert said in json.loads((tmp_path / "model-1" / "result.json").read_text())["error"]


def test_an_interrupted_training_is_stopped_and_not_a_success(tmp_path: Path) -> None:
    with pytest.raises(JobInterrupted):
        trained(tmp_path, job(fault="interrupted"))
    with recording(tmp_path / "model-1") as recorder:
        assert recorder.job(1)["status"] == "STOPPED"


def test_the_process_is_as_it_was_after_training(tmp_path: Path) -> None:
    folder, environment = Path.cwd(), dict(os.environ)
    trained(tmp_path)
    assert Path.cwd() == folder
    assert dict(os.environ) == environment


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_runs_in_a_folder_of_its_own_inside_the_results(tmp_path: Path, name: str) -> None:
    result = trained(tmp_path, job(name))
    assert Path(result.results_dir).parent == tmp_path
    with recording(Path(result.results_dir)) as recorder:
        assert recorder.models()[0]["name"] == name


def test_job_ids_go_on_in_the_same_results_folder(tmp_path: Path) -> None:
    folders = [Path(trained(tmp_path, job(name)).results_dir).name for name in ("a", "b", "a")]
    assert folders == ["a-1", "b-2", "a-3"]


def test_an_unknown_dataset_or_checkpoint_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotOnBackend, match=r"77(?s:.*)--dataset"):
        trained(tmp_path, job(dataset=77))
    with pytest.raises(NotOnBackend, match=r"88(?s:.*)--checkpoint"):
        trained(tmp_path, job(checkpoint=88))


def test_a_dataset_name_that_nobody_offers_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(FixtureInvalid, match="digitz"):
        trained(tmp_path, datasets={1: "digitz"})
    assert list(tmp_path.iterdir()) == []


def test_the_datasets_of_a_plugin_are_served_by_name(tmp_path: Path) -> None:
    class Offers:
        @hookimpl
        def datasets(self) -> dict[str, Any]:
            return {"mine": lambda: [{"category": "train", "data": {"x": 1}, "files": {"note": b"hello"}}]}

    result = trained(tmp_path, datasets={1: "mine"}, plugins=[Offers()])
    (file,) = (Path(result.results_dir) / "dataset").rglob("*note*")
    assert file.read_bytes() == b"hello"


def test_a_running_recorder_takes_a_job_by_url(
    tmp_path: Path, standalone: tuple[Recorder, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, url, token = standalone
    monkeypatch.setenv("TRIALRUN_ACCESS_TOKEN", token)
    result = trained(tmp_path / "results", backend=url, job_id=41)
    assert recorder.job(41)["status"] == "SUCCEEDED"
    assert recorder.models()[0]["id"] == result.model_id
    assert "TRIALRUN_ACCESS_TOKEN" not in os.environ, "workers and plugins do not need it"
    monkeypatch.setenv("TRIALRUN_ACCESS_TOKEN", token)
    with pytest.raises(RequestInvalid, match="model"):
        trained(tmp_path / "results", backend=url, job_id=42)


def test_a_backend_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1"):
        trained(tmp_path, backend="http://127.0.0.1:9/", job_id=1)


def test_a_job_id_is_used_once_per_results_folder(tmp_path: Path) -> None:
    trained(tmp_path, job_id=3)
    with pytest.raises(UsageError, match="results already"):
        trained(tmp_path, job_id=3)


def test_a_report_hook_hears_every_event_in_order_and_one_that_raises_is_muted(tmp_path: Path) -> None:
    class Hears:
        def __init__(self) -> None:
            self.heard: list[Event] = []

        @hookimpl
        def report(self, event: Event) -> None:
            self.heard.append(event)

    class Raises:
        @hookimpl
        def report(self, event: Event) -> None:
            raise RuntimeError("not today")

    hears = Hears()
    result = trained(tmp_path, plugins=[hears, Raises()])
    kinds = [event.kind for event in hears.heard]
    assert kinds[0] == "status"
    assert kinds[-1] == "message"
    assert {"metric", "progress", "model", "result"} < set(kinds)
    assert any("not today" in warning for warning in result.warnings)
    with recording(Path(result.results_dir)) as recorder:
        recorded = [entry["key"] for entry in recorder.events()]
    assert sorted(recorded) == sorted(event.key for event in hears.heard), "recorded exactly once, each"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_a_report_hook_that_raises_late_is_told_too(tmp_path: Path, status: str) -> None:
    class Late:
        @hookimpl
        def report(self, event: Event) -> None:
            if event.data.get("status") == status:
                time.sleep(0.3)  # the training is over long before
                raise ValueError("no such store")

    result = trained(tmp_path, plugins=[Late()])
    (said,) = result.warnings
    assert "raised in report() and gets no more events: ValueError('no such store')" in said
    assert json.loads(Path(result.results_dir, "result.json").read_text())["warnings"] == [said]


def test_a_wrong_seed_and_a_wrong_executor_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--seed"):
        trained(tmp_path, seed=-1)
    with pytest.raises(UsageError, match="--executor"):
        trained(tmp_path, executor="threads")


CHATTY = """
def train(run, dataset, hyperparameter, checkpoint):
    run.report({"loss": 1.0})
    for _ in range(hyperparameter["n"]):
        run.log_message("x" * 500)
    raise SystemExit("it went on")
"""


def test_a_spool_that_is_full_fails_the_call_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    with pytest.raises(TrainingFailed, match=r"SpoolFull.*--spool-limit"):
        trained(tmp_path, job(n=10), plugin=tmp_path / "chatty.py", spool_limit=2000)
    with recording(tmp_path / "model-1") as recorder:
        assert [message["content"] for message in recorder.messages()][:2] == ["x" * 500] * 2


def test_a_trial_s_spool_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text(CHATTY)
    space = [{"name": "n", "type": "grid_search", "options": [1, 10]}]
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space}
    tuning = {"action": "train", "params": {**params, "tune_config": {"metric": "loss", "mode": "min"}}}
    options = {"plugin": tmp_path / "chatty.py", "executor": "inline", "spool_limit": 2000}
    with pytest.raises(AllTrialsFailed) as failed:
        trained(tmp_path, tuning, **options)
    assert ["SpoolFull" in problem.rule for problem in failed.value.problems[1:]] == [False, True]


def test_a_study_without_a_trial_is_no_success(tmp_path: Path) -> None:
    class Silent:
        """An algorithm that has nothing to suggest."""

        def __init__(self, primitives: Any, **options: Any) -> None:
            self.primitives = primitives

        def ask(self, trial_id: str, fixed: Any = None) -> None:
            return None

        def tell(self, trial_id: str, value: float | None) -> None:
            raise AssertionError

        def state(self) -> dict[str, Any]:
            return {}

        def restore(self, state: Any) -> None:
            raise AssertionError

    class Offers:
        @hookimpl
        def search_algorithms(self) -> dict[str, Any]:
            return {"silent": Silent}

    space = [{"name": "n", "type": "uniform", "min": 0, "max": 1}]
    config = {"metric": "loss", "mode": "min", "num_samples": 3, "search_alg": "silent"}
    params = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": space, "tune_config": config}
    with pytest.raises(AllTrialsFailed, match=r"no trial has run, got 0 of 3\. Check that the search algorithm"):
        trained(tmp_path, {"action": "train", "params": params}, plugins=[Offers()], executor="inline")
    with recording(tmp_path / "n-1") as recorder:
        assert recorder.job(1)["status"] == "FAILED"
