"""The search algorithm of a resumed study, given the outcomes of earlier trials again."""

from __future__ import annotations

from trialrun.executors.base import Study
from trialrun.outcomes import objective_value
from trialrun.search import GRID_ALGORITHM, create_algorithm
from trialrun.search.base import Algorithm

__all__ = ["replay_search"]


def replay_search(study: Study) -> Algorithm:
    """Return the study's algorithm in the state it would have if it had suggested the earlier trials itself.

    A learning algorithm gets the values of each trial as a given point, and the objective of each that is over. Random
    and grid search learn nothing and skip as many points. Points to evaluate that were tried are not given again.
    """
    history = study.history
    created = len(history.configs)
    if not created:
        return create_algorithm(study.params, seed=study.seed, extensions=study.manager.search_algorithms())
    skips = study.tune_config.search_alg.name == GRID_ALGORITHM
    points = study.tune_config.search_alg.points_to_evaluate
    search_alg = study.tune_config.search_alg.model_copy(
        update={"points_to_evaluate": points if skips else points[created:]}
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
