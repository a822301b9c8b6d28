"""An artifact that is a folder with a link out of it."""

from pathlib import Path

conformance = {"capabilities": ["deterministic"]}


def train(run, dataset, hyperparameter, checkpoint, **kwargs):
    for step in (1, 2, 3):
        run.log_metric("train", "loss", 1 / step, step=step)
    folder = Path(run.checkpoint_output)
    folder.mkdir()
    Path("model.txt").write_text("model")
    (folder / "model.txt").symlink_to(Path("model.txt").absolute())
    return run.checkpoint_output
