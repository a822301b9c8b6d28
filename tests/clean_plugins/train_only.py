"""Only a train(), that logs nothing but what run.report makes of it, and declares nothing but that it repeats."""

from __future__ import annotations

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint):
    folder = Path(run.checkpoint_output)
    folder.mkdir()
    for epoch in range(3):
        (folder / f"epoch-{epoch}.txt").write_text(str(epoch))
        run.report({"accuracy": epoch / 3, "epoch": epoch})
    return folder
