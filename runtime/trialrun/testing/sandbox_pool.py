"""The sandboxes behind a session and at most one Ray; several sessions may share them."""

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
    """Runs each scenario in a fitting sandbox, and starts Ray on first use. `folder`: see Sandbox.

    A plugin whose libraries are slow to import gets a sandbox that has imported them. A load run, which is never run
    there, shows which libraries these are.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.sandbox = Sandbox(folder)
        self._lock = threading.Lock()
        self._ray: RayProcess | None = None
        self._ray_sandbox: Sandbox | None = None
        self._warm: dict[tuple[str, ...], Sandbox | None] = {}
        self._by_plugin: dict[str, Sandbox] = {}  # plugin -> the sandbox for its runs

    def run(self, scenario: Scenario) -> Observation:
        """Run a scenario; see `Sandbox.run`. One on Ray is forked from a process that has imported Ray."""
        if scenario.kind == "load":
            observation = self.sandbox.run(scenario)
            warm = self._prepare_sandbox(tuple(observation.libraries))
            with self._lock:
                self._by_plugin[scenario.plugin] = warm or self.sandbox
            return observation
        sandbox = self._ray_sandbox if scenario.executor == "ray" else self._by_plugin.get(scenario.plugin)
        return (sandbox or self.sandbox).run(scenario)

    def is_warm(self, plugin: str) -> bool:
        """Return whether runs of this plugin find its libraries imported."""
        return self._by_plugin.get(plugin, self.sandbox) is not self.sandbox

    def _prepare_sandbox(self, libraries: tuple[str, ...]) -> Sandbox | None:
        if not libraries:
            return None
        with self._lock:
            if libraries not in self._warm:
                sandbox = Sandbox(self.sandbox.folder / f"warm{len(self._warm)}", libraries=libraries)
                try:
                    fit = not sandbox.get_unfit_reason()
                except SandboxBroken:  # an import hangs there; the plugin's checks will report it
                    fit = False
                if not fit:
                    sandbox.close()
                self._warm[libraries] = sandbox if fit else None
            return self._warm[libraries]

    def ray_address(self) -> str:
        """Return the address of Ray, after starting it. Raises RuntimeError when it does not start."""
        with self._lock:
            if self._ray is None:
                from trialrun.testing.ray_process import RayProcess

                self._ray = RayProcess()
                self._ray_sandbox = Sandbox(self.sandbox.folder / "ray", ray=True, environment=self._ray.environment)
            return self._ray.address

    @property
    def ray_seconds(self) -> float:
        """The seconds that the start of Ray took; 0 when no run needed it."""
        return 0.0 if self._ray is None else self._ray.seconds

    def close(self) -> None:
        """End every process and remove the folders of runs. Safe to call twice."""
        with self._lock:
            for closable in (self._ray_sandbox, self._ray, *self._warm.values(), self.sandbox):
                if closable is not None:
                    closable.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
