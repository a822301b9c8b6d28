"""A Ray `Searcher` around any ask/tell algorithm."""

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

PATIENCE_S = 0.2  # Tune's loop repeats every tenth of a second


class AskTellSearcher(Searcher):
    """Decodes the algorithm's points into hyperparameters, and passes the objective of each ended trial to it.

    Tune asks from its event loop, where a suggestion that takes seconds would delay results and stops. So the algorithm
    runs in a thread of its own, one call after another. A suggestion that is not ready after `patience_s` seconds is
    given to the next trial that asks.
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
        self._pending: tuple[str, Future[Any]] | None = None  # the suggestion, and the trial id it was asked for
        self._tell_calls: deque[Future[None]] = deque()
        self._known_as: dict[str, str] = {}  # trials whose suggestion was asked for under another id
        self._saved = ""

    def __getstate__(self) -> dict[str, Any]:  # Tune pickles the searcher before it starts
        threads = {"_worker", "_pending", "_tell_calls"}
        return {key: value for key, value in vars(self).items() if key not in threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start_worker()
        vars(self).update(state)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True  # the space came with the constructor; `config` is empty

    def suggest(self, trial_id: str) -> Any:
        while self._tell_calls and self._tell_calls[0].done():
            self._tell_calls.popleft().result()  # raises what the algorithm raised
        if self._pending is None:
            self._pending = trial_id, self._worker.submit(self._algorithm.ask, trial_id)
        asked_as, suggestion = self._pending
        try:
            point = suggestion.result(timeout=self._patience_s)
        except TimeoutError:
            if suggestion.done():
                raise  # the algorithm's own
            return None
        self._pending = None
        if asked_as != trial_id:
            self._known_as[trial_id] = asked_as
        return Searcher.FINISHED if point is None else nest_values(self._space.decode(point))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        value = None if error or not result else objective_value(result, self.metric)
        self._tell_calls.append(
            self._worker.submit(self._algorithm.tell, self._known_as.pop(trial_id, trial_id), value)
        )

    def save(self, checkpoint_path: str) -> None:
        """Write the algorithm's state to the file; while a suggestion is pending, the state before it."""
        if not self._saved or self._pending is None or self._pending[1].done():
            state = self._worker.submit(self._algorithm.state).result()
            self._saved = json.dumps({"algorithm": state, "known_as": self._known_as})
        Path(checkpoint_path).write_text(self._saved, encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        saved = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._algorithm.restore(saved["algorithm"])
        self._known_as = saved["known_as"]

    def close(self) -> None:
        """Stop the thread without waiting for a pending suggestion."""
        self._worker.shutdown(wait=False, cancel_futures=True)
