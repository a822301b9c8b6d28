"""Trials of an earlier run come first, under their ids and in their folders; then those that were never made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.tune.execution.experiment_state import _ExperimentCheckpointManager  # noqa: F401  # Ray's import order
from ray.tune.experiment import Experiment
from ray.tune.search import BasicVariantGenerator

from trialrun.engine.preflight import build_study, prepare_job
from trialrun.executors.base import Study
from trialrun.executors.ray_tune.resume import ResumedTrials, replay_scheduler
from trialrun.executors.ray_tune.schedulers import make_scheduler
from trialrun.executors.ray_tune.searcher import AskTellSearcher
from trialrun.executors.ray_tune.space import build_param_space
from trialrun.executors.search_replay import replay_search
from trialrun.run_dir.history import StudyHistory, TrialOutcome
from trialrun.run_dir.run_config import RunConfig

SPACE = [
    {"name": "o/x", "type": "uniform", "min": 0, "max": 1},
    {"name": "n", "type": "grid_search", "options": [1, 2]},
]
PLAIN = SPACE[:1]


def study(folder: Path, past: StudyHistory, resumed: tuple[str, ...] = (), space: Any = None, **config: Any) -> Study:
    tune_config = {"metric": "loss", "mode": "min", "num_samples": 3, "seed": 4, **config}
    params = {"name": "s", "dataset": 1, "is_tune": True, "hyperparameters": space or PLAIN}
    job = {"action": "train", "params": {**params, "tune_config": tune_config}}
    prepared = prepare_job(
        job, plugin="pure", run_config=RunConfig(executor="inline" if "scheduler" not in config else "ray")
    )
    return build_study(prepared, results=folder, history=past, resumed=resumed)


def variants(given: Study) -> BasicVariantGenerator:
    return BasicVariantGenerator(random_state=given.seed)


def experiment(given: Study, samples: int) -> list[Experiment]:
    return [Experiment("e", lambda config: None, config=build_param_space(given.space), num_samples=samples)]


def drawn(search: Any) -> list[Any]:
    trials = []
    while (trial := search.next_trial()) is not None:
        trials.append(trial)
        search.on_trial_complete(trial.trial_id, {"loss": 1.0})
    return trials


def outcome(trial_id: str, config: dict[str, Any], **facts: Any) -> TrialOutcome:
    known = {"status": "TERMINATED", "metrics": {"loss": 0.5}, "logdir": Path("/l"), **facts}
    return TrialOutcome(trial_id=trial_id, config=config, **known)


@pytest.mark.parametrize("made", [0, 1, 3, 5, 6])
def test_random_and_grid_search_go_on_in_their_sequence(tmp_path: Path, made: int) -> None:
    whole_study = study(tmp_path, StudyHistory(), space=SPACE)
    whole = variants(whole_study)
    whole.add_configurations(experiment(whole_study, 3))
    configs = [trial.config for trial in drawn(whole)]
    assert len(configs) == 6
    past = StudyHistory(configs={f"t{number}": {"o/x": 0.5, "n": 1} for number in range(made)})
    given = study(tmp_path, past, space=SPACE)
    search = ResumedTrials(variants(given), given, limit=None)
    search.add_configurations(experiment(given, 3))
    assert [trial.config for trial in drawn(search)] == configs[made:]
    assert search.is_finished()


def test_a_cut_trial_keeps_its_id_its_values_and_its_checkpoints(tmp_path: Path) -> None:
    past = StudyHistory(configs={"t0": {"o/x": 0.25}, "t1": {"o/x": 0.75}})
    given = study(tmp_path, past, ("t1",))
    (tmp_path / "ray" / "t1" / "checkpoint_000007").mkdir(parents=True)
    search = ResumedTrials(variants(given), given, limit=1)
    search.add_configurations(experiment(given, 3))
    first = search.next_trial()
    assert (first.trial_id, first.config) == ("t1", {"o": {"x": 0.75}})
    assert first.storage.trial_dir_name == "t1"
    assert first.storage.current_checkpoint_index == 7
    assert search.next_trial() is None, "one at a time"
    search.on_trial_complete("t1", {"loss": 1.0})
    assert len(drawn(search)) == 1
    assert search.is_finished()


def test_an_algorithm_is_told_of_the_past_and_makes_what_is_left(tmp_path: Path) -> None:
    past = StudyHistory(
        configs={"t0": {"o/x": 0.25}, "t1": {"o/x": 0.75}},
        outcomes={"t0": outcome("t0", {"o/x": 0.25}), "t1": outcome("t1", {"o/x": 0.75}, status="ERROR", error="e")},
    )
    given = study(tmp_path, past, search_alg={"name": "optunasearch", "points_to_evaluate": [{"o/x": 0.9}] * 3})
    algorithm = replay_search(given)
    state = algorithm.state()
    assert [(trial["state"], trial["value"]) for trial in state["inner"]["trials"]] == [
        ("COMPLETE", 0.5),
        ("FAIL", None),
    ]
    assert len(state["points"]) == 1, "two of the points were tried"
    search = ResumedTrials(AskTellSearcher(algorithm, given.space, metric="loss", mode="min"), given, limit=None)
    search.add_configurations([Experiment("e", lambda config: None, num_samples=given.remaining)])
    assert [trial.config for trial in drawn(search)] == [{"o": {"x": 0.9}}]


def test_a_study_that_a_rule_ended_makes_no_more(tmp_path: Path) -> None:
    past = StudyHistory(configs={"t0": {"o/x": 0.25}}, ended=True, ended_by="target: loss reached 0.1")
    given = study(tmp_path, past, ("t0",))
    search = ResumedTrials(variants(given), given, limit=None)
    search.add_configurations(experiment(given, 3))
    assert [trial.trial_id for trial in drawn(search)] == ["t0"]


@pytest.mark.parametrize("name", ["asha", "median"])
def test_a_scheduler_hears_the_results_of_the_past(tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = (
        {"max_t": 9, "grace_period": 1}
        if name == "asha"
        else {
            "time_attr": "training_iteration",
            "grace_period": 0,
            "min_samples_required": 1,
        }
    )
    results = tuple((f"t{number}", step, {"loss": 1.0}) for number in range(4) for step in (1, 2, 3))
    configs = {f"t{number}": {"o/x": 0.5} for number in range(4)}
    past = StudyHistory(configs=configs, outcomes={t: outcome(t, c) for t, c in configs.items()}, results=results)
    given = study(tmp_path, past, scheduler={"name": name, "options": options})

    def verdict(scheduler: Any) -> str:
        scheduler.set_search_properties("loss", "min")
        late = type("Trial", (), {"trial_id": "new", "config": {}})()
        scheduler.on_trial_add(None, late)
        for step in (1, 2, 3):
            said = scheduler.on_trial_result(None, late, {"training_iteration": step, "loss": 9.0})
            if said != "CONTINUE":
                return str(said)
        return "CONTINUE"

    fresh = make_scheduler(name, options, {}, metric="loss", mode="min")
    assert verdict(fresh) == "CONTINUE", "with nobody to compare it with"
    heard = replay_scheduler(make_scheduler(name, options, {}, metric="loss", mode="min"), given)
    assert verdict(heard) == "STOP"
