"""`trialrun export`: trials and metric points of a recording as files for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from trialrun.run_dir import layout

__all__ = ["command"]


@click.command("export")
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--format", "kind", default="csv", show_default=True, metavar="csv|json|parquet|tensorboard")
@click.option("--output", metavar="FOLDER", help="Where the files go; DIR/export when not given.")
@click.option("--overwrite", is_flag=True, help="Write over the files of an earlier export.")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
def command(path: str, kind: str, output: str | None, overwrite: bool, job: int | None) -> None:
    """Write the trials and the metric points of a recording as files.

    DIR is a results folder; a single recorder.sqlite will do too. csv and parquet write trials and metrics, json writes
    study.json, tensorboard a folder of runs (the extra `tensorboard`).
    """
    from trialrun.recordings import open_study
    from trialrun.recordings.export import export_study

    with open_study(path, job) as study:
        made = export_study(
            study, kind, Path(output) if output else study.folder / layout.EXPORT_DIR, overwrite=overwrite
        )
    for file in made[:2]:
        click.echo(file)
    if len(made) > 2:
        click.echo(f"… and {len(made) - 2} more")
