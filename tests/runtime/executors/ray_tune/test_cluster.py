"""A local Ray, and the ports that it opens."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest

from trialrun.executors.ray_tune.cluster import retry_client

SCRIPT = """
import json, ray
from trialrun.executors.ray_tune.cluster import connect_ray
with connect_ray(None, {"CPU": 1}, {}):
    (node,) = ray.nodes()
    gcs = ray.get_runtime_context().gcs_address
    ports = [node["NodeManagerPort"], node["ObjectManagerPort"], int(gcs.rpartition(":")[2])]
    print(json.dumps([node["NodeManagerAddress"], ports]), flush=True)
    input()
"""


def address_outside() -> str | None:
    """This machine's address in its network, if it is in one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = str(asked.getsockname()[0])
    return None if found.startswith("127.") else found


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.ray(session=False)
def test_a_ray_of_our_own_listens_on_loopback_alone() -> None:
    outside = address_outside()
    if outside is None:
        pytest.skip("this machine has no address but loopback")
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdin is not None
        assert run.stdout is not None
        try:
            address, ports = json.loads(run.stdout.readline())
            assert address == "127.0.0.1"
            assert [answers("127.0.0.1", port) for port in ports] == [True, True, True]
            assert [answers(outside, port) for port in ports] == [False, False, False]
        finally:
            run.stdin.write("\n")
            run.stdin.close()
            assert run.wait(60) == 0


class Slow:
    """Answers after so many failures."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "192.0.2.1:6379"


def test_what_was_too_slow_is_asked_three_times_and_what_is_wrong_once() -> None:
    late, wrong = ConnectionError("too late"), ConnectionError("a wrong token")

    def worth_it(error: Exception) -> bool:
        return error is late

    assert retry_client(Slow(late, late), worth_it) == "192.0.2.1:6379"
    with pytest.raises(ConnectionError, match="too late"):
        retry_client(Slow(late, late, late), worth_it)
    asked = Slow(wrong, late)
    with pytest.raises(ConnectionError, match="a wrong token"):
        retry_client(asked, worth_it)
    assert asked.failures == [late]
