"""`trialrun report`: a study as one HTML file, or one of its plots as SVG or PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recordings import Study

__all__ = ["command"]


@click.command("report", context_settings={"show_default": True})
@click.argument("path", metavar="DIR|SQLITE")
@click.option("--output", metavar="FILE", help="Where it goes; DIR/report.html or DIR/PLOT.FORMAT when not given.")
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@click.option("--plot", metavar="NAME", help="One plot: history, curves, parallel, importance or timeline.")
@click.option("--format", "kind", metavar="svg|png", help="Of a plot; else by the name of --output, or svg.")
@click.option("--metric", metavar="NAME", help="Of `curves`: which metric; else the objective.")
@click.option("--dark", is_flag=True, help="A plot in dark colours.")
@click.option("--size", default="900x420", metavar="WxH", help="A plot's width and height in pixels.")
@click.option("--job", type=int, metavar="ID", help="The job, where the recording has several; else its newest.")
def command(
    path: str,
    output: str | None,
    overwrite: bool,
    plot: str | None,
    kind: str | None,
    metric: str | None,
    dark: bool,
    size: str,
    job: int | None,
) -> None:
    """Write one HTML file with the table and the plots of the run in DIR, which opens without a server.

    With --plot, write that plot alone. PNG needs Pillow (the extra `png`).
    """
    from trialrun.recordings import open_study

    with open_study(path, job) as study:
        target = Path(output) if output else study.folder / (f"{plot}.{kind or 'svg'}" if plot else "report.html")
        content = (
            _render_plot(study, plot, kind or target.suffix[1:].lower() or "svg", metric, dark, size) if plot else None
        )
        if plot is None and (kind or metric or dark):
            fix = "Name one with --plot."
            raise UsageError("goes with a plot", where="--format, --metric, --dark", got="no --plot", fix=fix)
        _check_target(target, overwrite=overwrite)
        if content is None:
            from trialrun.web.report import render_html

            content = render_html(study).encode()
    target.write_bytes(content)
    click.echo(target)


def _render_plot(study: Study, name: str, kind: str, metric: str | None, dark: bool, size: str) -> bytes:
    from trialrun.recordings.plots import render_plot

    width, _, height = size.partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise UsageError("must be WIDTHxHEIGHT in pixels", where="--size", got=repr(size), fix="Such as 900x420.")
    return render_plot(study, name, kind, metric=metric, dark=dark, size=(int(width), int(height)))


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_dir() or not target.parent.is_dir():
        got = f"{target}: a folder" if target.is_dir() else f"{target.parent}: no such folder"
        raise UsageError("must be a file in a folder that is there", where="--output", got=got, fix="Name a file.")
    if target.exists() and not overwrite:
        fix = "Name another file with --output, or give --overwrite."
        raise UsageError("must not be there yet", where="--output", got=str(target), fix=fix)
