"""A server that starts on demand costs nothing until a client connects."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from trialrun.recorder import Recorder

IDLE = """
import sys
from trialrun.recorder import Recorder
with Recorder() as recorder, recorder.server(on_demand=True) as server:
    assert server.url
print("uvicorn" in sys.modules)
"""


def test_nobody_connects_and_uvicorn_is_never_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_the_first_connection_starts_it(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.sqlite") as recorder, recorder.server(on_demand=True) as server:
        for _ in range(2):
            assert requests.get(f"{server.url}health/", timeout=30).status_code == 200


def test_it_stops_while_the_first_connection_starts_it(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.sqlite") as recorder:
        server = recorder.server(on_demand=True)
        server.start()
        with socket.create_connection(("127.0.0.1", server.port)):
            server.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port)).close()
