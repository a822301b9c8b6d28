"""The promises of `trialrun.engine.flush`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trialrun
from trialrun.backend.client import Client
from trialrun.backend.ledger import read_dead_letters
from trialrun.backend.memory import Memory
from trialrun.backend.retry import Retry, RetryPolicy
from trialrun.backend.transport import Answer, Call
from trialrun.engine.backends import Backend
from trialrun.engine.flush import FlushResult, flush
from trialrun.recorder import Fixtures, Recorder
from trialrun_hookspecs.errors import UsageError

ROWS = [{"category": "train", "data": {"x": [float(i)], "y": 2.0 * i}} for i in range(4)]
TUNING = {
    "action": "train",
    "params": {
        "name": "flushed",
        "dataset": 1,
        "is_tune": True,
        "hyperparameters": [
            {"name": "epochs", "type": "grid_search", "options": [2, 3]},
            {"name": "learning_rate", "type": "grid_search", "options": [0.1]},
        ],
        "tune_config": {"metric": "loss", "mode": "min"},
    },
}
QUICK = RetryPolicy(attempts=2, first=0.001, longest=0.002, total=1.0)


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    fixtures = Fixtures()
    fixtures.add_dataset(1, ROWS)
    with Recorder(tmp_path / "there.sqlite", fixtures=fixtures) as made:
        yield made


def place(recorder: Recorder, *, handler: Any = None) -> Backend:
    memory = Memory(handler or recorder.handler())
    client = Client(Retry(memory, retry_policy=QUICK))
    return Backend(client=client, delivery_client=Client(memory), url="", recorder=recorder, retry_policy=QUICK)


def left_behind(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tuning job that ran while nothing but its first calls came through: its results folder."""
    monkeypatch.setattr("trialrun.engine.runner.CLOSE_TIMEOUT_S", 0.2)
    recorder.fail(route="logs")
    recorder.fail(route="jobs/1")
    result = trialrun.run(TUNING, plugin="pure", backend=place(recorder), executor="inline", results=tmp_path / "r")
    recorder.heal()
    assert any("trialrun flush" in warning for warning in result.warnings)
    return Path(result.results_dir)


def content(recorder: Recorder) -> dict[str, Any]:
    """Return what a run leaves on the recorder, without what is drawn or measured."""
    jobs = [{**job, "created": None, "updated": None} for job in recorder.jobs()]
    return {
        "metrics": sorted((m["trial_id"][-5:], m["key"], m["value"]) for m in recorder.metrics()),
        "messages": len(recorder.messages()),
        "status": [(change["field"], change["value"]) for change in recorder.changes(1, "status")],
        "overall": recorder.progress(1)[-1]["overall"] if recorder.progress(1) else None,
        "job": [job["status"] for job in jobs],
        "rows": {trial[-5:]: row["status"] for trial, row in recorder.table_rows(1).items()},
        "models": len(recorder.models()),
    }


