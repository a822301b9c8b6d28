"""The Run object: each method creates one event and passes it on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from trialrun import events
from trialrun.numbers import is_finite_number
from trialrun.run_dir import layout
from trialrun.trials import normalize_payload, normalize_table
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.run import Context

__all__ = ["EventEmitter", "JobRun", "Reporter"]

Reporter = Callable[[dict[str, Any], Path | None], None]

_CONTEXTS = get_args(Context)


class EventEmitter:
    """Numbers and stamps events, then sends them one at a time: a plugin may log from several threads."""

    def __init__(self, send: Callable[[str], None], *, job_id: int, trial_id: str | None, prefix: str) -> None:
        self._send = send
        self._job_id = job_id
        self._trial_id = trial_id
        self._prefix = prefix
        self._seq = 0
        self._lock = threading.Lock()

    @property
    def event_count(self) -> int:
        """The number of events sent so far."""
        return self._seq

    def __call__(self, event: Event) -> None:
        with self._lock:
            stamped = events.stamp_event(
                event,
                job_id=self._job_id,
                trial_id=self._trial_id,
                key=f"{self._prefix}-{self._seq}",
                seq=self._seq,
                time=datetime.now(UTC).isoformat(),
            )
            self._send(events.to_line(stamped))
            self._seq += 1


class JobRun:
    """The `run` argument of a plugin: see `trialrun_hookspecs.run.Run` for its promises."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        *,
        name: str,
        job_id: int,
        trial_id: str | None,
        seed: int,
        folder: Path,
        reporter: Reporter | None = None,
        on_output: Callable[[str], object] = lambda path: None,
        on_checkpoint: Callable[[Path, int, dict[str, Any]], object] = lambda path, number, metrics: None,
        reports: int = 0,
    ) -> None:
        """Create the run of a training, or with a `trial_id` and a `reporter` that of a trial.

        In training, `on_checkpoint` is called with each checkpoint, its report's number and its metrics. `on_output` is
        called with the path that is set as `checkpoint_output`. `reports` is the number of reports before this attempt.
        """
        self._emit = emit
        self._name = name
        self._job_id = job_id
        self._trial_id = trial_id
        self._seed = seed
        self._reporter = reporter
        self._on_output = on_output
        self._on_checkpoint = on_checkpoint
        self._reports = reports
        self._suggested = folder / layout.ARTIFACT
        self._declared: str | None = None
        self._progress: dict[str, float] = {}
        self.logged: dict[str, float] = {}
        self.last_checkpoint: Path | None = None

    def __repr__(self) -> str:
        return f"<run of {self._name!r}, trial {self._trial_id}>" if self._trial_id else f"<run of {self._name!r}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def job_id(self) -> int:
        return self._job_id

    @property
    def trial_id(self) -> str | None:
        return self._trial_id

    @property
    def is_tune(self) -> bool:
        return self._trial_id is not None

    @property
    def seed(self) -> int:
        return self._seed

    @property
    def checkpoint_output(self) -> str:
        return str(self._suggested) if self._declared is None else self._declared

    @checkpoint_output.setter
    def checkpoint_output(self, path: str | Path) -> None:
        if not isinstance(path, str | Path) or not str(path):
            raise BadValue("must be a path", where="run.checkpoint_output", got=repr(path), fix="Give a str or a Path.")
        self._declared = str(Path(path).absolute())
        self._on_output(self._declared)

    @property
    def declared_output(self) -> str | None:
        """The path that was set as checkpoint_output, else the suggested one if it exists, else None."""
        if self._declared is not None:
            return self._declared
        return str(self._suggested) if self._suggested.exists() else None

    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        where = f"log_metric({category!r}, {key!r}, …)"
        number = events.require_finite(value, where)
        self._emit(events.metric_event(_check_word(category, where), _check_word(key, where), number, metrics))
        self.logged[key] = number

    def log_visualization(self, category: str, group: str, index: int, image: Any, **meta: Any) -> None:
        where = f"log_visualization({category!r}, {group!r}, …)"
        self._emit(
            events.visualization_event(_check_word(category, where), _check_word(group, where), index, image, meta)
        )

    def log_message(self, content: str, context: Context = "info") -> None:
        if context not in _CONTEXTS:
            known = ", ".join(_CONTEXTS)
            raise BadValue("unknown context", where="log_message", got=repr(context), fix=f"Use one of {known}.")
        self._emit(events.message_event(str(content), context))

    def log_trials(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        trials: Mapping[str, Mapping[str, Any]] | None = None,
        base: Sequence[str] | None = None,
        hyperparameters: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        best_trial: str = "",
    ) -> dict[str, Any]:
        payload = _build_trials_payload(data, trials, base, hyperparameters, metrics, best_trial)
        self._emit(events.trials_event(payload))
        return payload

    def set_progress(self, current: float, total: float, category: str = "") -> None:
        where = f"set_progress(…, category={category!r})"
        now, end = events.require_finite(current, where), events.require_finite(total, where)
        if now < 0 or end < 0:
            raise BadValue("must not be negative", where=where, got=f"{current!r} of {total!r}")
        fraction = 1.0 if end == 0 else min(now / end, 1.0)
        if fraction < self._progress.get(category, -1.0):
            return
        self._progress[category] = fraction
        self._emit(events.progress_event(category, now, end, 0.0, None))

    def report(self, metrics: Mapping[str, Any], checkpoint: str | Path | None = None) -> None:
        if not isinstance(metrics, Mapping):
            raise BadValue("metrics must be a dict", where="run.report", got=type(metrics).__name__)
        plain = events.to_plain(metrics, "run.report", "keep")
        folder = _resolve_checkpoint(checkpoint)
        if self._reporter is not None:
            self._reporter(plain, folder)
            return
        self.last_checkpoint = folder or self.last_checkpoint
        self._reports += 1
        for key, value in events.flatten_mapping(plain).items():
            if is_finite_number(value):
                self.log_metric("training", key, value)
        if folder is not None:
            self._on_checkpoint(folder, self._reports, plain)


def _check_word(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadValue("category, key and group must be non-empty strings", where=where, got=repr(value))
    return value


def _resolve_checkpoint(checkpoint: str | Path | None) -> Path | None:
    if checkpoint is None:
        return None
    path = Path(getattr(checkpoint, "path", checkpoint)).absolute()
    if not path.exists():
        fix = "Write the checkpoint before you report it."
        raise BadValue("checkpoint does not exist", where="run.report", got=str(path), fix=fix)
    return path


def _build_trials_payload(
    data: Mapping[str, Any] | None,
    trials: Mapping[str, Mapping[str, Any]] | None,
    base: Sequence[str] | None,
    hyperparameters: Sequence[str] | None,
    metrics: Sequence[str] | None,
    best_trial: str,
) -> dict[str, Any]:
    if (data is None) == (trials is None):
        raise BadValue("give either data or trials", where="log_trials", fix="Pass one of the two.")
    if trials is not None:
        return normalize_table(trials, base, hyperparameters, metrics, best_trial)
    return normalize_payload(data)
