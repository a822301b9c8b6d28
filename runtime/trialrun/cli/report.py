"""`trialrun report`: write an HTML report or a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trialrun.cli.options import add_study_options, overwrite_option
from trialrun_hookspecs.errors import UsageError

if TYPE_CHECKING:
    from trialrun.recordings import Study

__all__ = ["command"]


@click.command("report", context_settings={"show_default": True})
@add_study_options
@click.option("--output", metavar="FILE", help="Write to FILE. Default: DIR/report.html, or DIR/PLOT.FORMAT.")
@overwrite_option
@click.option("--plot", metavar="NAME", help="Write this plot: history, curves, parallel, importance, timeline.")
@click.option("--format", "kind", metavar="svg|png", help="Set the plot's format. Default: that of --output, else svg.")
@click.option("--metric", metavar="NAME", help="Plot the curves of this metric. Default: the objective.")
@click.option("--dark", is_flag=True, help="Use dark colours for the plot.")
@click.option("--size", default="900x420", metavar="WxH", help="Set the plot's size in pixels.")
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
    """Write an HTML report of a run, or one plot as SVG or PNG.

    DIR is a results folder; a single recorder.sqlite works too. The report is one file that needs no server. With
    --plot, only that plot is written; PNG needs Pillow (the extra `png`).
    """
    from trialrun.recordings import open_study

    with open_study(path, job) as study:
        target = Path(output) if output else study.folder / (f"{plot}.{kind or 'svg'}" if plot else "report.html")
        content = (
            _render_plot(study, plot, kind or target.suffix[1:].lower() or "svg", metric, dark, size) if plot else None
        )
        if plot is None and (kind or metric or dark):
            fix = "Add --plot NAME."
            raise UsageError("needs a plot", where="--format, --metric, --dark", got="no --plot", fix=fix)
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
        raise UsageError("must be WIDTHxHEIGHT in pixels", where="--size", got=repr(size), fix="Write 900x420.")
    return render_plot(study, name, kind, metric=metric, dark=dark, size=(int(width), int(height)))


def _check_target(target: Path, *, overwrite: bool) -> None:
    if target.is_dir() or not target.parent.is_dir():
        got = f"{target}: a folder" if target.is_dir() else f"{target.parent}: no such folder"
        raise UsageError("must be a file in an existing folder", where="--output", got=got, fix="Name a file.")
    if target.exists() and not overwrite:
        fix = "Name another file with --output, or add --overwrite."
        raise UsageError("must not exist yet", where="--output", got=str(target), fix=fix)
