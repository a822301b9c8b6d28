"""Failures are classified: raised, exited, crashed, killed, out of memory, a lost node."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError, NodeDiedError, OutOfMemoryError, RayActorError, RayTaskError

from trialrun.executors.ray_tune.failures import OutOfMemoryKills, read_failure
from trialrun.executors.trial import PluginExited

DETAIL = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
GONE = DETAIL + "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: x"


SEGFAULT = "x\nFatal Python error: Segmentation fault\n\nThread"


def died(text: str) -> RayActorError:
    return RayActorError("a1", text)


def counter(folder: Path, kills: int) -> tuple[Path]:
    (folder / "vmstat").write_text(f"nr_free_pages 5\noom_kill {kills}\n")
    return (folder / "vmstat",)


def told(folder: Path, error: BaseException, *, stderr: str = "", kills: int = 0) -> Any:
    killed = OutOfMemoryKills(counter(folder, 3))
    counter(folder, 3 + kills)
    (folder / "stderr").write_text(stderr)
    (folder / "error.pkl").write_bytes(cloudpickle.dumps(error))
    trial = SimpleNamespace(
        pickled_error_file=str(folder / "error.pkl"), error_file=None, last_result={"hostname": "h"}
    )
    return read_failure(trial, folder, killed)


@pytest.mark.parametrize(
    ("error", "facts", "cause", "said"),
    [
        (ValueError("no good"), {}, "raised", "ValueError: no good"),
        (PluginExited("the plugin called sys.exit()", got="3"), {}, "exited", "the plugin called sys.exit(), got 3"),
        (died(DETAIL + "Worker exits with an exit code 4."), {}, "exited", "exit code 4"),
        (died(GONE), {}, "killed", "died without a message"),
        (
            died(GONE),
            {"stderr": SEGFAULT},
            "crashed",
            "Segmentation",
        ),
        (died(GONE), {"stderr": "*** SIGABRT received at time=1 ***"}, "crashed", "SIGABRT"),
        (died(GONE), {"kills": 1}, "out_of_memory", "the kernel killed"),
        (OutOfMemoryError("Task was killed due to the node running low on memory."), {}, "out_of_memory", "Ray ended"),
        (ActorUnavailableError("The actor is temporarily unavailable.", None), {}, "node_lost", "was lost"),
        (NodeDiedError("the node has died"), {}, "node_lost", "was lost"),
        (died("The actor died because its node has died. Node Id: 7"), {}, "node_lost", "was lost"),
    ],
    ids=str,
)
def test_each_way_to_fail_has_its_name(
    tmp_path: Path, error: BaseException, facts: dict[str, Any], cause: str, said: str
) -> None:
    failure = told(tmp_path, error, **facts)
    assert failure.cause == cause
    assert said in failure.error
    assert failure.node == "h"


def test_what_a_plugin_raised_is_taken_out_of_rays_wrapping(tmp_path: Path) -> None:
    cause = KeyError("x")
    cause.add_note("a note")
    error = RayTaskError("f", "Traceback: it was there", cause)
    failure = told(tmp_path, error, stderr="the end")
    assert failure.error == "KeyError: 'x'\na note"
    assert "it was there" in failure.traceback
    assert failure.stderr == "the end"


def test_only_the_end_of_a_long_stderr_is_kept_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    failure = told(tmp_path, ValueError("x"), stderr="".join(f"line {number}\n" for number in range(5000)))
    assert len(failure.stderr) <= 2000
    assert failure.stderr.startswith("line ")
    assert failure.stderr.endswith("line 4999\n")


def test_a_failure_without_a_trace_is_one_all_the_same(tmp_path: Path) -> None:
    trial = SimpleNamespace(pickled_error_file=None, error_file=None, last_result=None)
    failure = read_failure(trial, tmp_path, OutOfMemoryKills(()))
    assert (failure.error, failure.cause, failure.node, failure.stderr) == ("unknown error", "raised", "", "")
