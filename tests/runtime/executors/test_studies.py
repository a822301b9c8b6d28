"""Studies on both executors: the result of each way of reporting, failing and stopping."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun_hookspecs.errors import AllTrialsFailed, Infeasible, RequestInvalid, TrialFailed

from .conftest import BOTH, PLUGINS, ROWS, Study

Tuned = Callable[..., Study]
Leaky = Callable[[str], Study]

REASONS = {
    "raises": "boom at the first step",
    "nan": "loss",
    "nan_later": "loss",
    "nothing": "loss",
    "string": "str",
    "true": "bool",
    "other_metric": "loss",
    "no_artifact": "weights",
    "outside": "/etc/hostname",
    "bad_log": "high",
}


def grid(name: str, values: list[Any]) -> list[dict[str, Any]]:
    return [{"name": name, "type": "grid_search", "options": values}]


def check_progress(study: Study) -> None:
    overall = [entry["data"]["overall"] for entry in study.recorder.events("progress")]
    assert overall == sorted(overall)
    assert overall[-1] == 1.0
    assert [value for value in overall if value == 1.0] == [1.0]


@pytest.mark.parametrize("executor", BOTH)
def test_a_failing_trial_says_why_while_the_rest_goes_on(tuned: Tuned, executor: str) -> None:
    fatal = ["exits", "dies"] if executor == "ray" else ["exits"]
    study = tuned("trial_faults", grid("fault", ["none", *REASONS, *fatal]), executor=executor)
    for fault, reason in REASONS.items():
        assert reason in study.failure(fault), fault
    assert {study.trial_id(fault) for fault in ("none",)} == {m.trial_id for m in study.result.trial_models}
    assert study.result.best_trial is not None
    assert study.result.best_trial.config == {"fault": "none"}
    table = study.recorder.last_table(study.result.job_id)
    assert table is not None
    assert table["best_trial"] == study.trial_id("none")
    statuses = {row["hyperparameters"][0]: row["base"][1] for row in table["trials"].values()}
    assert statuses["none"] == "TERMINATED"
    assert {statuses[fault] for fault in [*REASONS, *fatal]} - {"ERROR"} == {"TERMINATED"}  # those without an artifact
    assert {fault for fault, status in statuses.items() if status == "TERMINATED"} == {"none", "no_artifact", "outside"}
    assert study.recorder.job(study.result.job_id)["status"] == "SUCCEEDED"
    check_progress(study)  # on Ray, several trials ran at a time


@pytest.mark.parametrize("executor", BOTH)
def test_a_study_in_which_all_trials_fail_is_an_error_with_every_reason(tuned: Tuned, executor: str) -> None:
    with pytest.raises(AllTrialsFailed, match=r"all 2 trials failed(?s:.*)boom at the first step(?s:.*)loss"):
        tuned("trial_faults", grid("fault", ["raises", "nothing"]), executor=executor)


@pytest.mark.parametrize("executor", BOTH)
def test_every_way_of_handing_over_metrics_gives_the_same_kind_of_result(tuned: Tuned, executor: str) -> None:
    styles = {
        "generator": [{"loss": 3.0}, {"loss": 2.0}],
        "dict": [{"loss": 0.0, "nested/a": 1}],
        "number": [{"loss": 0}],
        "run_report": [{"loss": 2.0}, {"loss": 1.0}],
        "ray_report": [{"loss": 2.0}, {"loss": 1.0}],
        "report_then_same": [{"loss": 1.0, "extra": 5}],
        "report_then_more": [{"loss": 2.0, "extra": 5}, {"loss": 1.0, "extra": 5}],
    }
    study = tuned("tune_styles", grid("style", list(styles)), executor=executor, max_concurrent_trials=1)
    assert [failure for failure in study.result.failures if failure.status == "ERROR"] == []
    assert {style: study.results_of(style) for style in styles} == styles


@pytest.mark.parametrize("executor", BOTH)
def test_no_trial_sees_what_the_one_before_did_to_its_process(leaky: Leaky, executor: str) -> None:
    study = leaky(executor)
    results = [study.results_of(n)[0] for n in (1, 2, 3, 4)]
    assert [result["leaks"] for result in results] == [0, 0, 0, 0]
    assert len({result["process"] for result in results}) < 4  # they did share a process
    assert [result["rows"] for result in results] == [4, 4, 4, 4]
    assert len({result["loss"] for result in results}) == 4  # each trial has a seed of its own


@pytest.mark.parametrize("executor", BOTH)
def test_the_same_seed_gives_the_same_study(tuned: Tuned, executor: str) -> None:
    space = [{"name": "n", "type": "uniform", "min": 0, "max": 1}]
    first = tuned("leaky", space, executor=executor, num_samples=2)
    again = tuned("leaky", space, executor=executor, num_samples=2, max_concurrent_trials=1)

    def drawn(study: Study) -> list[tuple[Any, Any]]:
        table = study.recorder.last_table(study.result.job_id)
        assert table is not None
        return [(row["hyperparameters"], row["metrics"][0]) for row in table["trials"].values()]

    assert drawn(first) == drawn(again)


@pytest.mark.parametrize("executor", BOTH)
def test_trial_ids_are_in_every_metric_without_the_plugin_doing_anything(leaky: Leaky, executor: str) -> None:
    study = leaky(executor)
    ids = {study.trial_id(n) for n in (1, 2, 3, 4)}
    logged = study.recorder.metrics()
    assert len(logged) == len(ids) == 4
    assert {entry["trial_id"] for entry in logged} == ids
    for n in (1, 2, 3, 4):
        trial_id = study.trial_id(n)
        assert f"printed by {trial_id}" in (study.folder / "trials" / trial_id / "stdout").read_text()
        assert json.loads((study.folder / "trials" / trial_id / "config.json").read_text())["n"] == n


@pytest.mark.ray
def test_what_subprocesses_print_is_in_the_trials_folder(leaky: Leaky) -> None:
    study = leaky("ray")
    for trial_id in [study.trial_id(n) for n in (1, 2, 3, 4)]:
        assert f"child of {trial_id}" in (study.folder / "trials" / trial_id / "stdout").read_text()
        assert (study.folder / "trials" / trial_id / "stderr").read_text() == ""


@pytest.mark.ray
def test_a_trial_that_asked_for_no_gpu_sees_none(tuned: Tuned, leaky: Leaky) -> None:
    without = leaky("ray")
    assert [without.results_of(n)[0]["gpu_hidden"] for n in (1, 2, 3, 4)] == [1, 1, 1, 1]
    given = tuned("leaky", grid("n", [1]), executor="ray", params={"num_gpus": 0.5})
    assert "visible 0" in [message["content"] for message in given.recorder.messages()]


@pytest.mark.ray
def test_hyperopt_smoke_on_ray_registers_a_model_per_trial(tuned: Tuned) -> None:
    space = [
        {"name": "learning_rate", "type": "loguniform", "min": 0.01, "max": 0.5, "base": 10},
        {"name": "epochs", "type": "choice", "options": [3]},
    ]
    search = {"name": "hyperoptsearch", "points_to_evaluate": [{"learning_rate": 0.1, "epochs": 3}]}
    study = tuned("pure", space, executor="ray", num_samples=4, search_alg=search, max_concurrent_trials=1)
    models = study.recorder.models()
    assert len(models) == len(study.result.trial_models) == 4
    assert {model["name"] for model in models} == {f"study_{m.trial_id}" for m in study.result.trial_models}
    assert study.result.trial_models[0].config == {"learning_rate": 0.1, "epochs": 3}
    best = study.result.best_trial
    assert best is not None
    assert best.metrics["loss"] == min(model.metrics["loss"] for model in study.result.trial_models)
    assert study.recorder.best_trials()[-1]["trial_id"] == best.trial_id
    assert study.result.model_id in {model["id"] for model in models}


@pytest.mark.ray
def test_asha_stops_early_and_early_stopped_trials_have_models_too(tuned: Tuned) -> None:
    space = [
        {"name": "learning_rate", "type": "grid_search", "options": [0.3, 0.001, 0.0005, 0.0001]},
        {"name": "epochs", "type": "choice", "options": [12]},
    ]
    scheduler = {"name": "asha", "options": {"max_t": 12, "grace_period": 1, "reduction_factor": 2}}
    study = tuned("pure", space, executor="ray", scheduler=scheduler, max_concurrent_trials=1)
    steps = [len(study.results_of(rate)) for rate in (0.3, 0.001, 0.0005, 0.0001)]
    assert steps[0] == 12
    assert min(steps) < 12
    assert len(study.result.trial_models) == 4


@pytest.mark.ray
def test_hyperband_pauses_trials_which_go_on_from_their_checkpoints(tuned: Tuned) -> None:
    space = [
        {"name": "learning_rate", "type": "grid_search", "options": [0.3, 0.1, 0.01, 0.001]},
        {"name": "epochs", "type": "choice", "options": [4]},
    ]
    study = tuned("pure", space, executor="ray", scheduler={"name": "hyperband", "options": {"max_t": 4}})
    for rate in (0.3, 0.1, 0.01, 0.001):
        epochs = [result["epoch"] for result in study.results_of(rate)]
        assert epochs == list(range(1, len(epochs) + 1)), "no epoch was trained twice"


@pytest.mark.parametrize("executor", BOTH)
def test_stop_rules_end_trials_and_target_ends_the_study(tuned: Tuned, executor: str) -> None:
    space = [
        {"name": "learning_rate", "type": "choice", "options": [0.1]},
        {"name": "epochs", "type": "choice", "options": [50]},
    ]
    one_by_one = {"executor": executor, "max_concurrent_trials": 1}
    stopped = tuned("pure", space, stop={"training_iteration": 3}, num_samples=2, **one_by_one)
    assert {model.metrics["epoch"] for model in stopped.result.trial_models} == {3}
    reached = tuned("pure", space, target=1000.0, num_samples=5, **one_by_one)
    assert reached.result.ended_by.startswith("target: loss reached")
    assert len(reached.recorder.last_table(reached.result.job_id)["trials"]) < 5  # type: ignore[index]


@pytest.mark.parametrize("executor", BOTH)
def test_fail_fast_ends_the_study_with_that_status(tuned: Tuned, executor: str) -> None:
    study = tuned(
        "trial_faults",
        grid("fault", ["none", "raises", "none", "none"]),
        executor=executor,
        fail_fast=True,
        max_concurrent_trials=1,
    )
    assert study.result.ended_by.startswith("fail_fast: trial")
    assert sum(failure.status == "ERROR" for failure in study.result.failures) == 1


@pytest.mark.parametrize("executor", BOTH)
def test_progress_never_falls_and_is_whole_only_at_the_end(leaky: Leaky, executor: str) -> None:
    check_progress(leaky(executor))


def test_a_trial_too_large_for_this_machine_is_refused_before_it_hangs(tmp_path: Path) -> None:
    job = _job(params={"num_cpus": 10_000})
    with pytest.raises(Infeasible, match="10000 CPU"):
        trialrun.run(job, plugin=PLUGINS / "leaky.py", datasets={1: ROWS}, results=tmp_path)


@pytest.mark.ray
def test_a_ray_that_was_there_before_is_left_running(leaky: Leaky) -> None:
    import ray

    leaky("ray")
    assert ray.is_initialized()


def test_a_scheduler_on_the_inline_executor_is_refused_with_the_remedy(tmp_path: Path) -> None:
    job = _job(config={"scheduler": "asha"})
    with pytest.raises(RequestInvalid, match="inline"):
        trialrun.run(job, plugin=PLUGINS / "leaky.py", executor="inline", datasets={1: ROWS}, results=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_a_live_object_runs_on_ray(tmp_path: Path) -> None:
    class Live:
        def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> str:
            Path("model").write_text("m")
            run.report({"loss": hyperparameter["n"]})
            return str(Path("model").absolute())

    from trialrun_hookspecs import hookimpl

    Live.train = hookimpl(Live.train)  # type: ignore[method-assign]
    job = _job(config={"max_concurrent_trials": 1})
    result = trialrun.run(job, plugin=Live(), datasets={1: ROWS}, results=tmp_path)
    assert result.best_trial is not None
    assert result.best_trial.config == {"n": 1}
    assert len(result.trial_models) == 2


def _job(params: dict[str, Any] | None = None, config: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "action": "train",
        "params": {
            "name": "study",
            "dataset": 1,
            "is_tune": True,
            "hyperparameters": grid("n", [1, 2]),
            "tune_config": {"metric": "loss", "mode": "min", **(config or {})},
            **(params or {}),
        },
    }


PAUSING = [
    pytest.param("hyperband", {"max_t": 4}, id="hyperband"),
    pytest.param("median", {"time_attr": "training_iteration", "min_time_slice": 1}, id="median"),
    pytest.param("pbt", {"time_attr": "training_iteration", "perturbation_interval": 2}, id="pbt"),
    pytest.param("pb2", {"time_attr": "training_iteration", "perturbation_interval": 2}, id="pb2"),
]
MEDIAN = pytest.param("median", {"time_attr": "training_iteration", "grace_period": 1}, id="median")
RATES = [{"name": "learning_rate", "type": "loguniform", "min": 0.001, "max": 0.3, "base": 10}]
EPOCHS = [{"name": "epochs", "type": "choice", "options": [4]}]


@pytest.mark.ray
@pytest.mark.parametrize(("scheduler", "options"), PAUSING)
def test_a_scheduler_that_pauses_tells_a_plugin_without_checkpoints(
    tuned: Tuned, scheduler: str, options: dict[str, Any]
) -> None:
    config = {"name": scheduler, "options": options}
    with pytest.raises(AllTrialsFailed, match=r"have a checkpoint(?s:.*)allow_restart"):
        tuned("tune_styles", [*grid_or_range(scheduler)], executor="ray", scheduler=config, num_samples=2)


def grid_or_range(scheduler: str) -> list[dict[str, Any]]:
    """The style under test, and a number for the schedulers that must have one to change."""
    style = {"name": "style", "type": "choice", "options": ["run_report"]}
    return [style, *RATES] if scheduler in ("pbt", "pb2") else [style]


@pytest.mark.ray
@pytest.mark.parametrize(("scheduler", "options"), [MEDIAN, *PAUSING[2:]])
def test_a_scheduler_that_copies_or_pauses_runs_a_plugin_that_resumes(
    tuned: Tuned, scheduler: str, options: dict[str, Any]
) -> None:
    config = {"name": scheduler, "options": options}
    study = tuned("pure", [*RATES, *EPOCHS], executor="ray", scheduler=config, num_samples=3)
    assert [failure for failure in study.result.failures if failure.status == "ERROR"] == []
    assert len(study.result.trial_models) == 3
    for model in study.result.trial_models:
        assert 0.001 <= model.config["learning_rate"] <= 0.3
        assert model.metrics["epoch"] <= 4


@pytest.mark.ray
def test_a_time_attr_that_nobody_reports_is_an_error_and_not_a_silent_no_op(tuned: Tuned) -> None:
    asha = {"name": "asha", "options": {"time_attr": "epcoh", "max_t": 5}}
    with pytest.raises(AllTrialsFailed, match="epcoh"):
        tuned("pure", [*RATES, *EPOCHS], executor="ray", scheduler=asha)


@pytest.mark.parametrize("executor", BOTH)
def test_fail_fast_raise_fails_the_job_with_the_trials_error(tuned: Tuned, executor: str) -> None:
    with pytest.raises(TrialFailed, match="boom at the first step"):
        tuned("trial_faults", grid("fault", ["raises", "none"]), executor=executor, fail_fast="raise")


@pytest.mark.parametrize("executor", BOTH)
def test_a_trial_that_is_ended_early_says_by_what(tuned: Tuned, executor: str) -> None:
    plateau = {"trial": {"patience": 1, "min_delta": 1e9}}
    study = tuned("pure", [*RATES, *EPOCHS], executor=executor, plateau=plateau, num_samples=2, max_concurrent_trials=1)
    assert set(study.result.ended_early.values()) == {"plateau.trial: loss did not improve in 1 reports"}
    assert len(study.result.ended_early) == 2


@pytest.mark.ray
def test_a_scheduler_and_an_algorithm_of_a_plugin_are_used_by_name(tmp_path: Path) -> None:
    scheduler = {"name": "patience", "options": {"patience": 1, "min_delta": 1e9}}
    config = {"search_alg": "halton", "scheduler": scheduler, "num_samples": 2, "max_concurrent_trials": 1}
    job = _job(params={"hyperparameters": [*RATES, *EPOCHS]}, config=config)
    result = trialrun.run(
        job, plugin="pure", plugins=["halton", "patience"], datasets={1: ROWS}, results=tmp_path / "results"
    )
    assert [model.metrics["epoch"] for model in result.trial_models] == [2, 2]
    assert set(result.ended_early.values()) == {"scheduler: patience"}
