"""The host: the processes behind a session, its stages and at most one Ray, which several sessions may share."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trialrun.testing.observation import Observation
from trialrun.testing.sandbox import Sandbox, SandboxBroken
from trialrun.testing.scenario import Scenario

if TYPE_CHECKING:
    from trialrun.testing.ray_process import RayProcess

__all__ = ["SandboxPool"]


class SandboxPool:
    """Plays scenes. Ray is started when the first one needs it. `folder`: see Stage.

    A plugin whose libraries take long to import gets a stage on which they are imported already; it is made when a
    scene that only loads the plugin has shown which they are, and such scenes never play on it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.stage = Sandbox(folder)
        self._lock = threading.Lock()
        self._ray: RayProcess | None = None
        self._ray_stage: Sandbox | None = None
        self._warm: dict[tuple[str, ...], Sandbox | None] = {}
        self._stages: dict[str, Sandbox] = {}  # plugin -> the one to play it on

    def run(self, scenario: Scenario) -> Observation:
        """See Stage; scenes on Ray are forked from a process that has imported it."""
        if scenario.kind == "load":
            scene = self.stage.run(scenario)
            warm = self._prepare_sandbox(tuple(scene.libraries))
            with self._lock:
                self._stages[scenario.plugin] = warm or self.stage
            return scene
        stage = self._ray_stage if scenario.executor == "ray" else self._stages.get(scenario.plugin)
        return (stage or self.stage).run(scenario)

    def is_warm(self, plugin: str) -> bool:
        """Whether scenes of this plugin find its libraries imported."""
        return self._stages.get(plugin, self.stage) is not self.stage

    def _prepare_sandbox(self, libraries: tuple[str, ...]) -> Sandbox | None:
        if not libraries:
            return None
        with self._lock:
            if libraries not in self._warm:
                stage = Sandbox(self.stage.folder / f"warm{len(self._warm)}", libraries=libraries)
                try:
                    fit = not stage.get_unfit_reason()
                except SandboxBroken:  # an import that hangs in that process; the plugin's checks will tell
                    fit = False
                if not fit:
                    stage.close()
                self._warm[libraries] = stage if fit else None
            return self._warm[libraries]

    def ray_address(self) -> str:
        """Where the one Ray is. Raises RuntimeError when it does not start."""
        with self._lock:
            if self._ray is None:
                from trialrun.testing.ray_process import RayProcess

                self._ray = RayProcess()
                self._ray_stage = Sandbox(self.stage.folder / "ray", ray=True, environment=self._ray.environment)
            return self._ray.address

    @property
    def ray_seconds(self) -> float:
        """What the start of Ray took; 0 when nobody needed it."""
        return 0.0 if self._ray is None else self._ray.seconds

    def close(self) -> None:
        """End every process and remove the scenes. Safe to call twice."""
        with self._lock:
            for closable in (self._ray_stage, self._ray, *self._warm.values(), self.stage):
                if closable is not None:
                    closable.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
