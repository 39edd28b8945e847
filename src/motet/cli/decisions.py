"""`motet decisions`: what was decided for whom, and how it ended."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motet.cli.console import ConfigOption, Json, command, new_table, plain, print_json, run
from motet.cli.moments import Since, moment

if TYPE_CHECKING:
    from motet.config import Document
    from motet.store.decisions import DecisionRow, Wanted

app = typer.Typer(invoke_without_command=True)
_JSON = ("experts", "calls", "prompt")
"""Columns that hold JSON."""
_BEGINNING = 12
"""Characters of an id that a list shows: eight random digits tell any two apart."""


@app.callback()
@command
def decisions(
    context: typer.Context,
    config: ConfigOption = "experts.yaml",
    since: Since = None,
    composition: Annotated[
        str | None, typer.Option(help="Only what was asked by this name.")
    ] = None,
    expert: Annotated[str | None, typer.Option(help="Only where it was chosen or asked.")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="ok, error, cancelled, decided, or the code of an error.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    json: Json = False,
) -> None:
    """List decisions of a service on this config, newest first; `show ID` tells all of one."""
    if context.invoked_subcommand is not None:
        return
    from motet.config import load
    from motet.store.decisions import Wanted

    document = load(config)
    wanted = Wanted(
        since=moment("--since", since), composition=composition, expert=expert, outcome=outcome
    )
    rows = run(_listing(document, wanted, limit))
    if json:
        print_json([_plain(row) for row in rows])
    elif rows:
        _show_table(rows)
    else:
        typer.echo(f"No decision is like that. {_hint(document, wanted)}".rstrip())


@app.command("show")
@command
def show(
    id: Annotated[
        str, typer.Argument(help="How a decision's id, or its request's, begins.", metavar="ID")
    ],
    config: ConfigOption = "experts.yaml",
    json: Json = False,
) -> None:
    """Tell all that is kept of one decision."""
    from motet.config import load

    about = _plain(run(_one(load(config), id)))
    if json:
        print_json(about)
    else:
        _show_one(about)


async def _listing(document: Document, wanted: Wanted, limit: int) -> list[DecisionRow]:
    from motet.service.keeping import kept_by
    from motet.store.decisions import DecisionRows

    async with kept_by(document) as database:
        return await DecisionRows(database).listing(wanted, limit)


async def _one(document: Document, id: str) -> DecisionRow:
    from motet.service.keeping import kept_by
    from motet.store.decisions import DecisionRows

    async with kept_by(document) as database:
        return await DecisionRows(database).get(id)


def _plain(row: DecisionRow) -> dict[str, Any]:
    """Return a row as plain JSON values, less what is not known."""
    import orjson

    about = {name: value for name, value in asdict(row).items() if value is not None}
    about["time"] = datetime.fromtimestamp(row.time).astimezone().isoformat(" ", "seconds")
    return about | {name: orjson.loads(about[name]) for name in _JSON if name in about}


def _hint(document: Document, wanted: Wanted) -> str:
    """Return which name of the config was perhaps meant."""
    from motet.wording import did_you_mean

    names = {
        wanted.expert: [entry.id for entry in document.config.experts],
        wanted.composition: [e.id for e in document.config.experts]
        + list(document.config.compositions),
    }
    for name, known in names.items():
        if name is not None and name not in known:
            return f"{document.name} has no {name!r}. {did_you_mean(name, known)}"
    return ""


def _show_table(rows: list[DecisionRow]) -> None:
    from rich.console import Console

    table = new_table(padding=(0, 1, 0, 0))
    for title in ("time", "id", "composition", "expert", "outcome"):
        table.add_column(title, no_wrap=title not in ("composition", "expert"), overflow="fold")
    for title in ("s", "tokens", "USD"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        about = _plain(row)
        tokens = (row.prompt_tokens or 0) + (row.completion_tokens or 0)
        table.add_row(
            about["time"][5:16],
            (row.decision or row.id)[:_BEGINNING],
            plain(row.composition or ""),
            plain(row.author or next(iter(about.get("experts", [])), "")),
            plain(row.error or row.outcome or ""),
            "" if row.seconds is None else f"{row.seconds:.3f}",
            str(tokens) if tokens else "",
            f"{row.cost_usd:.3g}" if row.cost_usd else "",
        )
    Console(markup=False).print(table)


def _show_one(about: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    calls = about.pop("calls", [])
    console = Console(markup=False)
    fields = Table(box=None, show_header=False, pad_edge=False)
    fields.add_column(style="bold", no_wrap=True)
    fields.add_column(overflow="fold")
    for name, value in about.items():
        if name != "size" and value != "":
            fields.add_row(name.replace("_", " "), Text(plain(_shown(value))))
    console.print(fields)
    if not calls:
        return
    table = new_table("call", "for")
    for title in ("from", "to", "tokens", "USD"):
        table.add_column(title, justify="right")
    table.add_column("end")
    for call in calls:
        end = call.get("error") or ("failed" if call["failed"] else "ok")
        table.add_row(
            call["expert"],
            call["purpose"],
            f"{call['started']:.3f} s",
            "" if call["finished"] is None else f"{call['finished']:.3f} s",
            str(call["prompt_tokens"] + call["completion_tokens"]),
            f"{call['cost_usd']:.3g}",
            Text(plain(end)),
        )
    console.print()
    console.print(table)


def _shown(value: Any) -> str:
    """Return a value in a line, or messages in one each."""
    if not isinstance(value, list):
        return str(value)
    if all(isinstance(item, dict) for item in value):
        return "\n".join(f"{item.get('role')}: {item.get('content')}" for item in value)
    return ", ".join(map(str, value))