def test_a_backend_that_was_away_for_the_whole_run_gets_everything(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Recorder(tmp_path / "calm.sqlite", fixtures=recorder.fixtures) as calm:
        trialrun.run(TUNING, plugin="pure", backend=place(calm), executor="inline", results=tmp_path / "calm", seed=1)
        expected = content(calm)
    folder = left_behind(recorder, tmp_path, monkeypatch)
    assert recorder.events() == []
    first = flush(folder, backend=place(recorder))
    assert (first.left, first.refused, first.had) == (0, 0, 0)
    assert content(recorder) == expected
    lines = sum(path.read_bytes().count(b"\n") for path in (folder / "spool").glob("*.jsonl"))
    assert len(recorder.events()) == lines


def test_a_second_flush_sends_nothing(recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = left_behind(recorder, tmp_path, monkeypatch)
    flush(folder, backend=place(recorder))
    before = len(recorder.requests()), len(recorder.changes(1))
    again = flush(folder, backend=place(recorder))
    assert (again.sent, again.left) == (0, 0)
    assert again.had > 0
    assert {request["path"] for request in recorder.requests()[before[0] :]} == {"trialrun"}
    assert len(recorder.changes(1)) == before[1]


def test_a_flush_without_a_ledger_doubles_no_entry(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind(recorder, tmp_path, monkeypatch)
    flush(folder, backend=place(recorder))
    before = [event["key"] for event in recorder.events()]
    shutil.rmtree(folder / "sent")
    assert flush(folder, backend=place(recorder)).sent > 0
    assert [event["key"] for event in recorder.events()] == before


def test_a_run_that_went_well_leaves_nothing_to_send(tmp_path: Path) -> None:
    result = trialrun.run(TUNING, plugin="pure", datasets={1: ROWS}, executor="inline", results=tmp_path)
    done = flush(result.results_dir)
    assert (done.sent, done.left, done.refused) == (0, 0, 0)
    assert done.had > 0


def test_what_a_killed_driver_left_goes_to_the_run_s_own_recorder(tmp_path: Path) -> None:
    result = trialrun.run(TUNING, plugin="pure", datasets={1: ROWS}, executor="inline", results=tmp_path)
    folder = Path(result.results_dir)
    with (folder / "spool" / "driver.0.jsonl").open("rb") as file:
        last = file.readlines()[-1]
    late = last.replace(b'"key":"', b'"key":"late-').replace(b'"key": "', b'"key": "late-')
    torn = late[: len(late) // 2]
    (folder / "spool" / "driver.1.jsonl").write_bytes(b"no event\n" + late + torn)
    done = flush(folder)
    assert (done.sent, done.left, done.unreadable) == (1, 0, 1)
    with Recorder.open(folder / "recorder.sqlite") as recorder:
        assert [event["key"] for event in recorder.events()][-1].startswith("late-")


def test_a_backend_that_is_still_away_loses_nothing(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = left_behind(recorder, tmp_path, monkeypatch)
    recorder.fail()
    done = flush(folder, backend=place(recorder), timeout=0.1)
    assert done.sent == 0
    assert done.left > 0
    assert done.trouble
    recorder.heal()
    recorder.fail(route="logs")
    assert flush(folder, backend=place(recorder), timeout=0.1).left > 0
    recorder.heal()
    assert flush(folder, backend=place(recorder)).left == 0


def choosy(recorder: Recorder, bad: list[str]) -> Any:
    """A recorder's handler that refuses lists with an entry that holds one of these words."""
    serve = recorder.handler()

    def handled(call: Call) -> Any:
        if call.path == "logs/" and call.body and any(word.encode() in call.body for word in bad):
            return Answer(status=400, body=b'{"detail": "bad entry"}')
        return serve(call)

    return handled


def test_what_is_refused_is_kept_told_and_can_be_sent_again(recorder: Recorder, tmp_path: Path) -> None:
    bad = ["starting 2 trials"]
    backend = place(recorder, handler=choosy(recorder, bad))
    result = trialrun.run(TUNING, plugin="pure", backend=backend, executor="inline", results=tmp_path / "r")
    folder = Path(result.results_dir)
    assert any("refused 1 entries" in warning and "refused.jsonl" in warning for warning in result.warnings)
    assert "refused.jsonl" in (folder / "result.json").read_text()
    (letter,) = read_dead_letters(folder)
    assert (letter.channel, letter.event.kind) == ("entries", "message")
    assert not any("starting" in message["content"] for message in recorder.messages())
    assert flush(folder, backend=backend) == FlushResult(
        sent=0, refused=0, left=0, had=flush(folder, backend=backend).had, unreadable=0
    )
    still = flush(folder, backend=backend, refused=True)
    assert (still.sent, still.refused, len(read_dead_letters(folder))) == (0, 1, 1)
    bad.clear()
    done = flush(folder, backend=backend, refused=True)
    assert (done.sent, done.refused, read_dead_letters(folder)) == (1, 0, [])
    assert any("starting" in message["content"] for message in recorder.messages())


def test_dead_letters_survive_a_backend_that_is_away(recorder: Recorder, tmp_path: Path) -> None:
    bad = ["starting 2 trials"]
    backend = place(recorder, handler=choosy(recorder, bad))
    result = trialrun.run(TUNING, plugin="pure", backend=backend, executor="inline", results=tmp_path / "r")
    folder = Path(result.results_dir)
    recorder.fail(route="logs")
    bad.clear()
    assert flush(folder, backend=backend, refused=True, timeout=0.05).left == 1
    assert len(read_dead_letters(folder)) == 1
    recorder.heal()
    assert flush(folder, backend=backend, refused=True).sent == 1
    assert read_dead_letters(folder) == []


def test_another_backend_by_url_gets_it_all(recorder: Recorder, tmp_path: Path) -> None:
    from trialrun.backend.http import Tokens

    result = trialrun.run(TUNING, plugin="pure", datasets={1: ROWS}, executor="inline", results=tmp_path / "r")
    with recorder.server() as server:
        done = flush(result.results_dir, backend=server.url, tokens=Tokens(access=server.token))
        assert done.left == 0
        assert flush(result.results_dir, backend=server.url, tokens=Tokens(access=server.token)).sent == 0
    with Recorder.open(Path(result.results_dir) / "recorder.sqlite") as own:
        keys = sorted(event["key"] for event in own.events())
    assert sorted(event["key"] for event in recorder.events()) == keys


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="results folder"):
        flush(tmp_path)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "driver.0.jsonl").touch()
    with pytest.raises(UsageError, match="--backend"):
        flush(tmp_path)
