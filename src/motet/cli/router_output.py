"""What `motet router` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from motet.cli.console import new_table

if TYPE_CHECKING:
    from motet.lab.routers.report import Report


def show(report: Report) -> None:
    """Print what a report says: sentences, then everyone's figures."""
    from rich.console import Console

    from motet.lab.routers.page import summary
    from motet.lab.routers.text import headings, row

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has room for whole lines
    for sentence in summary(report):
        console.print(sentence, soft_wrap=True, markup=False)
    contestants = [*report.routers, *report.controls]
    titles = headings(contestants)
    grid = new_table()
    grid.add_column("", no_wrap=True)
    for title in titles:
        grid.add_column(title, justify="right", no_wrap=True)
    for judgement in contestants:
        cells = row(judgement, titles)
        grid.add_row(judgement.name, *cells, style="dim" if judgement.control else "")
    console.print()
    console.print(grid)
    _note(report)


def show_explanation(explained: Mapping[str, Any]) -> None:
    """Print a decision, what led to it, and what is expected of everyone."""
    from rich.console import Console
    from rich.table import Table as Grid

    typer.secho(explained["expert"], bold=True, nl=False)
    typer.echo(f"  by {explained['kind']}, confidence {explained['confidence']:.2f}")
    if explained["reason"]:
        typer.echo(f"  because: {explained['reason']}")
    if explained["runner_up"]:
        typer.echo(f"  runner-up: {explained['runner_up']}")
    for name, value in explained["evidence"].items():
        typer.echo(f"  {name.replace('_', ' ')}: {_words(value)}")
    grid = Grid("expert", "quality", "error", "USD", box=None, header_style="dim")
    for row in explained["experts"]:
        numbers = (row["quality"], row["error"], row["cost_usd"])
        grid.add_row(row["expert"], *("" if n is None else f"{n:.3g}" for n in numbers))
    Console(highlight=False).print("", grid)


def _note(report: Report) -> None:
    """Say on standard error which rows and kinds took no part."""
    for name, value in report.settings.items():
        if value and name.endswith("left out"):
            typer.secho(f"{name}: {_words(value)}", dim=True, err=True)


def _words(value: Any) -> str:
    """Return a JSON value for people."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(_words, value))
    return str(value)
