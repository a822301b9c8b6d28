"""Takes away the keys by which a repeated call is known."""

from pathlib import Path
from trialrun.backend.client import Client
from trialrun.backend.outbox import Outbox

conformance = {"capabilities": ["deterministic"]}
logs = Client.post_logs


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    Client.post_logs = lambda self, entries, key=None: logs(self, entries)
    Outbox._encode_entry = lambda self, event: self._entry(event)
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    Path(run.checkpoint_output).write_text("model")
    return run.checkpoint_output
