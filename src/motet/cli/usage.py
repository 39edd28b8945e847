"""`motet usage`: requests, calls, tokens and cost by day, key, tenant, composition and expert."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.console import ConfigOption, Json, command, new_table, print_json, run
from motet.cli.moments import Since, moment
from motet.errors import ConfigError
from motet.wording import did_you_mean

if TYPE_CHECKING:
    from motet.config import Document


@command
def usage(
    config: ConfigOption = "experts.yaml",
    since: Since = None,
    by: Annotated[
        str, typer.Option(help="One or several of day, key, tenant, composition, expert.")
    ] = "day,expert",
    json: Json = False,
) -> None:
    """Show what a service on this config has used, by whole days of UTC.

    A request counts for the expert whose words the client read, a call for the expert that was
    asked.
    """
    from motet.config import load
    from motet.store.usage import DIMENSIONS

    document = load(config)
    names = by.split(",")
    for name in names:
        if name not in DIMENSIONS or names.count(name) > 1:
            hint = did_you_mean(name, DIMENSIONS)
            raise ConfigError(f"--by {by!r}: usage is not counted by {name!r} there.", hint=hint)
    start = moment("--since", since)
    day = None if start is None else datetime.fromtimestamp(start, UTC).date().isoformat()
    rows = run(_totals(document, names, day))
    if json:
        print_json(rows)
    elif rows:
        _show(names, rows)
    else:
        typer.echo("Nothing has been used" + (f" since {day}." if day else "."))


async def _totals(document: Document, by: list[str], since: str | None) -> list[dict[str, Any]]:
    from motet.service.keeping import kept_by
    from motet.store.usage import UsageRows

    async with kept_by(document) as database:
        return await UsageRows(database).totals(by, since)


def _show(by: list[str], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console

    table = new_table(show_footer=len(rows) > 1)
    for title in by:
        table.add_column(title, no_wrap=True)
    measures = [name for name in rows[0] if name not in by]
    for name in measures:
        total = sum(row[name] for row in rows)
        table.add_column(
            _TITLES.get(name, name),
            footer=_figure(total),
            justify="right",
            no_wrap=True,
        )
    for row in rows:
        where = [str(row[name]) or "none" for name in by]
        table.add_row(*where, *(_figure(row[name]) for name in measures))
    Console(markup=False).print(table)


_TITLES = {"prompt_tokens": "read", "completion_tokens": "written", "cost_usd": "USD"}
"""Columns whose names are too long for a table: tokens read, and written."""


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
