"""The journal of a study: which trials were made, how they ended, and which models they have."""

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
    """Appends to the journal; safe for threads, and what was written survives the death of this process."""

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
        """The study has come to its end: not called for one that was cut off."""
        self._write_entry("over", ended_by=ended_by)

    def close(self) -> None:
        self._writer.close()

    def _write_entry(self, what: str, **facts: Any) -> None:
        self._writer.write(json.dumps({"what": what, "time": self._clock(), **facts}))


def read_journal(folder: Path) -> StudyHistory:
    """What the journal in this folder says; nothing where there is none. Torn lines are left out.

    Its paths are those of the folder where it lies now, wherever it lay when they were written.
    """
    past = StudyHistory()
    here = home = str(folder.absolute())
    ended, ended_by, used, began, last = False, "", 0.0, 0.0, 0.0
    for line in SpoolReader(folder / layout.JOURNAL).read_lines():
        try:
            said = json.loads(line)
            what, now = said["what"], float(said["time"])
        except (ValueError, KeyError, TypeError):
            continue
        if what == "began":
            used, began, ended = used + last - began, now, False
            home = said.get("folder", here)
        elif what == "over":
            ended, ended_by = True, said["ended_by"]
        else:
            _apply_entry(past, relocate_paths(said, home, here))
        last = now
    return StudyHistory(
        results=tuple(_read_results(folder / layout.SPOOL_DIR)),
        configs=past.configs,
        outcomes=past.outcomes,
        models=past.models,
        ended=ended,
        ended_by=ended_by if ended else "",
        used_s=max(used + last - began, 0.0),
    )


def _read_results(spool: Path) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """The reports that the driver heard, from its own spools."""
    for path in sorted(spool.glob(layout.DRIVER_SPOOLS)):
        for line in SpoolReader(path).read_lines():
            with contextlib.suppress(BadValue):
                event = events.from_line(line)
                if event.kind == "trial_result":
                    yield event.data["trial_id"], event.data["iteration"], event.data["metrics"]


def _apply_entry(past: StudyHistory, said: Mapping[str, Any]) -> None:
    if said["what"] == "made":
        past.configs[said["trial_id"]] = said["config"]
        past.outcomes.pop(said["trial_id"], None)  # it goes on
    elif said["what"] == "ended":
        outcome = _parse_outcome(said)
        if outcome.status not in ("TERMINATED", "ERROR"):
            return  # it was running when the study was stopped at once
        past.configs[outcome.trial_id] = outcome.config  # schedulers may have changed it
        past.outcomes[outcome.trial_id] = outcome
    elif said["what"] == "model":
        model = TrialModel(**said["model"])
        past.models[model.trial_id] = model


def _parse_outcome(said: Mapping[str, Any]) -> TrialOutcome:
    fields = {name: said[name] for name in TrialOutcome.__slots__ if name in said}
    kept = tuple((str(path), dict(metrics)) for path, metrics in said.get("kept", ()))
    return TrialOutcome(**{**fields, "logdir": Path(said["logdir"]), "kept": kept})
