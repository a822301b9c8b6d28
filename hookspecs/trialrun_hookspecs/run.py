"""The Run: the object through which a plugin reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

__all__ = ["Context", "Run"]

Context = Literal["info", "success", "warning", "danger"]


@runtime_checkable
class Run(Protocol):
    """One training run or one trial, as its plugin sees it.

    Every method returns at once, without waiting for the network. A bad value raises `BadValue` at the call and
    nothing of that call is sent; a value that a call accepts is sent.
    """

    @property
    def name(self) -> str:
        """The job's name, as written in the job."""

    @property
    def job_id(self) -> int:
        """The job's id on the backend."""

    @property
    def trial_id(self) -> str | None:
        """This trial's id; None in training mode."""

    @property
    def is_tune(self) -> bool:
        """True in a trial of a tuning job."""

    @property
    def seed(self) -> int:
        """The seed of this run: the job's seed in training mode, or one derived from it and the trial's id."""

    @property
    def checkpoint_output(self) -> str:
        """The path of this run's artifact (file or folder); set it before training starts.

        Until the plugin sets it, it is a path inside the run's own folder that does not exist yet.
        """

    @checkpoint_output.setter
    def checkpoint_output(self, path: str | Path) -> None: ...

    def log_metric(self, category: str, key: str, value: float, **metrics: Any) -> None:
        """Record one point, such as `log_metric('training', 'loss', 0.5, epoch=10)`.

        Raises BadValue when `value` is not a finite number or a name is blank.
        """

    def log_visualization(self, category: str, group: str, index: int, image: Any, **meta: Any) -> None:
        """Record an image: a path, PNG/JPEG bytes, a PIL image, or an array H×W, H×W×1, H×W×3 or H×W×4
        (uint8 in 0..255, or floats in 0..1).

        Raises BadValue when it is not an image.
        """

    def log_message(self, content: str, context: Context = "info") -> None:
        """Record a message for people to read. Raises BadValue for an unknown `context`."""

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
        """Record a trial table of your own, and return the payload as sent.

        `trials` maps a trial id to a flat row. `data` is a complete payload instead: a dict with `trials`.
        Raises BadValue when neither or both are given, or a row does not fit the columns.
        """

    def set_progress(self, current: float, total: float, category: str = "") -> None:
        """Report the progress of a phase. 0/0 means done; it never goes backwards; unknown categories are allowed."""

    def report(self, metrics: Mapping[str, Any], checkpoint: str | Path | None = None) -> None:
        """Report one step: `ray.tune.report` in a trial, metrics of category `training` in training mode.

        `checkpoint` is a folder (or file) to continue from. Raises BadValue when a value is not a number, a string, a
        bool, or a (nested) dict or list of these.
        """
