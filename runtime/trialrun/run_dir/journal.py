"""The journal of a study: the trials that were created, their outcomes, and their models."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trialrun import events
from trialrun.run_dir import layout
from trialrun.run_dir.history import StudyHistory, TrialOutcome
from trialrun.run_dir.relocate import relocate_paths
from trialrun.run_dir.spool import SpoolReader, SpoolWriter
from trialrun_hookspecs.errors import BadValue
from trialrun_hookspecs.results import TrialModel

__all__ = ["Journal", "read_journal"]


class Journal:
    """Appends to the journal; safe for threads. What was written survives the death of this process."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._writer = SpoolWriter(folder / layout.JOURNAL)
        self._clock = clock
        self._write_entry("began", folder=str(folder.absolute()))

    def record_trial(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self._write_entry("made", trial_id=trial_id, config=dict(config))

    def record_outcome(self, outcome: TrialOutcome) -> None:
        fields = {name: getattr(outcome, name) for name in TrialOutcome.__slots__}
        self._write_entry("ended", **{**fields, "logdir": str(outcome.logdir)})

    def record_model(self, model: TrialModel) -> None:
        self._write_entry("model", model=model.model_dump(mode="json"))

    def record_end(self, ended_by: str) -> None:
        """Record that the study has ended; not to be called for an interrupted one."""
        self._write_entry("over", ended_by=ended_by)

    def close(self) -> None:
        self._writer.close()

    def _write_entry(self, what: str, **facts: Any) -> None:
        self._writer.write(json.dumps({"what": what, "time": self._clock(), **facts}))


def read_journal(folder: Path) -> StudyHistory:
    """Return the history in this folder's journal, an empty one where there is none. Torn lines are skipped.

    Paths in it are relocated to `folder`, wherever the folder was when they were written.
    """
    history = StudyHistory()
    here = home = str(folder.absolute())
    ended, ended_by, used, began, last = False, "", 0.0, 0.0, 0.0
    for line in SpoolReader(folder / layout.JOURNAL).read_lines():
        try:
            entry = json.loads(line)
            what, now = entry["what"], float(entry["time"])
        except (ValueError, KeyError, TypeError):
            continue
        if what == "began":
            used, began, ended = used + last - began, now, False
            home = entry.get("folder", here)
        elif what == "over":
            ended, ended_by = True, entry["ended_by"]
        else:
            _apply_entry(history, relocate_paths(entry, home, here))
        last = now
    return StudyHistory(
        results=tuple(_read_results(folder / layout.SPOOL_DIR)),
        configs=history.configs,
        outcomes=history.outcomes,
        models=history.models,
        ended=ended,
        ended_by=ended_by if ended else "",
        used_s=max(used + last - began, 0.0),
    )


def _read_results(spool: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield the reports that the driver received, from its own spools."""
    for path in sorted(spool.glob(layout.DRIVER_SPOOLS)):
        for line in SpoolReader(path).read_lines():
            with contextlib.suppress(BadValue):
                event = events.from_line(line)
                if event.kind == "trial_result":
                    yield event.data["trial_id"], event.data["iteration"], event.data["metrics"]


def _apply_entry(history: StudyHistory, entry: Mapping[str, Any]) -> None:
    if entry["what"] == "made":
        history.configs[entry["trial_id"]] = entry["config"]
        history.outcomes.pop(entry["trial_id"], None)  # it runs again
    elif entry["what"] == "ended":
        outcome = _parse_outcome(entry)
        if outcome.status not in ("TERMINATED", "ERROR"):
            return  # it was running when the study was stopped
        history.configs[outcome.trial_id] = outcome.config  # a scheduler may have changed it
        history.outcomes[outcome.trial_id] = outcome
    elif entry["what"] == "model":
        model = TrialModel(**entry["model"])
        history.models[model.trial_id] = model


def _parse_outcome(entry: Mapping[str, Any]) -> TrialOutcome:
    fields = {name: entry[name] for name in TrialOutcome.__slots__ if name in entry}
    kept = tuple((str(path), dict(metrics)) for path, metrics in entry.get("kept", ()))
    return TrialOutcome(**{**fields, "logdir": Path(entry["logdir"]), "kept": kept})
