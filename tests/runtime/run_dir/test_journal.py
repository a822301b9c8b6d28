"""Tests of the journal: it reads back what was written, whatever killed its writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialrun.run_dir.history import INTERRUPTED, TrialOutcome
from trialrun.run_dir.journal import Journal, read_journal
from trialrun_hookspecs.results import TrialModel

values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
mappings = st.dictionaries(st.text(min_size=1), values, max_size=3)


def outcome(trial_id: str, **facts: Any) -> TrialOutcome:
    known = {"status": "TERMINATED", "config": {"x": 1}, "metrics": {"loss": 0.5}, "logdir": Path("/l"), **facts}
    return TrialOutcome(trial_id=trial_id, **known)


@pytest.fixture
def journal(tmp_path: Path) -> Any:
    opened = Journal(tmp_path)
    yield opened
    opened.close()


@given(st.data())
def test_outcomes_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    folder = tmp_path_factory.mktemp("journal")
    wanted = {}
    journal = Journal(folder)
    for number in range(data.draw(st.integers(0, 4))):
        trial_id = f"t{number}"
        made = outcome(
            trial_id,
            status=data.draw(st.sampled_from(["TERMINATED", "ERROR"])),
            config=data.draw(mappings),
            metrics=data.draw(mappings),
            error=data.draw(st.text()),
            kept=tuple(data.draw(st.lists(st.tuples(st.text(), mappings), max_size=2))),
            declared=data.draw(st.none() | st.text()),
            cause=data.draw(st.sampled_from(["", "raised", "killed"])),
        )
        journal.record_trial(trial_id, made.config)
        journal.record_outcome(made)
        wanted[trial_id] = made
    journal.close()
    past = read_journal(folder)
    assert past.outcomes == wanted
    assert list(past.configs) == list(wanted)


@given(st.integers(0, 600))
def test_a_journal_cut_anywhere_is_a_beginning_of_itself(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder)
    for number in range(3):
        journal.record_trial(f"t{number}", {"x": number})
        journal.record_outcome(outcome(f"t{number}"))
    journal.close()
    whole = read_journal(folder)
    file = folder / "study.jsonl"
    file.write_bytes(file.read_bytes()[:length])
    past = read_journal(folder)
    assert list(past.configs) == list(whole.configs)[: len(past.configs)]
    assert set(past.outcomes) <= set(past.configs)
    assert len(past.configs) - len(past.outcomes) <= 1


def test_what_was_cut_or_lost_goes_on_and_what_failed_only_when_asked(journal: Journal, tmp_path: Path) -> None:
    journal.record_trial("running", {})
    for trial_id, facts in {
        "good": {},
        "cut": {"ended_by": INTERRUPTED},
        "failed": {"status": "ERROR", "error": "e", "cause": "raised"},
        "killed": {"status": "ERROR", "error": "e", "cause": "killed"},
        "memory": {"status": "ERROR", "error": "e", "cause": "out_of_memory"},
        "node": {"status": "ERROR", "error": "e", "cause": "node_lost"},
        "stopped": {"ended_by": "stop: loss reached 1"},
        "at once": {"status": "RUNNING"},
    }.items():
        journal.record_trial(trial_id, {})
        journal.record_outcome(outcome(trial_id, **facts))
    past = read_journal(tmp_path)
    assert past.resumable_trials() == ["running", "cut", "killed", "memory", "node", "at once"]
    assert past.resumable_trials(failed=True) == ["running", "cut", "failed", "killed", "memory", "node", "at once"]


def test_a_trial_that_goes_on_is_open_again_until_it_ends(journal: Journal, tmp_path: Path) -> None:
    journal.record_trial("t", {"x": 1})
    journal.record_outcome(outcome("t", status="ERROR", error="e", cause="killed"))
    journal.record_trial("t", {"x": 1})
    assert read_journal(tmp_path).outcomes == {}
    journal.record_outcome(outcome("t", config={"x": 2}))
    past = read_journal(tmp_path)
    assert past.configs == {"t": {"x": 2}}, "a scheduler changed it"
    assert past.resumable_trials() == []


def test_models_and_the_end_are_remembered(journal: Journal, tmp_path: Path) -> None:
    model = TrialModel(model_id=3, trial_id="t", trial_logdir="/l", config={"x": 1}, metrics={"loss": 0.5})
    journal.record_model(model)
    assert read_journal(tmp_path).models == {"t": model}
    assert not read_journal(tmp_path).ended
    journal.record_end("target: loss reached 0.1")
    assert (read_journal(tmp_path).ended, read_journal(tmp_path).ended_by) == (True, "target: loss reached 0.1")
    journal.close()
    Journal(tmp_path).close()
    assert not read_journal(tmp_path).ended, "it goes on"


def test_only_the_time_that_it_ran_counts(tmp_path: Path) -> None:
    now = [100.0]
    for start, seconds in ((100.0, 5.0), (1000.0, 7.0)):
        now[0] = start
        journal = Journal(tmp_path, clock=lambda: now[0])
        now[0] = start + seconds
        journal.record_trial(f"t{start}", {})
        journal.close()
    assert read_journal(tmp_path).used_s == pytest.approx(12.0)


def test_no_journal_is_an_empty_past(tmp_path: Path) -> None:
    assert read_journal(tmp_path).configs == {}
