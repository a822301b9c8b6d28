"""One local Ray for all runs of a session, held by a separate process."""

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
_ADDRESS_PREFIX = "here: "


class RayProcess:
    """A Ray with four logical CPUs and one logical GPU, until `close()` or the end of this process.

    `environment` holds the variables that a process needs to join, such as Ray's token. `seconds` is the duration of
    the start. Raises RuntimeError when Ray does not start.
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
        hello: dict[str, Any] = json.loads(self._read_hello(started + _START_S))
        self.address: str = hello["address"]
        self.environment: dict[str, str] = hello["environment"]
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
        """Return the JSON that the process prints after the prefix, in one of its lines."""
        pipe = self._process.stdout
        if pipe is None:  # Popen opened it
            raise RuntimeError("the process that holds Ray has no output")
        output = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([pipe], [], [], 1.0)
            data = os.read(pipe.fileno(), 4096) if ready else b""
            if ready and not data:
                break
            output += data
            for line in output.decode(errors="replace").splitlines(keepends=True):
                if line.startswith(_ADDRESS_PREFIX) and line.endswith("\n"):
                    return line.removeprefix(_ADDRESS_PREFIX).strip()
        self._log.seek(0)
        log = self._log.read().decode(errors="replace")[-1_000:]
        self.close()
        raise RuntimeError(f"Ray did not start: {log}")


def main() -> None:
    """Start Ray, print its address, and keep it running until standard input ends."""
    from trialrun.executors.ray_tune import cluster

    with (
        tempfile.TemporaryDirectory() as folder,
        cluster.redirect_logs(Path(folder, "ray.log")),
        cluster.connect_ray(None, {"CPU": CPUS, "GPU": 1}, {}),
    ):
        needed = {name: os.environ[name] for name in _NEEDED if name in os.environ}
        sys.stdout.write(
            f"{_ADDRESS_PREFIX}{json.dumps({'address': cluster.get_cluster_address(), 'environment': needed})}\n"
        )
        sys.stdout.flush()
        sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
