"""A study that goes on: its search algorithm is told again what came of the trials before."""

from __future__ import annotations

from trialrun.executors.base import Study
from trialrun.outcomes import objective_value
from trialrun.search import GRID_ALGORITHM, create_algorithm
from trialrun.search.base import Algorithm

__all__ = ["replay_search"]


def replay_search(study: Study) -> Algorithm:
    """The study's algorithm as if it had suggested the trials of the past itself.

    A learning one gets each trial's values as a point that is given, and the objective of those that are over; random
    and grid search, which learn nothing, skip as many. Points to evaluate that were tried are not given again.
    """
    history = study.history
    made = len(history.configs)
    if not made:
        return create_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())
    skips = study.tune_config.search_alg.name == GRID_ALGORITHM
    points = study.tune_config.search_alg.points_to_evaluate
    search_alg = study.tune_config.search_alg.model_copy(
        update={"points_to_evaluate": points if skips else points[made:]}
    )
    tuning = study.tune_config.model_copy(update={"search_alg": search_alg})
    params = study.params.model_copy(update={"tune_config": tuning})
    algorithm = create_algorithm(params, seed=study.seed, extensions=study.manager.search_algorithms())
    for trial_id, config in history.configs.items():
        algorithm.ask(trial_id) if skips else algorithm.ask(trial_id, study.space.encode(config))
        outcome = history.outcomes.get(trial_id)
        if outcome is not None and trial_id not in study.resumed:
            value = None if outcome.error else objective_value(outcome.metrics, study.tune_config.metric)
            algorithm.tell(trial_id, value)
    return algorithm
