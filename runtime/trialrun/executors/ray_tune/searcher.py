"""Any ask/tell algorithm as a Ray `Searcher`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from trialrun.outcomes import objective
from trialrun.search.base import Algorithm
from trialrun.space import Space, nest

__all__ = ["AskTellSearcher"]


class AskTellSearcher(Searcher):
    """Decodes what the algorithm asks into hyperparameters, and tells it the objective of every trial that ended."""

    def __init__(self, algorithm: Algorithm, space: Space, *, metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        self._algorithm = algorithm
        self._space = space

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True  # the space came with the constructor; `config` is empty

    def suggest(self, trial_id: str) -> Any:
        point = self._algorithm.ask(trial_id)
        return Searcher.FINISHED if point is None else nest(self._space.decode(point))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._algorithm.tell(trial_id, None if error or not result else objective(result, self.metric))

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(json.dumps(self._algorithm.state()), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        self._algorithm.restore(json.loads(Path(checkpoint_path).read_text(encoding="utf-8")))
