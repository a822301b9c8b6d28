"""The fake platform backend that records."""

from __future__ import annotations

from trialrun.recorder.faults import Fault
from trialrun.recorder.fixtures import Fixtures, parse_fixture, split_fixture
from trialrun.recorder.recorder import Recorder
from trialrun.recorder.replies import Reply

__all__ = ["Fault", "Fixtures", "Recorder", "Reply", "parse_fixture", "split_fixture"]
