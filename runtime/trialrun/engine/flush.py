"""Delivery of what an earlier run could not send to its backend."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from trialrun import events
from trialrun.backend.client import Client
from trialrun.backend.http import Tokens
from trialrun.backend.ledger import OWN_RECORDER, Ledger, ack_dead_letters, take_dead_letters
from trialrun.backend.memory import Memory
from trialrun.backend.outbox import select_channels
from trialrun.backend.retry import RetryPolicy
from trialrun.backend.sink import LogSink
from trialrun.engine.backends import Backend, connect, read_tokens
from trialrun.recorder import Recorder
from trialrun.run_dir import layout
from trialrun.run_dir.spool_reader import MergedSpools
from trialrun_hookspecs.errors import BackendUnavailable, UsageError
from trialrun_hookspecs.event import Event

__all__ = ["FlushResult", "flush"]

BATCH_SIZE = 20_000  # events in memory at once
RETRY_POLICY = RetryPolicy(first=0.25, longest=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushResult:
    """Numbers of entries: `sent` and `refused` now, `left` unsent, `had` answered before this flush.

    `unreadable` counts lines of the spools that are not events. `trouble` says why entries are left.
    """

    sent: int
    refused: int
    left: int
    had: int
    unreadable: int
    trouble: str = ""


def flush(
    folder: str | Path,
    *,
    backend: str | Backend | None = None,
    refused: bool = False,
    timeout: float = 60.0,
    tokens: Tokens | None = None,
) -> FlushResult:
    """Send the events of a run's spools that have not arrived. A second flush sends nothing.

    folder: the results folder of a run that has ended, in whatever way.
    backend: the URL of a running backend, or an open one; None: the run's own recorder, else the URL it used.
    refused: also send what the backend had refused.
    timeout: seconds until it gives up on an unavailable backend; another flush can send the rest.

    Raises UsageError for a folder without spools, and for one that another process sends from.
    """
    place = Path(folder)
    spools = MergedSpools(place / layout.SPOOL_DIR, by_trials=_is_tune_job(place))
    if not spools:
        fix = "Name the folder that the run printed as its results."
        raise UsageError("must be the results folder of a run", where=str(place), got="no spool in it", fix=fix)
    with contextlib.ExitStack() as stack:
        opened, name = _open_backend(stack, place, backend, tokens or read_tokens(os.environ))
        ledger = stack.enter_context(Ledger(place, name))
        return _FlushTask(place, opened, ledger, spools, timeout).send_all(again=refused)


def _open_backend(
    stack: contextlib.ExitStack, folder: Path, backend: str | Backend | None, tokens: Tokens
) -> tuple[Backend, str]:
    """Return the backend to send to, and its name in the ledger."""
    if isinstance(backend, Backend):
        return backend, OWN_RECORDER if backend.recorder is not None else backend.url
    if backend is None and (folder / layout.RECORDING).exists():
        recorder = stack.enter_context(Recorder(folder / layout.RECORDING))
        memory = Client(Memory(recorder.handler()))
        return Backend(
            client=memory, delivery_client=memory, url="", recorder=recorder, retry_policy=RETRY_POLICY
        ), OWN_RECORDER
    url = backend or _read_backend_url(folder)
    if url is None:
        fix = "Name one: --backend URL."
        raise UsageError("must have a backend to send to", where=str(folder), got="no recording", fix=fix)
    opened = stack.enter_context(connect(url, tokens))
    return opened, opened.url


def _read_backend_url(folder: Path) -> str | None:
    """Return the backend URL of the run, None where it had none."""
    for path in sorted((folder / layout.LEDGER_DIR).glob(f"*{layout.LEDGER_SUFFIX}")):
        with contextlib.suppress(ValueError, OSError), path.open(encoding="utf-8") as file:
            url = json.loads(file.readline()).get("backend")
            if isinstance(url, str) and url != OWN_RECORDER:
                return url
    return None


def _is_tune_job(folder: Path) -> bool:
    try:
        job = json.loads((folder / layout.JOB_FILE).read_text(encoding="utf-8"))
        return bool(job["params"].get("is_tune"))
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


class _FlushTask:
    """One flush of one results folder."""

    def __init__(self, folder: Path, backend: Backend, ledger: Ledger, spools: MergedSpools, timeout: float) -> None:
        self._folder = folder
        self._backend = backend
        self._ledger = ledger
        self._spools = spools
        self._timeout = timeout
        self._answered_before = self._left = 0

    def send_all(self, *, again: bool) -> FlushResult:
        try:
            recorder = self._backend.client.is_recorder()
        except BackendUnavailable as error:
            left = sum(self._is_due(event, recorder=False) for event, _ in self._spools.read_events())
            return FlushResult(sent=0, refused=0, left=left, had=0, unreadable=0, trouble=str(error))
        patience = self._backend.retry_policy or RETRY_POLICY
        sink = LogSink(
            self._backend.delivery_client, entry=events.to_log_entry, retry_policy=patience, delivery_log=self._ledger
        )
        try:
            resend_unanswered(self._ledger, sink, self._spools)
            whole = self._send_spools(sink, recorder=recorder)
            if whole and again:
                whole = self._resend_refused(sink)
            trouble = "" if whole else sink.trouble or "no call got through in time"
        finally:
            sink.close(timeout=0.1)
        return FlushResult(
            sent=sink.total_delivered,
            refused=len(sink.refused_events),
            left=self._left + sink.pending_count,
            had=self._answered_before,
            unreadable=self._spools.unreadable,
            trouble=trouble,
        )

    def _send_spools(self, sink: LogSink, *, recorder: bool) -> bool:
        """Return True when the backend accepted or refused everything in the spools."""
        number, whole = 0, True
        for event, _ in self._spools.read_events():
            due = self._is_due(event, recorder=recorder)
            self._answered_before += not due
            if not whole:
                self._left += due
            elif due or event.kind == "progress":  # the record keeps the newest of every category
                sink.put(event)
                number += 1
                if number % BATCH_SIZE == 0:
                    whole = self._wait_for_answers(sink)
        return whole and self._wait_for_answers(sink)

    def _resend_refused(self, sink: LogSink) -> bool:
        """Send refused entries again. They stay in their file until all are answered, for the next flush."""
        for letter in take_dead_letters(self._folder):
            if letter.channel == "entries" or letter.event.kind != "progress":  # newer progress has followed
                sink.put(letter.event, letter.channel)
        whole = self._wait_for_answers(sink)
        if whole:
            ack_dead_letters(self._folder)
        return whole

    def _wait_for_answers(self, sink: LogSink) -> bool:
        """Wait until every entry is answered; return False when none got through within the timeout."""
        while True:
            before = sink.total_delivered + len(sink.refused_events)
            if sink.flush(self._timeout):
                return True
            if sink.total_delivered + len(sink.refused_events) == before:
                return False

    def _is_due(self, event: Event, *, recorder: bool) -> bool:
        return not all(
            self._ledger.is_answered(track, event.key) for track in select_channels(event, recorder=recorder)
        )


def resend_unanswered(ledger: Ledger, sink: LogSink, spools: MergedSpools) -> None:
    """Send the call first that had no answer when its sender died, unchanged, so that its key still holds."""
    if ledger.unanswered is None:
        return
    track, keys = ledger.unanswered
    if all(ledger.is_answered(track, key) for key in keys):  # dead letters, which are sent separately
        return
    wanted = dict.fromkeys(keys)
    events_by_key = {event.key: event for event, _ in spools.read_events() if event.key in wanted}
    if events_by_key.keys() == wanted.keys():
        sink.put_first(track, [events_by_key[key] for key in wanted])
