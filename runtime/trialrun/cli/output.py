"""JSON on stdout."""

from __future__ import annotations

import json
from typing import Any

import click

__all__ = ["print_json"]


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print `value` as JSON; `indent` None puts it on one line."""
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False))
