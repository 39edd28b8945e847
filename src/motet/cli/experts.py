"""`motet experts`: who is in the fleet."""

from __future__ import annotations

from typing import Any

import typer

from motet.cli.console import ConfigOption, Json, Key, ServiceUrl, command, print_json

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@command
def list_experts(
    config: ConfigOption = "experts.yaml",
    url: ServiceUrl = None,
    key: Key = None,
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
    from motet.composer.assembly import assemble
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
        for card in (expert.card for expert in assemble(load(config)).experts.values())
    ]


def _running(url: str, key: str | None) -> list[dict[str, Any]]:
    from motet.cli.client import states

    return [
        {
            "expert": name,
            "state": about["state"],
            "reason": about["reason"],
            "optional": "yes" if about["optional"] else "",
        }
        for name, about in states(url, key).items()
    ]
