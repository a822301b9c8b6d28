"""The keeper: one local Ray for all scenes of a session, held by a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["RayProcess", "main"]

CPUS = 4
_START_S = 120.0
_NEEDED = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_SAYS = "here: "


class RayProcess:
    """A Ray with four logical CPUs and one logical GPU, until `close()` or the end of this process.

    `environment` is what a process needs to join it: Ray lets in those only who know its token. `seconds` is what its
    start took. Raises RuntimeError when Ray does not start.
    """

    def __init__(self) -> None:
        started = time.monotonic()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        paths = [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109  # import paths are text
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "trialrun.testing.ray_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**environment, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
            start_new_session=True,
        )
        said: dict[str, Any] = json.loads(self._read_hello(started + _START_S))
        self.address: str = said["address"]
        self.environment: dict[str, str] = said["environment"]
        self.seconds = time.monotonic() - started

    def close(self) -> None:
        """Stop Ray. Safe to call twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._log.close()

    def _read_hello(self, deadline: float) -> str:
        """What the process says as its address, in one of its lines."""
        pipe = self._process.stdout
        if pipe is None:  # it was asked for
            raise RuntimeError("the process that holds Ray has no output")
        said = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([pipe], [], [], 1.0)
            data = os.read(pipe.fileno(), 4096) if ready else b""
            if ready and not data:
                break
            said += data
            for line in said.decode(errors="replace").splitlines(keepends=True):
                if line.startswith(_SAYS) and line.endswith("\n"):
                    return line.removeprefix(_SAYS).strip()
        self._log.seek(0)
        told = self._log.read().decode(errors="replace")[-1_000:]
        self.close()
        raise RuntimeError(f"Ray did not start: {told}")


def main() -> None:
    """Start Ray, say where, and hold it until standard input ends."""
    from trialrun.executors.ray_tune import cluster

    with (
        tempfile.TemporaryDirectory() as folder,
        cluster.redirect_logs(Path(folder, "ray.log")),
        cluster.connect_ray(None, {"CPU": CPUS, "GPU": 1}, {}),
    ):
        needed = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        sys.stdout.write(f"{_SAYS}{json.dumps({'address': cluster.get_cluster_address(), 'environment': needed})}\n")
        sys.stdout.flush()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
