"""The host: the processes behind a session, one stage and at most one Ray, which several sessions may share."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trialrun.testing.scenario import Scenario
from trialrun.testing.scene import Scene
from trialrun.testing.stage import Stage

if TYPE_CHECKING:
    from trialrun.testing.ray_keeper import RayKeeper

__all__ = ["Host"]


class Host:
    """Plays scenes. Ray is started when the first one needs it. `folder`: see Stage."""

    def __init__(self, folder: Path | None = None) -> None:
        self.stage = Stage(folder)
        self._lock = threading.Lock()
        self._ray: RayKeeper | None = None
        self._ray_stage: Stage | None = None

    def play(self, scenario: Scenario) -> Scene:
        """See Stage; scenes on Ray are forked from a process that has imported it."""
        stage = self._ray_stage if scenario.executor == "ray" else None
        return (stage or self.stage).play(scenario)

    def ray_address(self) -> str:
        """Where the one Ray is. Raises RuntimeError when it does not start."""
        with self._lock:
            if self._ray is None:
                from trialrun.testing.ray_keeper import RayKeeper

                self._ray = RayKeeper()
                self._ray_stage = Stage(self.stage.folder / "ray", ray=True, environment=self._ray.environment)
            return self._ray.address

    @property
    def ray_seconds(self) -> float:
        """What the start of Ray took; 0 when nobody needed it."""
        return 0.0 if self._ray is None else self._ray.seconds

    def close(self) -> None:
        """End every process and remove the scenes. Safe to call twice."""
        with self._lock:
            for closable in (self._ray_stage, self._ray, self.stage):
                if closable is not None:
                    closable.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
