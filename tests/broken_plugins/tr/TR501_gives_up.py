"""Makes trialrun give up after the third failure."""

from pathlib import Path
from trialrun.backend.sink import LogSink

conformance = {"capabilities": ["deterministic"]}
patient = LogSink._schedule_retry


def give_up(self, error):
    patient(self, error)
    if self._failures > 2 and self._outbox is not None:
        self._outbox.ack()


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    LogSink._schedule_retry = give_up
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
