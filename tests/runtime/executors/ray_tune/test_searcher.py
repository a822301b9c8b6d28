"""An ask/tell algorithm as Ray's Searcher: it suggests nested values and gets the objectives of ended trials."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle, tune
from ray.tune.search import ConcurrencyLimiter, Searcher, SearchGenerator

from trialrun.executors.ray_tune.searcher import AskTellSearcher
from trialrun.search import create_algorithm
from trialrun.space import FixedValue, Space
from trialrun_hookspecs import parse_request

SPACE = [
    {"name": "o/lr", "type": "quniform", "min": 0.1, "max": 1, "q": 0.1},
    {"name": "o/n", "type": "randint", "min": 0, "max": 5},
    {"name": "kind", "type": "choice", "options": ["a", {"b": 1}]},
]


class Scripted:
    """An algorithm that suggests what it was given, and remembers what it was told."""

    def __init__(self, *points: Any) -> None:
        self.points = list(points)
        self.told: list[tuple[str, float | None]] = []

    def ask(self, trial_id: str, fixed: Any = None) -> Any:
        return self.points.pop(0) if self.points else None

    def tell(self, trial_id: str, value: float | None) -> None:
        self.told.append((trial_id, value))

    def state(self) -> Any:
        return {"points": self.points}

    def restore(self, state: Any) -> None:
        self.points = state["points"]


def params(mode: str = "max", algorithm: str = "hyperoptsearch") -> Any:
    points = [{"o": {"lr": 0.3}, "kind": {"b": 1}}]
    search_alg = {"name": algorithm, "points_to_evaluate": points, "options": {"n_initial_points": 5}}
    config = {"metric": "m/acc", "mode": mode, "search_alg": search_alg}
    made = {"name": "n", "dataset": 1, "is_tune": True, "hyperparameters": SPACE, "tune_config": config}
    return parse_request({"action": "train", "params": made}).params


def searcher(mode: str = "max", seed: int = 1, algorithm: Any = None, patience_s: float = 60.0) -> AskTellSearcher:
    given = params(mode)
    made = algorithm or create_algorithm(given, seed=seed, extensions={})
    return AskTellSearcher(made, Space(given.hyperparameters), metric="m/acc", mode=mode, patience_s=patience_s)


def test_a_suggestion_is_decoded_into_nested_plain_values() -> None:
    point = {"o/lr": 0.2999, "o/n": 4, "kind": FixedValue(value={"b": 1})}
    assert searcher(algorithm=Scripted(point)).suggest("t0") == {"o": {"lr": 0.3, "n": 4}, "kind": {"b": 1}}


def test_an_algorithm_that_is_done_ends_the_search() -> None:
    assert searcher(algorithm=Scripted()).suggest("t0") == Searcher.FINISHED


def test_a_point_to_evaluate_is_suggested_first() -> None:
    first = searcher().suggest("t0")
    assert first["o"]["lr"] == 0.3
    assert first["kind"] == {"b": 1}


@pytest.mark.parametrize(
    ("result", "error", "told"),
    [
        ({"m/acc": 0.5}, False, 0.5),
        ({"m": {"acc": 0.5}}, False, 0.5),
        ({"m/acc": 0}, False, 0),
        ({"m/acc": 0.5}, True, None),
        ({"m/acc": float("nan")}, False, None),
        ({"m/acc": float("inf")}, False, None),
        ({"m/acc": "high"}, False, None),
        ({"m/acc": True}, False, None),
        ({"other": 1}, False, None),
        ({}, False, None),
        (None, False, None),
        (None, True, None),
    ],
)
def test_the_end_of_a_trial_is_told(result: Any, error: bool, told: float | None) -> None:
    algorithm = Scripted()
    made = searcher(algorithm=algorithm)
    made.on_trial_complete("t7", result=result, error=error)
    made.suggest("t8")  # in turn, so after it was told
    assert algorithm.told == [("t7", told)]


class Slow(Scripted):
    """Suggests nothing until it is let."""

    def __init__(self, *points: Any) -> None:
        super().__init__(*points)
        self.let = threading.Event()
        self.asked: list[str] = []

    def ask(self, trial_id: str, fixed: Any = None) -> Any:
        assert self.let.wait(30)
        self.asked.append(trial_id)
        return super().ask(trial_id)

    def state(self) -> Any:
        return {"told": self.told}


def test_a_slow_suggestion_is_not_waited_for_and_goes_to_the_next_that_asks(tmp_path: Path) -> None:
    algorithm = Slow({"o/lr": 0.5, "o/n": 1, "kind": 0}, {"o/lr": 0.7, "o/n": 1, "kind": 0})
    made, file = searcher(algorithm=algorithm, patience_s=0.05), tmp_path / "search.json"
    made.save(str(file))
    before = file.read_text()
    assert [made.suggest("t0"), made.suggest("t1")] == [None, None]
    made.on_trial_complete("older", {"m/acc": 3})
    made.save(str(file))  # does not wait either
    assert file.read_text() == before
    algorithm.let.set()
    suggested = None
    while suggested is None:
        suggested = made.suggest("t2")
    assert suggested["o"]["lr"] == 0.5
    made.on_trial_complete("t2", {"m/acc": 4})
    assert made.suggest("t3")["o"]["lr"] == 0.7
    assert algorithm.asked == ["t0", "t3"]
    assert algorithm.told == [("older", 3), ("t0", 4)]  # by the name under which it was asked for
    made.save(str(file))
    assert json.loads(file.read_text())["algorithm"] == {"told": [["older", 3], ["t0", 4]]}
    made.close()


def test_what_the_algorithm_raises_reaches_ray() -> None:
    class Broken(Scripted):
        def tell(self, trial_id: str, value: float | None) -> None:
            raise TimeoutError("broken")

    made = searcher(algorithm=Broken({"o/lr": 0.5, "o/n": 1, "kind": 0}))
    made.on_trial_complete("t0", {"m/acc": 3})
    with pytest.raises(TimeoutError, match="broken"):
        while made.suggest("t1") is not None:
            pass


def test_it_can_be_pickled_before_it_starts() -> None:
    made = searcher()
    assert cloudpickle.loads(cloudpickle.dumps(made)).suggest("t0") == made.suggest("t0")


def loss(config: Any) -> float:
    return float(abs(config["o"]["lr"] - 0.8) + abs(config["o"]["n"] - 2) + (config["kind"] != "a"))


@pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
def test_it_optimises_in_the_job_s_mode(mode: str, sign: int) -> None:
    means = {}
    for told in (sign, -sign):
        made, losses = searcher(mode), []
        for index in range(40):
            losses.append(loss(made.suggest(f"t{index}")))
            made.on_trial_complete(f"t{index}", {"m/acc": told * losses[-1]})
        means[told] = sum(losses[20:]) / 20
    assert means[sign] < means[-sign] / 1.3


def test_a_search_goes_on_from_its_file(tmp_path: Path) -> None:
    one, other = searcher(seed=1), searcher(seed=2)
    for index in range(8):
        one.suggest(f"t{index}")
        one.on_trial_complete(f"t{index}", {"m/acc": float(index % 3)}, error=index == 4)
    open_ = [one.suggest("open0"), one.suggest("open1")]
    assert None not in open_
    file = tmp_path / "search.json"
    one.save(str(file))
    other.restore(str(file))
    for each in (one, other):
        each.on_trial_complete("open1", {"m/acc": 5.0})
    assert [other.suggest(f"n{i}") for i in range(5)] == [one.suggest(f"n{i}") for i in range(5)]


def test_ray_saves_and_restores_it_in_its_own_folder(tmp_path: Path) -> None:
    one, other = SearchGenerator(searcher(seed=1)), SearchGenerator(searcher(seed=2))
    one.searcher.suggest("t0")
    one.save_to_dir(str(tmp_path), "session")
    other.restore_from_dir(str(tmp_path))
    assert other.searcher.suggest("t1") == one.searcher.suggest("t1")


def test_it_takes_ray_s_metric_and_mode_as_its_own() -> None:
    made = searcher("min")
    assert (made.metric, made.mode) == ("m/acc", "min")
    assert made.set_search_properties("m/acc", "min", {}) is True


def generated(search: Any, samples: int) -> SearchGenerator:
    made = SearchGenerator(search)
    made.set_search_properties("m/acc", "max", {})
    made.add_configurations(tune.Experiment("e", lambda config: None, num_samples=samples))
    return made


def test_ray_makes_as_many_trials_of_it_as_there_are_samples() -> None:
    made = generated(searcher(), 3)
    trials = [made.next_trial() for _ in range(4)]
    assert [trial is None for trial in trials] == [False, False, False, True]
    assert made.is_finished()
    assert trials[0].config["o"]["lr"] == 0.3
    for trial in trials[:3]:
        assert set(trial.config) == {"o", "kind"}
        made.on_trial_complete(trial.trial_id, result={"m/acc": 1.0})


def test_ray_ends_the_study_when_the_algorithm_is_done() -> None:
    made = generated(searcher(algorithm=Scripted({"o/lr": 0.5, "o/n": 1, "kind": 0})), 5)
    assert made.next_trial() is not None
    assert made.next_trial() is None
    assert made.is_finished()


def test_ray_can_limit_how_many_are_open() -> None:
    made = generated(ConcurrencyLimiter(searcher(), max_concurrent=2), 5)
    first, second = made.next_trial(), made.next_trial()
    assert made.next_trial() is None
    assert not made.is_finished()
    made.on_trial_complete(first.trial_id, error=True)
    assert made.next_trial() is not None
    assert second is not None
