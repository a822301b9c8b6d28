"""Any ask/tell algorithm as a Ray `Searcher`."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from trialrun.outcomes import objective_value
from trialrun.search.base import Algorithm
from trialrun.space import Space, nest_values

__all__ = ["AskTellSearcher"]

PATIENCE_S = 0.2  # Tune's loop comes back every tenth of a second


class AskTellSearcher(Searcher):
    """Decodes what the algorithm asks into hyperparameters, and tells it the objective of every trial that ended.

    Tune asks from its event loop, where a suggestion that takes seconds would keep results and stops waiting. So the
    algorithm works in a thread of its own, on one thing at a time and in order; a suggestion that is not there after
    a fifth of a second is given to the next trial that asks.
    """

    def __init__(
        self, algorithm: Algorithm, space: Space, *, metric: str, mode: str, patience_s: float = PATIENCE_S
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._patience_s = patience_s
        self._algorithm = algorithm
        self._space = space
        self._start_worker()

    def _start_worker(self) -> None:
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="search")
        self._asked: tuple[str, Future[Any]] | None = None  # the suggestion under way, and under which id
        self._told: deque[Future[None]] = deque()
        self._known_as: dict[str, str] = {}  # trials whose suggestion was asked for under another id
        self._saved = ""

    def __getstate__(self) -> dict[str, Any]:  # Tune pickles the searcher before it starts
        threads = {"_worker", "_asked", "_told"}
        return {key: value for key, value in vars(self).items() if key not in threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start_worker()
        vars(self).update(state)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True  # the space came with the constructor; `config` is empty

    def suggest(self, trial_id: str) -> Any:
        while self._told and self._told[0].done():
            self._told.popleft().result()  # raises what the algorithm raised
        if self._asked is None:
            self._asked = trial_id, self._worker.submit(self._algorithm.ask, trial_id)
        asked_as, suggestion = self._asked
        try:
            point = suggestion.result(timeout=self._patience_s)
        except TimeoutError:
            if suggestion.done():
                raise  # the algorithm's own
            return None
        self._asked = None
        if asked_as != trial_id:
            self._known_as[trial_id] = asked_as
        return Searcher.FINISHED if point is None else nest_values(self._space.decode(point))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        value = None if error or not result else objective_value(result, self.metric)
        self._told.append(self._worker.submit(self._algorithm.tell, self._known_as.pop(trial_id, trial_id), value))

    def save(self, checkpoint_path: str) -> None:
        """What is known goes into the file; while a suggestion is under way, what was known before it."""
        if not self._saved or self._asked is None or self._asked[1].done():
            state = self._worker.submit(self._algorithm.state).result()
            self._saved = json.dumps({"algorithm": state, "known_as": self._known_as})
        Path(checkpoint_path).write_text(self._saved, encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        saved = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._algorithm.restore(saved["algorithm"])
        self._known_as = saved["known_as"]

    def close(self) -> None:
        """Let the thread end; a suggestion under way is not waited for."""
        self._worker.shutdown(wait=False, cancel_futures=True)
