"""`motet experts`: who is in the fleet."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from motet.cli.console import Json, command, print_json

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@command
def list_experts(
    config: Annotated[str, typer.Option(help="The config file.")] = "experts.yaml",
    url: Annotated[
        str | None, typer.Option(help="Ask a running service, such as http://127.0.0.1:8000.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="MOTET_API_KEY", help="The service's API key.")
    ] = None,
    json: Json = False,
) -> None:
    """List the experts of a config, or of a running service with their state."""
    rows = _configured(config) if url is None else _running(url, key)
    if json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in rows[0]:
        table.add_column(title)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


def _configured(config: str) -> list[dict[str, Any]]:
    from motet.composer.assembly import Assembly
    from motet.config import load

    return [
        {
            "expert": card.id,
            "engine": card.engine,
            "model": card.model,
            "context": card.context or "",
            "skills": ", ".join(card.skills),
            "price in/out": f"{card.price.input:g}/{card.price.output:g}",
            "license": card.license,
        }
        for card in (expert.card for expert in Assembly(load(config)).experts.values())
    ]


def _running(url: str, key: str | None) -> list[dict[str, Any]]:
    from motet.cli.client import get

    return [
        {
            "expert": name,
            "state": about["state"],
            "reason": about["reason"],
            "optional": "yes" if about["optional"] else "",
        }
        for name, about in get(url, "/ready", key)["experts"].items()
    ]
