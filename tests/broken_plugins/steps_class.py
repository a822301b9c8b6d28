"""Sound: a class in the style of Ray's Trainable, without Ray; it is both hooks."""

from __future__ import annotations

import json
from pathlib import Path

class Steps:
    def setup(self, config, dataset=None):
        self.lr = config["lr"]
        self.until = config.get("until", 6)
        self.rows = len(dataset["train"]) if dataset else 0
        self.done = 0

    def step(self):
        self.done += 1
        return {"loss": self.lr * abs(self.done - 3) + 0.1, "rows": self.rows, "done": self.done >= self.until}

    def save_checkpoint(self, checkpoint_dir):
        Path(checkpoint_dir, "state.json").write_text(json.dumps({"done": self.done}))
        return checkpoint_dir

    def load_checkpoint(self, checkpoint_dir):
        self.done = json.loads(Path(checkpoint_dir, "state.json").read_text())["done"]

    def cleanup(self):
        Path("cleaned").touch()


tune = Steps
