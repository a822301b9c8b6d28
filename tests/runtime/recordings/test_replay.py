"""A replay gives a backend what the recording holds, once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from trialrun.backend.client import Client
from trialrun.backend.memory import Memory
from trialrun.backend.transport import Answer, Call
from trialrun.recorder import Recorder
from trialrun.recordings import open_study
from trialrun.recordings.diff import compare_studies
from trialrun.recordings.replay import Replay
from trialrun_hookspecs.errors import BackendRefused

from .some_study import send, small


def with_model(folder: Path) -> Path:
    """A small study that also uploaded a file in three chunks, and registered it."""
    small(folder)
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 10)
    with Recorder(folder / "recorder.sqlite") as recorder:
        client = Client(Memory(recorder.handler()), chunk=1000)
        upload = client.upload_file(folder / "weights.bin")
        model = client.create_model(name="m", chunked_upload=upload, key="the-model")
        send(recorder, {"event": "model", "data": {"model_id": model, "trial_id": "a", "name": "m"}})
        client.patch_job(1, result={"model_id": model, "trial_models": [{"model_id": model}]}, key="the-result")
    return folder


def replayed(source: Path, target: Recorder, *, speed: float = 0.0, jobs: dict[int, int] | None = None) -> Any:
    pauses: list[float] = []
    refused: list[str] = []
    with open_study(source) as study:
        replay = Replay(
            study=study,
            transport=Memory(target.handler()),
            jobs=jobs or {},
            speed=speed,
            sleep=pauses.append,
            on_call=lambda call, why: refused.append(why) if why else None,
        )
        replay.run()
    assert not refused
    return replay, pauses


def stored(recorder: Recorder) -> tuple[int, ...]:
    return (
        len(recorder.events()), len(recorder.models()), len(recorder.jobs()), len(recorder.changes(1)),
        len(list(recorder.folder.rglob("*.bin"))),
    )  # fmt: skip


def test_a_replay_gives_the_same_study(tmp_path: Path) -> None:
    source = with_model(tmp_path / "source")
    with Recorder(tmp_path / "target.sqlite") as target:
        replayed(source, target)
        assert stored(target)[:2] == (19, 1)
    with open_study(source) as one, open_study(tmp_path / "target.sqlite") as other:
        assert compare_studies(one, other) == []


def test_a_second_replay_stores_nothing_new(tmp_path: Path) -> None:
    source = with_model(tmp_path / "source")
    with Recorder(tmp_path / "target.sqlite") as target:
        replayed(source, target)
        once = stored(target)
        replayed(source, target)
        assert stored(target) == once


def test_ids_become_those_of_the_backend(tmp_path: Path) -> None:
    source = with_model(tmp_path / "source")
    with Recorder(tmp_path / "target.sqlite") as target:
        for number in range(3):  # so that the next upload and the next model have other ids
            (tmp_path / "other").write_bytes(b"x")
            client = Client(Memory(target.handler()))
            client.create_model(name=f"other {number}", chunked_upload=client.upload_file(tmp_path / "other"))
        replayed(source, target, jobs={1: 77})
        model = target.models()[-1]
        assert (model["id"], model["chunked_upload"], model["md5_matches"]) == (4, 4, True)
        assert Path(model["path"]).read_bytes() == (source / "weights.bin").read_bytes()
        assert target.events("model")[0]["data"]["model_id"] == 4
        assert {entry["job"] for entry in target.events()} == {77}
        assert target.job(77)["result"] == {"model_id": 4, "trial_models": [{"model_id": 4}]}


def test_pauses_are_those_of_the_recording(tmp_path: Path) -> None:
    source = small(tmp_path / "source")
    with Recorder(tmp_path / "one.sqlite") as one, Recorder(tmp_path / "other.sqlite") as other:
        as_it_was = replayed(source, one, speed=1.0)[1]
        faster = replayed(source, other, speed=10.0)[1]
    assert sum(as_it_was) > 0
    assert sum(faster) == pytest.approx(sum(as_it_was) / 10)


class Closed:
    """A backend that accepts no token."""

    def send(self, call: Call) -> Answer:
        return Answer(status=401, body=b"no")

    def close(self) -> None: ...


def test_a_token_that_is_refused_ends_it(tmp_path: Path) -> None:
    with open_study(small(tmp_path)) as study:
        replay = Replay(
            study=study, transport=Closed(), jobs={}, speed=0, sleep=lambda _: None, on_call=lambda call, why: None
        )
        with pytest.raises(BackendRefused, match="TRIALRUN_ACCESS_TOKEN"):
            replay.run()
    assert replay.sent == 0


def test_bodies_without_ids_go_out_byte_by_byte(tmp_path: Path) -> None:
    """A recorder hashes nothing, but a platform may: what needs no change gets none."""
    source = tmp_path / "source" / "recorder.sqlite"
    odd = b'[ {"event":"message", "data":{"content":"\\u00e9"}} ]'
    with Recorder(source) as recorder:
        recorder.create_job("x", {"params": {}})
        recorder.handle("POST", "logs", body=odd)
    with Recorder(tmp_path / "target.sqlite") as target:
        replayed(source, target)
    import sqlite3

    with sqlite3.connect(tmp_path / "target.sqlite") as found:
        assert (
            hashlib.sha256(found.execute("SELECT body FROM requests").fetchone()[0]).digest()
            == hashlib.sha256(odd).digest()
        )
    found.close()
    assert json.loads(odd)
