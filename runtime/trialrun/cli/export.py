"""`trialrun export`: export trials and metric points for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from trialrun.cli.options import add_study_options, overwrite_option
from trialrun.cli.text import format_omitted
from trialrun.run_dir import layout

__all__ = ["command"]


@click.command("export")
@add_study_options
@click.option(
    "--format", "kind", default="csv", show_default=True, metavar="csv|json|parquet|tensorboard", help="Set the format."
)
@click.option("--output", metavar="FOLDER", help="Write to FOLDER. Default: DIR/export.")
@overwrite_option
def command(path: str, kind: str, output: str | None, overwrite: bool, job: int | None) -> None:
    """Export trials and metrics as files for other tools.

    DIR is a results folder; a single recorder.sqlite works too. The formats csv and parquet
    write trials and metrics, json writes study.json, tensorboard writes a folder of runs (it needs the extra
    `tensorboard`).
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.export import export_study

    with open_study(path, job) as study:
        files = export_study(
            study, kind, Path(output) if output else study.folder / layout.EXPORT_DIR, overwrite=overwrite
        )
    for file in files[:2]:
        click.echo(file)
    for line in format_omitted(len(files) - 2, ""):
        click.echo(line)
